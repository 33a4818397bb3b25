//! The numbers of a server.

use super::ask::Ask;
use super::client::Client;

/// The page of metrics.
pub fn metrics(client: &Client) -> String {
    client.send(&Ask::new("GET", "/_/metrics").anonymous()).expect(200).text()
}

/// The sum of a metric over its labels.
pub fn metric(page: &str, name: &str) -> f64 {
    let values = page
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
