//! Resources of all states, by type, name, address or provider.

use askama::Template;
use http::StatusCode;
use tidelock_client::state::{FoundInstance, ResourceQuery, SearchPart};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view;

/// Instances on one page.
const FOUND_MAX: usize = 500;
/// How many pages of 1,000 states the server looks into for one of ours: each takes it 10 ms.
const FULL_PAGES_MAX: usize = 3;
/// How many buckets whose states fit into one such page count as one that was full.
const BUCKETS_PER_FULL_PAGE: usize = 4;

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
    /// Where the search goes on, if it has not ended.
    goes_on: Option<String>,
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
    let (bucket, prefix) = (visit.asked.query("bucket"), visit.asked.query("prefix"));
    let looked =
        if is_asked { look(visit, bucket, prefix, &query).await? } else { Looked::default() };
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
        goes_on: looked.next.map(|(bucket, after)| further(visit, &bucket, &after)),
        rows: looked.rows,
        unindexed: looked.unindexed,
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// What a page of a search has found.
#[derive(Default)]
struct Looked {
    rows: Vec<Row>,
    unindexed: usize,
    /// In which bucket the search goes on, and where there.
    next: Option<(String, String)>,
}

/// Looks into one bucket or all, from where the page before has ended, until there is enough for a page.
async fn look(
    visit: &Visit<'_>,
    bucket: &str,
    prefix: &str,
    query: &ResourceQuery,
) -> Result<Looked, Failure> {
    let buckets = match bucket {
        "" => visit.buckets().await?.unwrap_or_default(),
        bucket => vec![bucket.to_owned()],
    };
    let (from, mut after) = (visit.asked.query("from"), visit.asked.query("after"));
    let (mut looked, mut left) = (Looked::default(), FULL_PAGES_MAX * BUCKETS_PER_FULL_PAGE);
    for bucket in buckets.iter().filter(|bucket| from.is_empty() || bucket.as_str() >= from) {
        let part = SearchPart {
            after: Some(after).filter(|after| !after.is_empty() && bucket == from),
            found_max: FOUND_MAX - looked.rows.len(),
            pages_max: left.div_ceil(BUCKETS_PER_FULL_PAGE),
        };
        after = "";
        if part.found_max == 0 || left == 0 {
            looked.next = Some((bucket.clone(), String::new()));
            break;
        }
        let findings = match visit.client.search_part(bucket, prefix, query, part).await {
            Ok(findings) => findings.unwrap_or_default(),
            Err(error) => {
                unless_denied::<()>(error)?;
                continue;
            }
        };
        let full_pages =
            if findings.next.is_some() { findings.pages } else { findings.pages.saturating_sub(1) };
        left = left.saturating_sub(1 + full_pages * BUCKETS_PER_FULL_PAGE);
        looked.unindexed += findings.unindexed.len();
        looked.rows.extend(findings.found.into_iter().map(|it| Row::new(bucket, it)));
        if let Some(next) = findings.next {
            looked.next = Some((bucket.clone(), next));
            break;
        }
    }
    Ok(looked)
}

/// The same search, from there on.
fn further(visit: &Visit<'_>, bucket: &str, after: &str) -> String {
    let kept = ["type", "name", "address", "provider", "bucket", "prefix"];
    let asked = kept.map(|name| (name, visit.asked.query(name)));
    let all = asked.into_iter().chain([("from", bucket), ("after", after)]);
    let given: Vec<_> = all.filter(|(_, value)| !value.is_empty()).collect();
    view::place("/search", &given)
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
