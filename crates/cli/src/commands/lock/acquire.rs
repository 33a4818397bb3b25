//! `tidelock lock acquire`

use std::pin::pin;

use serde::Serialize;
use tidelock_client::state::NewLock;

use super::{LockFailure, Taker, WaitArgs, report};
use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::{Failure, stopped};
use crate::output::text_or;

/// The word that stands for these commands in a lock.
pub(super) const OPERATION: &str = "tidelock-lock";

/// Take the lock of a state and keep it, for maintenance; prints its ID
///
/// Nothing renews it and nothing gives it back but `tidelock lock release` or `terraform
/// force-unlock`. Exits with 5 while somebody else has it.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state, whose lock is at KEY.tflock
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// What for; whoever meets the lock is shown it
    #[arg(long, value_name = "TEXT", default_value = "")]
    info: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, Serialize)]
struct AcquiredDocument<'a> {
    bucket: &'a str,
    key: &'a str,
    id: &'a str,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        if !self.change.is_real(&format!("take the lock of {bucket}/{key}")) {
            return Ok(());
        }
        let mut stop = pin!(stopped()?);
        let lock = Taker::of(session, &self.state).lock(OPERATION, &self.info).await?;
        let (place, wait) = ((bucket.as_str(), key.as_str()), self.wait.wait);
        let taken = session.client.acquire_lock(place, &lock, wait, stop.as_mut()).await;
        taken.map_err(|error| LockFailure(&self.state, error))?;
        let document = AcquiredDocument { bucket, key, id: lock.id() };
        match text_or(session.format, &format!("{}\n", lock.id()), &document) {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.untold(session, &lock, &failure).await),
        }
    }

    /// Gives back a lock whose ID nobody was told.
    async fn untold(&self, session: &Session, lock: &NewLock, failure: &Failure) -> Failure {
        let ObjectAddress { bucket, key } = &self.state;
        let release = session.client.release_lock(bucket, key, lock.id()).await;
        let why =
            if failure.is_silent() { "nobody reads it".to_owned() } else { failure.to_string() };
        match report(&self.state, lock, release) {
            Ok(()) => {
                Failure::other(&format!("its ID was not written: {why}; the lock is given back"))
            }
            Err(failure) => failure,
        }
    }
}
