//! One state: what it holds, its versions, who holds it, what was refused, what happened.

use std::collections::HashMap;

use askama::Template;
use http::StatusCode;
use tidelock_client::ObjectVersion;
use tidelock_client::audit::AuditFilter;
use tidelock_client::guard::RefusedState;
use tidelock_client::state::{
    Counts, Diff, Document, Show, State, StateBody, StateError, StateVersion, Value,
    VersionHistory, workspace,
};

use super::locks::{self, LockInfo};
use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::chart::{self, Chart};
use crate::failure::{self, Failure};
use crate::view::{self, Moment, Told};

/// A state of nothing: against it, every output is new.
const NOTHING: &[u8] = br#"{"version":4,"serial":0,"lineage":""}"#;
/// Versions on one page.
const VERSIONS_MAX: usize = 50;
/// Instances on one page; the filter finds the others.
const INSTANCES_MAX: usize = 500;
/// Outputs on one page; the command line shows all.
const OUTPUTS_MAX: usize = 500;
/// Entries of the audit log on one page.
const ENTRIES_MAX: usize = 100;

/// What of a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Resources,
    Outputs,
    Versions,
    Refused,
    Activity,
    Backend,
}

const TABS: &[(Tab, &str, &str)] = &[
    (Tab::Resources, "resources", "Resources"),
    (Tab::Outputs, "outputs", "Outputs"),
    (Tab::Versions, "versions", "Versions"),
    (Tab::Refused, "refused", "Refused"),
    (Tab::Activity, "activity", "Activity"),
    (Tab::Backend, "backend", "Backend block"),
];

#[derive(Template)]
#[template(path = "state.html")]
struct StatePage {
    shell: Shell,
    bucket: String,
    key: String,
    workspace: String,
    tabs: Vec<TabLink>,
    facts: Option<Facts>,
    /// Why not everything is known.
    note: String,
    lock: Option<LockInfo>,
    release: String,
    content: Content,
}

struct TabLink {
    title: &'static str,
    link: String,
    is_current: bool,
}

struct Facts {
    serial: u64,
    lineage: String,
    program: String,
    version_id: String,
    written: Told,
    size: String,
    counts: Option<Counts>,
}

enum Content {
    Resources { rows: Vec<InstanceRow>, filter: String, left_out: usize },
    Outputs { rows: Vec<OutputRow>, is_revealed: bool, left_out: usize },
    Versions { rows: Vec<VersionRow>, left_out: usize, charts: Vec<Chart> },
    Refused { rows: Vec<RefusedRow> },
    Activity { rows: Option<Vec<EntryRow>> },
    Backend { block: String },
}

struct InstanceRow {
    address: String,
    provider: String,
    remark: &'static str,
}

struct OutputRow {
    name: String,
    is_sensitive: bool,
    is_masked: bool,
    value: String,
}

/// A version, or a delete marker.
struct VersionRow {
    id: String,
    is_latest: bool,
    is_deletion: bool,
    serial: Option<u64>,
    resources: Option<usize>,
    changes: Option<(usize, usize, usize)>,
    written: Told,
    size: String,
    size_bytes: u64,
    note: String,
    diff: Option<String>,
    rollback: Option<String>,
}

struct RefusedRow {
    refused: Told,
    code: String,
    message: String,
    by: String,
    from: String,
    size: String,
    command: String,
}

pub(super) struct EntryRow {
    pub(super) time: Told,
    pub(super) action: String,
    pub(super) code: String,
    pub(super) by: String,
    pub(super) from: String,
    /// Bucket and key, where the page is not about one.
    pub(super) object: String,
    pub(super) about: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let asked = visit.asked.query("tab");
    let tab = TABS.iter().find(|(_, name, _)| *name == asked).map_or(Tab::Resources, |it| it.0);
    page(visit, tab, Show::Masked).await
}

/// The outputs with their sensitive values. The read is in the audit log, under a name of its own.
pub(super) async fn reveal(visit: &Visit<'_>) -> Page {
    page(visit, Tab::Outputs, Show::Revealed).await
}

