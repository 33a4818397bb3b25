//! `tidelock lock show`

use tidelock_client::state::ListedLock;

use super::list::LockRow;
use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::text_or;

/// Show who holds the lock of a state; exits with 3 if nobody does
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state, whose lock is at KEY.tflock
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let found = session.client.find_lock(bucket, key).await?;
        let found = found.ok_or_else(|| not_locked(&self.state))?;
        let (lock, last_modified) = (found.lock, found.last_modified);
        let held = session.client.held_locks(bucket, key).await?.unwrap_or_default();
        let held = held.into_iter().find(|it| it.key == *key && it.lock.id == lock.id);
        let seen = held.map(|held| held.seen);
        let row = LockRow::from(ListedLock { key: key.clone(), lock, last_modified, seen });
        text_or(session.format, &row.text(), &row)
    }
}

pub(super) fn not_locked(ObjectAddress { bucket, key }: &ObjectAddress) -> Failure {
    Failure::not_found(&format!("{bucket}/{key} is not locked"))
}
