//! `tidelock lock release`

use tidelock_client::ErrorKind;
use tidelock_client::guard::HeldLock;
use tidelock_client::state::{ListedLock, Release, StateLock};

use super::list::LockRow;
use super::lock_line;
use super::show::not_locked;
use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output::{printable, text_or};

/// The code of a state of whose lock the guard does not know.
const NOT_LOCKED: &str = "NotLocked";

/// Release the lock of a state, whoever holds it; prints what was released
///
/// A run that still works under the lock goes on, and writes its state: make sure that there is none.
/// Exits with 3 if nobody holds it, with 5 if it is not the one that was meant.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state, whose lock is at KEY.tflock
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// Only the lock of this ID
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Why; the audit log of Tidelock keeps it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let found = session.client.find_lock(bucket, key).await?;
        let found = found.ok_or_else(|| not_locked(&self.state))?;
        if self.id.as_ref().is_some_and(|id| *id != found.lock.id) {
            return Err(self.another(&found.lock));
        }
        let holder = printable(&lock_line(&found.lock));
        let deed = format!("release the lock of {bucket}/{key}: {holder}");
        self.change.confirm(&deed, "nothing was released")?;
        if !self.change.is_real(&deed) {
            return Ok(());
        }
        let last_modified = found.last_modified.clone();
        let row =
            |lock, seen| LockRow::from(ListedLock { key: key.clone(), lock, last_modified, seen });
        if let Some(held) = self.release_by_server(session, &found.lock).await? {
            let row = row(held.lock, Some(held.seen));
            return text_or(session.format, &row.text(), &row);
        }
        if !self.reason.is_empty() {
            eprintln!(
                "tidelock: the reason is not kept: the lock is given back as its holder does"
            );
        }
        match session.client.release_found(bucket, key, found).await? {
            Release::Released(lock) => {
                let row = row(lock, None);
                text_or(session.format, &row.text(), &row)
            }
            Release::Gone => Err(not_locked(&self.state)),
            Release::Another(lock) => Err(self.another(&lock)),
        }
    }

    /// Where the server minds the lock, it is told why; none where it does not, and where the caller may not
    /// break locks: its own it may still give back, by deleting the object.
    async fn release_by_server(
        &self,
        session: &Session,
        lock: &StateLock,
    ) -> Result<Option<HeldLock>, Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        if !session.client.is_tidelock().await? {
            return Ok(None);
        }
        // What is no lock body has no ID to name it by.
        let id = Some(lock.id.as_str()).filter(|id| !id.is_empty());
        match session.client.release_held(bucket, key, id, &self.reason).await {
            Err(error) if error.code() == Some(NOT_LOCKED) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            released => Ok(released?),
        }
    }

    fn another(&self, lock: &StateLock) -> Failure {
        let ObjectAddress { bucket, key } = &self.state;
        let (id, line) = (printable(&lock.id), printable(&lock_line(lock)));
        Failure::in_use(&format!("{bucket}/{key} has another lock, {id}: {line}; it stays"))
    }
}
