//! `tidelock state show`

use std::collections::HashMap;

use serde::Serialize;
use tidelock_client::ErrorKind;
use tidelock_client::state::{
    Check, CheckStatus, Counts, Diff, Document, Show, Shown, StateBody, StateLock, Value, workspace,
};

use super::list::format_version;
use super::resources::{InstanceRow, instances};
use super::{RevealArgs, unreadable};
use crate::address::ObjectAddress;
use crate::commands::lock::lock_line;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{printable, text_or};

/// A state of nothing: against it, every output is new.
pub(super) const NOTHING: &[u8] = br#"{"version":4,"serial":0,"lineage":""}"#;

/// Show what a state holds: resources, outputs, checks and its lock
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// This version instead of the current one
    #[arg(long, value_name = "ID")]
    version: Option<String>,
    #[command(flatten)]
    reveal: RevealArgs,
}

/// A state. Of an encrypted one there is no content.
#[derive(Debug, Serialize)]
struct StateDocument {
    bucket: String,
    key: String,
    workspace: String,
    version_id: Option<String>,
    last_modified: String,
    size: u64,
    serial: u64,
    lineage: String,
    /// Of the format of the body; none where it is encrypted.
    format_version: Option<u64>,
    terraform_version: Option<String>,
    lock: Option<StateLock>,
    #[serde(flatten)]
    content: Option<Content>,
    /// Why not everything is known.
    note: Option<String>,
}

/// What can be told only of a body in the clear.
#[derive(Debug, Serialize)]
struct Content {
    counts: Counts,
    resources: Vec<InstanceRow>,
    outputs: Vec<OutputRow>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct OutputRow {
    name: String,
    sensitive: bool,
    #[serde(flatten)]
    shown: Shown,
    #[serde(skip)]
    text: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let read = session.client.read_state(bucket, key, self.version.as_deref()).await;
        let body = read.map_err(|error| unreadable(&self.state, error))?;
        let lock = self.lock(session).await?;
        let show = self.reveal.show();
        let (content, note) = match content(&body, show) {
            Ok(content) => (Some(content), None),
            Err(failure) => (None, Some(failure)),
        };
        let document = StateDocument {
            bucket: bucket.clone(),
            key: key.clone(),
            workspace: workspace(key).to_owned(),
            version_id: body.version_id.clone(),
            last_modified: body.last_modified.clone(),
            size: body.size_bytes(),
            serial: body.state.serial,
            lineage: body.state.lineage.clone(),
            format_version: format_version(&body.state.format),
            terraform_version: body.state.terraform_version.clone(),
            lock,
            content,
            note,
        };
        text_or(session.format, &document.text(), &document)
    }
}

impl Args {
    /// S3 denies what is not there to who may not list the bucket.
    async fn lock(&self, session: &Session) -> Result<Option<StateLock>, Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        match session.client.state_lock(bucket, key).await {
            Err(error) if error.kind() == ErrorKind::Denied => {
                eprintln!("tidelock: whether it is locked cannot be read: {error}");
                Ok(None)
            }
            lock => Ok(lock?),
        }
    }
}

fn content(body: &StateBody, show: Show) -> Result<Content, String> {
    let document = body.document().map_err(|error| error.to_string())?;
    let nothing = Document::parse(NOTHING).map_err(|error| error.to_string())?;
    let values = Diff::of(&nothing, &document, show).outputs;
    let values: HashMap<&str, &Option<Value>> =
        values.iter().map(|value| (value.name.as_str(), &value.new)).collect();
    let summary = document.summary();
    let outputs = summary.outputs.iter().map(|output| {
        let null = Value::Json("null".to_owned());
        let found = values.get(output.name.as_str());
        let value = found.and_then(|found| (*found).clone()).unwrap_or(null);
        OutputRow {
            name: output.name.clone(),
            sensitive: output.sensitive,
            shown: Shown::from(&value),
            text: line(&value),
        }
    });
    Ok(Content {
        counts: summary.counts(),
        resources: instances(summary),
        outputs: outputs.collect(),
        checks: summary.checks.clone(),
    })
}

/// A value for people.
pub(super) fn line(value: &Value) -> String {
    match value {
        Value::Masked => "(sensitive value)".to_owned(),
        Value::Json(json) => json.clone(),
        Value::Long { bytes } => format!("({bytes} bytes)"),
    }
}

impl StateDocument {
    fn text(&self) -> String {
        let mut lines = vec![
            format!("state      {}/{}", self.bucket, self.key),
            format!("workspace  {}", self.workspace),
            format!("serial     {}", self.serial),
            format!("lineage    {}", self.lineage),
        ];
        let mut add = |name: &str, value: Option<&str>| {
            lines.extend(value.map(|value| format!("{name:<11}{value}")));
        };
        add("terraform", self.terraform_version.as_deref());
        add("version", self.version_id.as_deref());
        add("written", Some(&self.last_modified));
        add("size", Some(&format!("{} bytes", self.size)));
        add("lock", Some(self.lock.as_ref().map(lock_line).as_deref().unwrap_or("none")));
        add("note", self.note.as_deref());
        if let Some(content) = &self.content {
            content.add_to(&mut lines);
        }
        lines.iter().map(|line| printable(line) + "\n").collect()
    }
}

impl Content {
    fn add_to(&self, lines: &mut Vec<String>) {
        let Counts { managed, data, deposed, tainted, .. } = self.counts;
        lines.push(String::new());
        lines.push(format!(
            "resources  {managed} managed, {data} data, {deposed} deposed, {tainted} tainted"
        ));
        lines.extend(self.resources.iter().map(|instance| match instance.remark() {
            remark if remark.is_empty() => format!("  {}", instance.address),
            remark => format!("  {} ({remark})", instance.address),
        }));
        if !self.outputs.is_empty() {
            lines.push(String::new());
            lines.push("outputs".to_owned());
            let output = |output: &OutputRow| format!("  {} = {}", output.name, output.text);
            lines.extend(self.outputs.iter().map(output));
        }
        if !self.checks.is_empty() {
            lines.push(String::new());
            lines.push("checks".to_owned());
            let check = |check: &Check| format!("  {}: {}", check.address, word(check.status));
            lines.extend(self.checks.iter().map(check));
        }
    }
}

fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Pass => "pass",
        CheckStatus::Fail => "fail",
        CheckStatus::Error => "error",
        CheckStatus::Unknown => "unknown",
    }
}
