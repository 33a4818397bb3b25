//! `tidelock state list`

use serde::Serialize;
use tidelock_client::state::{Format, ListedState, StateError, StateLock, workspace};

use crate::address::BucketPrefix;
use crate::commands::lock::lock_line;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List the states of a bucket, with their locks
///
/// Reads every object that may be a state. What is none is left out.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    /// Objects that are no state too, and why they are none
    #[arg(long)]
    all: bool,
}

/// One state; what is not known of it is null.
#[derive(Debug, Serialize)]
struct ListRow {
    key: String,
    workspace: String,
    serial: Option<u64>,
    lineage: Option<String>,
    /// Of the format of the body; none where it is encrypted.
    format_version: Option<u64>,
    terraform_version: Option<String>,
    /// Instances of managed resources.
    resources: Option<usize>,
    outputs: Option<usize>,
    last_modified: String,
    /// Bytes.
    size: u64,
    lock: Option<StateLock>,
    /// Why not everything is known.
    note: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let mut states = session.client.list_states(bucket, prefix).await?;
        let mut list = List::new(session.format);
        while let Some(listed) = states.next().await? {
            if self.all || may_be_state(&listed) {
                list.extend(vec![ListRow::from(listed)])?;
            }
        }
        list.finish()
    }
}

/// What cannot be read may be one.
pub(super) fn may_be_state(listed: &ListedState) -> bool {
    match listed.unread {
        Some(StateError::NotAState(_)) => listed.state.is_some(),
        Some(
            StateError::NotWritten
            | StateError::TooLarge
            | StateError::Document(_)
            | StateError::Client(_),
        )
        | None => true,
    }
}

impl From<ListedState> for ListRow {
    fn from(listed: ListedState) -> Self {
        let counts = listed.summary.map(|summary| summary.counts());
        let (serial, lineage, format, terraform_version) = match listed.state {
            Some(it) => (Some(it.serial), Some(it.lineage), Some(it.format), it.terraform_version),
            None => (None, None, None, None),
        };
        Self {
            workspace: workspace(&listed.object.key).to_owned(),
            key: listed.object.key,
            serial,
            lineage,
            format_version: format.as_ref().and_then(format_version),
            terraform_version,
            resources: counts.map(|counts| counts.managed),
            outputs: counts.map(|counts| counts.outputs),
            last_modified: listed.object.last_modified,
            size: listed.object.size,
            lock: listed.lock,
            note: listed.unread.map(|error| error.to_string()),
        }
    }
}

/// None of an encrypted state.
pub(super) fn format_version(format: &Format) -> Option<u64> {
    match format {
        Format::Clear { version } => Some(*version),
        Format::Encrypted { .. } => None,
    }
}

impl Row for ListRow {
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "workspace",
        "serial",
        "terraform",
        "resources",
        "outputs",
        "last_modified",
        "size",
        "lock",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.workspace.clone(),
            text(self.serial),
            text(self.terraform_version.as_ref()),
            text(self.resources),
            text(self.outputs),
            self.last_modified.clone(),
            self.size.to_string(),
            text(self.lock.as_ref().map(lock_line)),
            text(self.note.as_ref()),
        ]
    }
}

/// A cell; empty where nothing is known.
pub(super) fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
