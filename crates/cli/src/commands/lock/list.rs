//! `tidelock lock list`

use serde::Serialize;
use tidelock_client::state::{ListedLock, workspace};

use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

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
    fn from(ListedLock { key, lock, last_modified }: ListedLock) -> Self {
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
        }
    }
}

impl Row for LockRow {
    const COLUMNS: &'static [&'static str] =
        &["key", "workspace", "who", "operation", "since", "id", "last_modified"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.workspace.clone(),
            self.who.clone(),
            self.operation.clone(),
            self.since.clone(),
            self.id.clone(),
            self.last_modified.clone().unwrap_or_default(),
        ]
    }
}
