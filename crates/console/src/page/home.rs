//! The states of all buckets, with their locks: where everybody starts.

use askama::Template;
use http::StatusCode;
use tidelock_client::state::{KnownState, StateLock, StatesPage};

use super::locks::{self, BoardRow};
use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// States of one bucket on one page.
const STATES_MAX: usize = 100;
/// Buckets whose states the first page shows; the others are a click away.
const BUCKETS_MAX: usize = 10;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    bucket: String,
    prefix: String,
    /// None where this user may not list buckets: they say which.
    buckets: Option<Vec<String>>,
    parts: Vec<Part>,
    board: Vec<BoardRow>,
    left_out: usize,
}

/// The states of one bucket.
struct Part {
    bucket: String,
    prefix: String,
    guarded: bool,
    states: Vec<StateRow>,
    /// Objects that are not known to be states.
    unknown: usize,
    /// Where the rest is.
    next: Option<String>,
    /// Why they are not shown.
    refusal: String,
}

/// One state.
struct StateRow {
    key: String,
    link: String,
    workspace: String,
    serial: String,
    resources: String,
    program: String,
    written: Told,
    by: String,
    lock: Option<LockBadge>,
}

/// Who holds it, in short.
struct LockBadge {
    who: String,
    operation: String,
    since: Told,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let (bucket, prefix) = (visit.asked.query("bucket"), visit.asked.query("prefix"));
    let buckets = visit.buckets().await?;
    let shown = match (bucket, &buckets) {
        ("", Some(buckets)) => buckets.iter().take(BUCKETS_MAX).cloned().collect(),
        ("", None) => Vec::new(),
        (bucket, _) => vec![bucket.to_owned()],
    };
    let left_out = match (bucket, &buckets) {
        ("", Some(buckets)) => buckets.len() - shown.len(),
        _ => 0,
    };
    let mut parts = Vec::with_capacity(shown.len());
    for bucket in &shown {
        parts.push(part(visit, bucket, prefix).await?);
    }
    let board = locks::held(visit, &shown, prefix).await?;
    let command = match bucket {
        "" => "tidelock state list BUCKET".to_owned(),
        bucket => format!("tidelock state list {}", view::address(bucket, prefix)),
    };
    let shell = visit.shell("states", "States", command);
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    let page = Home { shell, bucket, prefix, buckets, parts, board, left_out };
    Ok(answer::html(StatusCode::OK, &page))
}

async fn part(visit: &Visit<'_>, bucket: &str, prefix: &str) -> Result<Part, Failure> {
    let after = visit.asked.query.get("after");
    let page = match visit.client.states_page(bucket, prefix, after, STATES_MAX).await {
        Ok(page) => page,
        Err(error) => {
            let refusal = error.to_string();
            unless_denied::<()>(error)?;
            return Ok(Part::refused(bucket, prefix, refusal));
        }
    };
    let unknown = page.unknown().filter(|key| !key.ends_with('/')).count();
    let StatesPage { guarded, states, next, .. } = page;
    let next = next.map(|after| {
        view::place("/", &[("bucket", bucket), ("prefix", prefix), ("after", &after)])
    });
    let now = visit.now();
    let states = states.into_iter().map(|state| StateRow::new(bucket, state, now)).collect();
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    Ok(Part { bucket, prefix, guarded, states, unknown, next, refusal: String::new() })
}

impl Part {
    fn refused(bucket: &str, prefix: &str, refusal: String) -> Self {
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let states = Vec::new();
        Self { bucket, prefix, guarded: true, states, unknown: 0, next: None, refusal }
    }
}

impl StateRow {
    fn new(bucket: &str, state: KnownState, now: Moment) -> Self {
        let facts = state.facts.as_ref();
        let counts = facts.and_then(|facts| facts.counts);
        let program = facts.and_then(|facts| facts.terraform_version.clone());
        let written = state.last_modified.as_deref().map(|at| now.told(at)).unwrap_or_default();
        let lock = state.lock.map(|lock| {
            let since = now.told(&lock.since);
            let lock = StateLock::from(lock);
            LockBadge { who: lock.who, operation: view::operation(&lock.operation), since }
        });
        Self {
            link: view::place("/state", &[("bucket", bucket), ("key", &state.key)]),
            workspace: tidelock_client::state::workspace(&state.key).to_owned(),
            serial: facts.map(|facts| facts.serial.to_string()).unwrap_or_default(),
            resources: counts.map(|counts| counts.managed.to_string()).unwrap_or_default(),
            program: program.unwrap_or_default(),
            written,
            by: state.written_by.as_deref().map(view::short_arn).unwrap_or_default().to_owned(),
            lock,
            key: state.key,
        }
    }
}