async fn page(visit: &Visit<'_>, tab: Tab, show: Show) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let client = match show {
        Show::Masked => &visit.client,
        Show::Revealed => &visit.client.with_user_agent(super::REVEALING),
    };
    let (body, note) = match client.read_state(bucket, key, None).await {
        Ok(body) => (Some(body), String::new()),
        Err(StateError::Client(error)) => (None, absent(visit, error, (bucket, key)).await?),
        Err(StateError::TooLarge { bytes_max }) => {
            let command = format!("tidelock state show {}", view::address(bucket, key));
            (None, failure::too_large(bytes_max, &command))
        }
        Err(error) => (None, error.to_string()),
    };
    let document = body.as_ref().map(StateBody::document).transpose();
    let (document, note) = match document {
        Ok(document) => (document, note),
        Err(error) => (None, error.to_string()),
    };
    let content = content(visit, tab, (bucket, key), document.as_ref(), show).await?;
    let counts = document.as_ref().map(|document| document.summary().counts());
    let facts = body.as_ref().map(|body| Facts::new(body, counts, visit.now()));
    let page = StatePage {
        shell: visit.shell("states", key, command(tab, bucket, key)),
        workspace: workspace(key).to_owned(),
        tabs: tabs(tab, bucket, key),
        facts,
        note,
        lock: locks::info(visit, bucket, key).await?,
        release: view::place("/release", &[("bucket", bucket), ("key", key)]),
        content,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// A state that is gone, or was never written, still has a history and a lock.
async fn absent(
    visit: &Visit<'_>,
    error: tidelock_client::ClientError,
    (bucket, key): (&str, &str),
) -> Result<String, Failure> {
    if error.kind() != tidelock_client::ErrorKind::NotFound {
        return Err(error.into());
    }
    let history = visit.client.state_history(bucket, key).await?;
    let is_known = matches!(&history, VersionHistory::Known(versions) if !versions.is_empty());
    if is_known {
        return Ok("There is no state now: it was deleted. Its versions are kept.".to_owned());
    }
    match locks::info(visit, bucket, key).await? {
        Some(_) => Ok("It is locked, but was never written.".to_owned()),
        None => Err(error.into()),
    }
}

fn tabs(current: Tab, bucket: &str, key: &str) -> Vec<TabLink> {
    let tab = |(tab, name, title): &(Tab, &str, &'static str)| TabLink {
        title,
        link: view::place("/state", &[("bucket", bucket), ("key", key), ("tab", name)]),
        is_current: *tab == current,
    };
    TABS.iter().map(tab).collect()
}

fn command(tab: Tab, bucket: &str, key: &str) -> String {
    let address = view::address(bucket, key);
    match tab {
        Tab::Resources => format!("tidelock state resources {address}"),
        Tab::Outputs => format!("tidelock state show {address}"),
        Tab::Versions => format!("tidelock state versions {address}"),
        Tab::Refused => format!("tidelock state refused list {address}"),
        Tab::Activity => {
            format!("tidelock audit query --bucket {} --prefix {}", bucket, view::quoted(key))
        }
        Tab::Backend => format!("tidelock bootstrap {bucket}"),
    }
}

async fn content(
    visit: &Visit<'_>,
    tab: Tab,
    (bucket, key): (&str, &str),
    document: Option<&Document<'_>>,
    show: Show,
) -> Result<Content, Failure> {
    Ok(match tab {
        Tab::Resources => resources(document, visit.asked.query("filter")),
        Tab::Outputs => {
            let (rows, left_out) =
                document.map(|document| outputs(document, show)).unwrap_or_default();
            Content::Outputs { rows, is_revealed: show == Show::Revealed, left_out }
        }
        Tab::Versions => versions(visit, bucket, key).await?,
        Tab::Refused => {
            let refused = visit.client.list_refused(bucket, key).await;
            let refused = match refused {
                Ok(refused) => refused,
                Err(error) if error.code() == Some("NotGuarded") => Vec::new(),
                Err(error) => unless_denied(error)?.unwrap_or_default(),
            };
            let own = refused.into_iter().filter(|refused| refused.key == key).rev();
            let now = visit.now();
            Content::Refused { rows: own.map(|it| RefusedRow::new(bucket, it, now)).collect() }
        }
        Tab::Activity => Content::Activity { rows: activity(visit, bucket, key).await? },
        Tab::Backend => Content::Backend { block: (visit.console.config.backend)(bucket, key) },
    })
}

fn resources(document: Option<&Document<'_>>, filter: &str) -> Content {
    let mut rows = Vec::new();
    let mut left_out = 0;
    for resource in document.iter().flat_map(|document| &document.summary().resources) {
        for instance in &resource.instances {
            let address = resource.instance_address(instance);
            if !address.contains(filter) {
                continue;
            }
            if rows.len() == INSTANCES_MAX {
                left_out += 1;
                continue;
            }
            let remark = match (&instance.deposed, instance.tainted) {
                (Some(_), _) => "deposed",
                (None, true) => "tainted",
                (None, false) => "",
            };
            rows.push(InstanceRow { address, provider: resource.provider.clone(), remark });
        }
    }
    Content::Resources { rows, filter: filter.to_owned(), left_out }
}

/// The first outputs with their values, and how many more there are.
fn outputs(document: &Document<'_>, show: Show) -> (Vec<OutputRow>, usize) {
    let Ok(nothing) = Document::parse(NOTHING) else { return (Vec::new(), 0) };
    let values = Diff::of(&nothing, document, show).outputs;
    let values: HashMap<&str, &Option<Value>> =
        values.iter().map(|value| (value.name.as_str(), &value.new)).collect();
    let row = |output: &tidelock_tfstate::Output| {
        let value = values.get(output.name.as_str()).and_then(|value| value.as_ref());
        OutputRow {
            name: output.name.clone(),
            is_sensitive: output.sensitive,
            is_masked: matches!(value, Some(Value::Masked)),
            value: value.map_or_else(|| "null".to_owned(), view::value),
        }
    };
    let all = &document.summary().outputs;
    let rows: Vec<OutputRow> = all.iter().take(OUTPUTS_MAX).map(row).collect();
    let left_out = all.len() - rows.len();
    (rows, left_out)
}

async fn versions(visit: &Visit<'_>, bucket: &str, key: &str) -> Result<Content, Failure> {
    let listed = match visit.client.state_history(bucket, key).await? {
        VersionHistory::Known(listed) => listed,
        VersionHistory::NotSupported => Vec::new(),
    };
    let left_out = listed.len().saturating_sub(VERSIONS_MAX);
    let bodies = listed.iter().filter(|version| !version.delete_marker);
    let before: Vec<String> = bodies.map(|version| version.version_id.clone()).collect();
    let (mut rows, now) = (Vec::new(), visit.now());
    let mut versions = visit.client.state_versions(bucket, key, listed, VERSIONS_MAX);
    while let Some(version) = versions.next().await? {
        rows.push(VersionRow::new((bucket, key), version, &before, now));
    }
    let oldest_first = || rows.iter().rev().filter(|row| !row.is_deletion);
    let label = |row: &VersionRow| format!("serial {}", row.serial.unwrap_or_default());
    let charts = [
        chart::bars(
            "Resources by version",
            oldest_first().filter_map(|row| {
                let count = row.resources? as u64;
                Some((label(row), count, count.to_string()))
            }),
        ),
        chart::bars(
            "Size by version",
            oldest_first().map(|row| (label(row), row.size_bytes, row.size.clone())),
        ),
    ];
    let charts = charts.into_iter().flatten().collect();
    Ok(Content::Versions { rows, left_out, charts })
}

async fn activity(
    visit: &Visit<'_>,
    bucket: &str,
    key: &str,
) -> Result<Option<Vec<EntryRow>>, Failure> {
    let filter = AuditFilter {
        bucket: Some(bucket.to_owned()),
        prefix: Some(key.to_owned()),
        ..AuditFilter::default()
    };
    let page = match visit.client.latest_audit_page(&filter, ENTRIES_MAX).await {
        Ok(page) => page,
        Err(error) => return unless_denied(error),
    };
    let now = visit.now();
    Ok(Some(page.entries.into_iter().rev().map(|entry| EntryRow::new(entry, now)).collect()))
}

impl Facts {
    fn new(body: &StateBody, counts: Option<Counts>, now: Moment) -> Self {
        let State { serial, lineage, terraform_version, .. } = &body.state;
        Self {
            serial: *serial,
            lineage: lineage.clone(),
            program: terraform_version.clone().unwrap_or_default(),
            version_id: body.version_id.clone().unwrap_or_default(),
            written: now.told(&body.last_modified),
            size: view::size(body.size_bytes()),
            counts,
        }
    }
}

impl VersionRow {
    fn new(
        (bucket, key): (&str, &str),
        version: StateVersion,
        bodies: &[String],
        now: Moment,
    ) -> Self {
        let StateVersion { version, read } = version;
        let ObjectVersion { version_id, is_latest, delete_marker, last_modified, size, .. } =
            version;
        let read = read.unwrap_or_default();
        let at = bodies.iter().position(|id| *id == version_id);
        let before = at.and_then(|at| bodies.get(at + 1));
        let place = [("bucket", bucket), ("key", key)];
        let diff = before.map(|before| {
            let ids = [("old", before.as_str()), ("new", version_id.as_str())];
            view::place("/diff", &[&place[..], &ids].concat())
        });
        let rollback = (!delete_marker && !is_latest).then(|| {
            view::place("/rollback", &[&place[..], &[("version", version_id.as_str())]].concat())
        });
        Self {
            is_latest,
            is_deletion: delete_marker,
            serial: read.state.as_ref().map(|state| state.serial),
            resources: read.counts.map(|counts| counts.managed),
            changes: read.changes.map(|it| (it.added, it.changed, it.removed)),
            written: now.told(&last_modified),
            size: view::size(size),
            size_bytes: size,
            note: read.unread.map(|error| error.to_string()).unwrap_or_default(),
            diff,
            rollback,
            id: version_id,
        }
    }
}

impl RefusedRow {
    fn new(bucket: &str, refused: RefusedState, now: Moment) -> Self {
        let address = view::address(bucket, &refused.key);
        Self {
            refused: now.told(&refused.refused),
            command: format!("tidelock state refused get {address} {}", refused.id),
            by: view::short_arn(&refused.principal).to_owned(),
            from: refused.address,
            size: view::size(refused.size),
            code: refused.code,
            message: refused.message,
        }
    }
}

impl EntryRow {
    pub(super) fn new(entry: tidelock_client::audit::AuditEntry, now: Moment) -> Self {
        let parts = [entry.lock_operation, entry.reason, entry.message, entry.subject];
        Self {
            time: now.told(&entry.time),
            by: view::short_arn(&entry.principal).to_owned(),
            from: entry.address.unwrap_or_default(),
            action: entry.action,
            code: entry.code,
            object: String::new(),
            about: parts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_outputs_of_many_have_their_values() {
        let output = |number: usize| {
            let sensitive = number == 1;
            format!(r#""o{number}":{{"value":{number},"type":"number","sensitive":{sensitive}}}"#)
        };
        for (count, left_out) in [(3, 0), (OUTPUTS_MAX, 0), (20_000, 20_000 - OUTPUTS_MAX)] {
            let outputs: Vec<String> = (0..count).map(output).collect();
            let outputs = outputs.join(",");
            let body =
                format!(r#"{{"version":4,"serial":1,"lineage":"l","outputs":{{{outputs}}}}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let (rows, left) = super::outputs(&document, Show::Masked);
            assert_eq!((rows.len(), left), (count - left_out, left_out), "{count}");
            assert_eq!((rows[1].is_masked, rows[1].is_sensitive), (true, true));
            assert_eq!((rows[2].name.as_str(), rows[2].value.as_str()), ("o2", "2"));
            let (rows, _) = super::outputs(&document, Show::Revealed);
            assert_eq!((rows[1].is_masked, rows[1].value.as_str()), (false, "1"));
        }
    }
}
