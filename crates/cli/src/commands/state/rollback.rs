//! `tidelock state rollback`

use std::pin::pin;

use tidelock_client::state::{Document, Rollback, RollbackError, UnderLock};

use super::show::NOTHING;
use super::{PUSH_OPERATION, RevealArgs, diff, unreadable};
use crate::address::ObjectAddress;
use crate::commands::lock::{LockFailure, Taker, WaitArgs, report};
use crate::connect::{ChangeArgs, Session};
use crate::exit::{Failure, stopped};

/// Put an old version of a state in front again, after showing what that changes
///
/// The old version is copied forward under the lock: every byte as it was but the digits of the
/// serial, which becomes one more than any version has. No version is lost. Only the state changes:
/// resources that were made since are forgotten, not destroyed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// The version that comes back; `tidelock state versions` lists them
    #[arg(long, value_name = "VERSION_ID")]
    to: String,
    #[command(flatten)]
    reveal: RevealArgs,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let plan = session.client.plan_rollback(bucket, key, &self.to).await;
        let plan = plan.map_err(|error| self.refused(error))?;
        self.preview(session, &plan)?;
        eprintln!("tidelock: only the state changes: no infrastructure is touched");
        let deed =
            format!("roll {bucket}/{key} back to version {}, as serial {}", self.to, plan.serial);
        self.change.confirm(&deed, "nothing was rolled back")?;
        if !self.change.is_real(&deed) {
            return Ok(());
        }
        let mut stop = pin!(stopped()?);
        let info = format!("rollback to {}", self.to);
        let lock = Taker::of(session, &self.state).lock(PUSH_OPERATION, &info).await?;
        let (place, wait) = ((bucket.as_str(), key.as_str()), self.wait.wait);
        let done = session.client.roll_back(place, &plan, &lock, wait, stop.as_mut()).await;
        let UnderLock { result, release } =
            done.map_err(|error| LockFailure(&self.state, error))?;
        let released = report(&self.state, &lock, release);
        result.map_err(|error| self.refused(error))?;
        released
    }

    /// The current state against the one that comes back.
    fn preview(&self, session: &Session, plan: &Rollback) -> Result<(), Failure> {
        let nothing = Document::parse(NOTHING).map_err(|error| Failure::other(&error))?;
        let current = plan.current.as_ref().map(|current| current.document());
        let (current, target) = match (current.transpose(), plan.target.document()) {
            (Ok(current), Ok(target)) => (current, target),
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("tidelock: what changes cannot be shown: {error}");
                return Ok(());
            }
        };
        if current.is_none() {
            eprintln!("tidelock: there is no state now: all of the version is new");
        }
        let side = |version| (self.state.clone(), version);
        let new = diff::Side::new(side(Some(self.to.clone())), &plan.target);
        let old = match &plan.current {
            Some(current) => diff::Side::new(side(None), current),
            None => diff::Side::nothing(side(None)),
        };
        let current = current.as_ref().unwrap_or(&nothing);
        diff::print(session, (current, &target), (old, new), self.reveal.show()).map(drop)
    }

    fn refused(&self, error: RollbackError) -> Failure {
        let ObjectAddress { bucket, key } = &self.state;
        let named = |error: &dyn std::fmt::Display| format!("{bucket}/{key}: {error}");
        match error {
            RollbackError::State(error) => unreadable(&self.state, error),
            RollbackError::Overtaken | RollbackError::Current => Failure::in_use(&named(&error)),
            RollbackError::Splice(_) | RollbackError::NoVersions | RollbackError::SerialsUsedUp => {
                Failure::other(&named(&error))
            }
        }
    }
}
