//! `tidelock lock list`

use serde::Serialize;
use tidelock_client::guard::LockSeen;
use tidelock_client::state::{ListedLock, workspace};

use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row, printable};

/// What stands between a role and the run that has assumed it.
const FOR_RUN: &str = " for ";

/// List the locks of a bucket
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys of the states begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
}

/// One lock; empty is what it does not say.
#[derive(Debug, Serialize)]
pub(super) struct LockRow {
    /// Of the state.
    key: String,
    workspace: String,
    who: String,
    operation: String,
    info: String,
    /// Since when, by the clock of the client.
    since: String,
    id: String,
    /// The program that took it.
    version: String,
    /// When the lock was written, by the clock of the endpoint.
    last_modified: Option<String>,
    /// What the server saw of it; null where nobody looks.
    server: Option<LockSeen>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let locks = session.client.list_locks(bucket, prefix).await?;
        let mut list = List::new(session.format);
        list.extend(locks.into_iter().map(LockRow::from).collect())?;
        list.finish()
    }
}

impl From<ListedLock> for LockRow {
    fn from(ListedLock { key, lock, last_modified, seen }: ListedLock) -> Self {
        Self {
            workspace: workspace(&key).to_owned(),
            key,
            who: lock.who,
            operation: lock.operation,
            info: lock.info,
            since: lock.created,
            id: lock.id,
            version: lock.version,
            last_modified: Some(last_modified).filter(|time| !time.is_empty()),
            server: seen,
        }
    }
}

impl LockRow {
    /// Whether it was taken or written under lately; empty where nobody knows.
    fn looks(&self) -> &'static str {
        match &self.server {
            Some(seen) if seen.quiet => "quiet",
            Some(_) => "alive",
            None => "",
        }
    }

    /// Who holds it, and for which run, where it was taken in a role.
    fn who_and_run(&self) -> String {
        let holder = self.server.as_ref().map(|seen| seen.holder.as_str()).unwrap_or_default();
        match holder.split_once(FOR_RUN) {
            Some((_, run)) => format!("{}{FOR_RUN}{run}", self.who),
            None => self.who.clone(),
        }
    }

    /// A line for each thing that is known.
    pub(super) fn text(&self) -> String {
        let seen = self.server.as_ref();
        let of_server = |field: fn(&LockSeen) -> String| seen.map(field).unwrap_or_default();
        let lines = [
            ("state", self.key.clone()),
            ("workspace", self.workspace.clone()),
            ("who", self.who.clone()),
            ("operation", self.operation.clone()),
            ("info", self.info.clone()),
            ("since", self.since.clone()),
            ("id", self.id.clone()),
            ("version", self.version.clone()),
            ("written", self.last_modified.clone().unwrap_or_default()),
            ("holder", of_server(|seen| seen.holder.clone())),
            ("address", of_server(|seen| seen.address.clone())),
            ("agent", of_server(|seen| seen.user_agent.clone())),
            ("taken", of_server(|seen| seen.since.clone())),
            ("last write", of_server(|seen| seen.last_write.clone().unwrap_or_default())),
            ("looks", self.looks().to_owned()),
        ];
        let known = lines.into_iter().filter(|(_, value)| !value.is_empty());
        known.map(|(name, value)| format!("{name:<11}{}\n", printable(&value))).collect()
    }
}

impl Row for LockRow {
    const COLUMNS: &'static [&'static str] =
        &["key", "workspace", "who", "operation", "since", "id", "last_modified", "looks"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.workspace.clone(),
            self.who_and_run(),
            self.operation.clone(),
            self.since.clone(),
            self.id.clone(),
            self.last_modified.clone().unwrap_or_default(),
            self.looks().to_owned(),
        ]
    }
}
