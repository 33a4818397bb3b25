//! `tidelock state versions`

use serde::Serialize;
use tidelock_client::ObjectVersion;
use tidelock_client::state::{Changes, StateVersion, VersionHistory};

use super::unreadable;
use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row, text};

/// The version id of what was written without versioning.
pub(super) const NULL_VERSION: &str = "null";

/// List the versions of a state, newest first, and what each changed
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// Only the newest COUNT
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

/// One version or delete marker; what is not known of it is null.
#[derive(Debug, Serialize)]
struct VersionRow {
    version_id: Option<String>,
    last_modified: String,
    is_latest: bool,
    delete_marker: bool,
    serial: Option<u64>,
    terraform_version: Option<String>,
    /// Bytes.
    size: u64,
    /// Instances of managed resources.
    resources: Option<usize>,
    /// Instances against the body before.
    changes: Option<Changes>,
    /// Why not everything is known.
    note: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let listed = match session.client.state_history(bucket, key).await? {
            VersionHistory::Known(listed) if !listed.is_empty() => listed,
            // A store without versioning may answer with an empty list, too.
            VersionHistory::Known(_) | VersionHistory::NotSupported => {
                return self.only_current(session).await;
            }
        };
        if let [only] = listed.as_slice()
            && only.version_id == NULL_VERSION
        {
            eprintln!("tidelock: {bucket} keeps no versions: this is all there is");
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut versions = session.client.state_versions(bucket, key, listed, limit);
        let mut list = List::new(session.format);
        while let Some(version) = versions.next().await? {
            list.extend(vec![VersionRow::from(version)])?;
        }
        list.finish()
    }

    async fn only_current(&self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let read = session.client.read_state(bucket, key, None).await;
        let body = read.map_err(|error| unreadable(&self.state, error))?;
        eprintln!("tidelock: the endpoint lists no versions of {bucket}: only the current state");
        let counts = body.document().ok().map(|document| document.summary().counts());
        let row = VersionRow {
            version_id: body.version_id.clone(),
            last_modified: body.last_modified.clone(),
            is_latest: true,
            delete_marker: false,
            serial: Some(body.state.serial),
            terraform_version: body.state.terraform_version.clone(),
            size: body.size_bytes(),
            resources: counts.map(|counts| counts.managed),
            changes: None,
            note: body.document().err().map(|error| error.to_string()),
        };
        let mut list = List::new(session.format);
        list.extend(vec![row])?;
        list.finish()
    }
}

impl From<StateVersion> for VersionRow {
    fn from(StateVersion { version, read }: StateVersion) -> Self {
        let ObjectVersion { version_id, is_latest, delete_marker, size, last_modified, .. } =
            version;
        let read = read.unwrap_or_default();
        let (serial, terraform_version) = match read.state {
            Some(state) => (Some(state.serial), state.terraform_version),
            None => (None, None),
        };
        Self {
            version_id: Some(version_id),
            last_modified,
            is_latest,
            delete_marker,
            serial,
            terraform_version,
            size,
            resources: read.counts.map(|counts| counts.managed),
            changes: read.changes,
            note: read.unread.map(|error| error.to_string()),
        }
    }
}

impl Row for VersionRow {
    const COLUMNS: &'static [&'static str] = &[
        "version_id",
        "last_modified",
        "serial",
        "terraform",
        "size",
        "resources",
        "changes",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        let changes = self
            .changes
            .map(|Changes { added, changed, removed }| format!("+{added} ~{changed} -{removed}"));
        let note = match (&self.note, self.delete_marker, self.is_latest) {
            (Some(note), _, _) => note,
            (None, true, true) => "deleted",
            (None, true, false) => "delete marker",
            (None, false, true) => "latest",
            (None, false, false) => "",
        };
        vec![
            text(self.version_id.as_ref()),
            self.last_modified.clone(),
            text(self.serial),
            text(self.terraform_version.as_ref()),
            self.size.to_string(),
            text(self.resources),
            text(changes),
            note.to_owned(),
        ]
    }
}
