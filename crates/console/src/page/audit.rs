//! The audit log: what was asked, by whom, and what became of it, the latest first.

use askama::Template;
use http::StatusCode;
use tidelock_client::audit::{self, AuditEntry, AuditFilter};

use super::state::EntryRow;
use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment};

/// Entries on one page.
const ENTRIES_MAX: usize = 100;
/// The fields of the filter, as the form and the command line call them.
const FIELDS: &[&str] = &["bucket", "prefix", "action", "principal", "since", "until"];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    bucket: String,
    prefix: String,
    action: String,
    principal: String,
    since: String,
    until: String,
    /// None where this user may not see them.
    rows: Option<Vec<EntryRow>>,
    /// Whether the latest are on another page.
    is_older: bool,
    latest: String,
    older: Option<String>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let asked = |name: &str| visit.asked.query.get(name).map(str::to_owned);
    let text = |name: &str| visit.asked.query(name).to_owned();
    let filter = AuditFilter {
        bucket: asked("bucket"),
        prefix: asked("prefix"),
        action: asked("action"),
        principal: asked("principal"),
        since: asked("since").map(|text| time(&text, visit.now())).transpose()?,
        until: asked("until").map(|text| time(&text, visit.now())).transpose()?,
    };
    let before = visit.asked.query.get("before");
    let found = visit.client.audit_page_before(&filter, before, ENTRIES_MAX).await;
    let found = match found {
        Ok(page) => Some(page),
        Err(error) => unless_denied(error)?,
    };
    let (given, now) = (given(visit), visit.now());
    let older = found
        .as_ref()
        .and_then(|page| page.previous.as_deref())
        .map(|previous| view::place("/audit", &[&given[..], &[("before", previous)]].concat()));
    let rows = found.map(|page| page.entries.into_iter().rev().map(|it| row(it, now)).collect());
    let page = AuditPage {
        shell: visit.shell("audit", "Audit log", command(&given)),
        bucket: text("bucket"),
        prefix: text("prefix"),
        action: text("action"),
        principal: text("principal"),
        since: text("since"),
        until: text("until"),
        rows,
        is_older: before.is_some(),
        latest: view::place("/audit", &given),
        older,
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// The fields of the filter that are set.
fn given<'a>(visit: &'a Visit<'_>) -> Vec<(&'static str, &'a str)> {
    let field = |name: &&'static str| Some((*name, visit.asked.query.get(name)?));
    FIELDS.iter().filter_map(field).collect()
}

fn command(given: &[(&str, &str)]) -> String {
    let flags = given.iter().map(|(name, value)| format!(" --{name} {}", view::quoted(value)));
    format!("tidelock audit query{}", flags.collect::<String>())
}

fn row(entry: AuditEntry, now: Moment) -> EntryRow {
    let bucket = entry.bucket.as_deref().unwrap_or_default();
    let object = match entry.key.as_deref() {
        Some(key) => format!("{bucket}/{key}"),
        None => bucket.to_owned(),
    };
    EntryRow { object, ..EntryRow::new(entry, now) }
}

fn time(text: &str, now: Moment) -> Result<String, Failure> {
    let wrong = || Failure::Entered(format!("'{text}' is neither a time nor an age like 24h"));
    audit::time(text, now.0).ok_or_else(wrong)
}
