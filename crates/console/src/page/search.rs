//! Resources of all states, by type, name, address or provider.

use askama::Template;
use http::StatusCode;
use tidelock_client::state::{FoundInstance, ResourceQuery};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::view;

/// Instances on one page.
const FOUND_MAX: usize = 500;
/// Buckets that one search looks into.
const BUCKETS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    shell: Shell,
    bucket: String,
    prefix: String,
    type_name: String,
    name: String,
    address: String,
    provider: String,
    is_asked: bool,
    rows: Vec<Row>,
    /// There is more than is shown.
    has_more: bool,
    /// Objects that could not be looked into.
    unindexed: usize,
}

struct Row {
    bucket: String,
    key: String,
    link: String,
    address: String,
    provider: String,
    remark: &'static str,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let field = |name: &str| visit.asked.query.get(name).map(|text| text.trim().to_owned());
    let query = ResourceQuery {
        type_name: field("type"),
        name: field("name"),
        address: field("address"),
        provider: field("provider"),
    };
    let fields = [&query.type_name, &query.name, &query.address, &query.provider];
    let is_asked = fields.iter().any(|field| field.is_some());
    let (mut rows, mut has_more, mut unindexed) = (Vec::new(), false, 0);
    let (bucket, prefix) = (visit.asked.query("bucket"), visit.asked.query("prefix"));
    if is_asked {
        let buckets = match bucket {
            "" => visit.buckets().await?.unwrap_or_default(),
            bucket => vec![bucket.to_owned()],
        };
        for bucket in buckets.iter().take(BUCKETS_MAX) {
            let room = FOUND_MAX - rows.len();
            if room == 0 {
                has_more = true;
                break;
            }
            let findings = match visit.client.search_first(bucket, prefix, &query, room).await {
                Ok(findings) => findings.unwrap_or_default(),
                Err(error) => {
                    unless_denied::<()>(error)?;
                    continue;
                }
            };
            unindexed += findings.unindexed.len();
            has_more |= findings.has_more;
            rows.extend(findings.found.into_iter().map(|it| Row::new(bucket, it)));
        }
    }
    let text = |field: Option<String>| field.unwrap_or_default();
    let page = Search {
        shell: visit.shell("search", "Search", command(bucket, prefix, &query)),
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        type_name: text(query.type_name),
        name: text(query.name),
        address: text(query.address),
        provider: text(query.provider),
        is_asked,
        rows,
        has_more,
        unindexed,
    };
    Ok(answer::html(StatusCode::OK, &page))
}

fn command(bucket: &str, prefix: &str, query: &ResourceQuery) -> String {
    let place = match bucket {
        "" => "BUCKET".to_owned(),
        bucket => view::address(bucket, prefix),
    };
    let options = [
        ("--type", &query.type_name),
        ("--name", &query.name),
        ("--address", &query.address),
        ("--provider", &query.provider),
    ];
    let options = options.into_iter().filter_map(|(option, value)| {
        value.as_ref().map(|value| format!(" {option} {}", view::quoted(value)))
    });
    format!("tidelock state search {place}{}", options.collect::<String>())
}

impl Row {
    fn new(bucket: &str, found: FoundInstance) -> Self {
        let remark = match (found.deposed.is_some(), found.tainted) {
            (true, _) => "deposed",
            (false, true) => "tainted",
            (false, false) => "",
        };
        Self {
            link: view::place("/state", &[("bucket", bucket), ("key", &found.key)]),
            bucket: bucket.to_owned(),
            key: found.key,
            address: found.address,
            provider: found.provider,
            remark,
        }
    }
}
