//! `tidelock state list`

use std::collections::BTreeMap;

use serde::Serialize;
use tidelock_client::state::{
    DocumentError, Format, KnownState, KnownStates, ListedState, StateError, StateLock, workspace,
};

use crate::address::BucketPrefix;
use crate::commands::lock::lock_line;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row, text};

/// List the states of a bucket, with their locks
///
/// From what Tidelock has derived where the bucket is guarded; elsewhere reads every object that may be
/// a state. What is none is left out.
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
    /// ARN of who wrote it; only Tidelock tells, of a guarded bucket.
    written_by: Option<String>,
    /// Bytes.
    size: u64,
    lock: Option<StateLock>,
    /// Why not everything is known.
    note: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        if let Some(known) = session.client.known_states(bucket, prefix).await? {
            return self.list_known(session, known).await;
        }
        let mut states = session.client.list_states(bucket, prefix).await?;
        let mut list = List::new(session.format);
        while let Some(listed) = states.next().await? {
            if self.all || may_be_state(&listed) {
                list.extend(vec![ListRow::from(listed)])?;
            }
        }
        list.finish()
    }

    /// What is known, and what the bodies of the others say.
    async fn list_known(self, session: &Session, known: KnownStates) -> Result<(), Failure> {
        let rows = known.states.into_iter().map(|state| (state.key.clone(), ListRow::from(state)));
        let mut rows: BTreeMap<String, ListRow> = rows.collect();
        let mut states = session.client.read_states(&self.place.bucket, known.unknown);
        while let Some(listed) = states.next().await? {
            let locked = rows.remove(&listed.object.key);
            if self.all || locked.is_some() || may_be_state(&listed) {
                let lock = locked.and_then(|row| row.lock);
                let row = ListRow { lock, ..ListRow::from(listed) };
                rows.insert(row.key.clone(), row);
            }
        }
        let mut list = List::new(session.format);
        list.extend(rows.into_values().collect())?;
        list.finish()
    }
}

/// What cannot be read may be one.
pub(super) fn may_be_state(listed: &ListedState) -> bool {
    match listed.unread {
        Some(StateError::NotAState(_)) => listed.state.is_some(),
        Some(
            StateError::NotWritten
            | StateError::TooLarge { .. }
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
            written_by: None,
            size: listed.object.size,
            lock: listed.lock,
            note: listed.unread.map(|error| error.to_string()),
        }
    }
}

impl From<KnownState> for ListRow {
    fn from(known: KnownState) -> Self {
        let note = match &known.facts {
            None if known.size.is_none() => Some(StateError::NotWritten.to_string()),
            Some(facts) if facts.format_version.is_none() => {
                Some(DocumentError::Encrypted.to_string())
            }
            Some(facts) if facts.counts.is_none() => {
                Some("too large or too new to be looked into".to_owned())
            }
            None | Some(_) => None,
        };
        let facts = known.facts.as_ref();
        let counts = facts.and_then(|facts| facts.counts);
        Self {
            workspace: workspace(&known.key).to_owned(),
            serial: facts.map(|facts| facts.serial),
            lineage: facts.map(|facts| facts.lineage.clone()),
            format_version: facts.and_then(|facts| facts.format_version),
            terraform_version: facts.and_then(|facts| facts.terraform_version.clone()),
            resources: counts.map(|counts| counts.managed),
            outputs: counts.map(|counts| counts.outputs),
            last_modified: known.last_modified.unwrap_or_default(),
            written_by: known.written_by,
            size: known.size.unwrap_or_default(),
            lock: known.lock.map(StateLock::from),
            note,
            key: known.key,
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
        "written_by",
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
            text(self.written_by.as_ref()),
            self.size.to_string(),
            text(self.lock.as_ref().map(lock_line)),
            text(self.note.as_ref()),
        ]
    }
}
