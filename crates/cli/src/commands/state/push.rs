//! `tidelock state push`

use std::path::{Path, PathBuf};
use std::pin::pin;

use tidelock_client::state::{
    DOCUMENT_BYTES_MAX, NewState, PushCheck, PushError, Pushed, UnderLock,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::PUSH_OPERATION;
use crate::address::ObjectAddress;
use crate::commands::lock::{LockFailure, Taker, WaitArgs, report};
use crate::connect::{ChangeArgs, Session};
use crate::exit::{Failure, stopped};

/// Write a state from a file, under its lock, without changing a byte
///
/// Refused is a state of another lineage than the one there, or with a lower serial, or with the same
/// serial and other content; and what is no state. As `terraform state push`, it goes over a state
/// that holds nothing.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// The file, or `-` for stdin
    file: PathBuf,
    /// Whatever is there, and whatever lineage and serial it has
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let new = self.read().await?;
        let check = if self.force { PushCheck::Forced } else { PushCheck::Checked };
        let deed = format!("write {} as {bucket}/{key}", self.file.display());
        if !self.change.is_real(&deed) {
            let verdict = session.client.check_push(bucket, key, &new, check).await;
            self.tell(verdict.map_err(|error| self.refused(error))?);
            return Ok(());
        }
        let mut stop = pin!(stopped()?);
        let lock = Taker::of(session, &self.state).lock(PUSH_OPERATION, "").await?;
        let (place, wait) = ((bucket.as_str(), key.as_str()), self.wait.wait);
        let pushed =
            session.client.push_state(place, (&new, check), &lock, wait, stop.as_mut()).await;
        let UnderLock { result, release } =
            pushed.map_err(|error| LockFailure(&self.state, error))?;
        let released = report(&self.state, &lock, release);
        self.tell(result.map_err(|error| self.refused(error))?);
        released
    }

    async fn read(&self) -> Result<NewState, Failure> {
        let named = |error: &dyn std::fmt::Display| {
            Failure::other(&format!("{}: {error}", self.file.display()))
        };
        let source: Box<dyn AsyncRead + Send + Unpin> = if self.file == Path::new("-") {
            Box::new(tokio::io::stdin())
        } else {
            let file = tokio::fs::File::open(&self.file).await;
            Box::new(file.map_err(|error| named(&error))?)
        };
        let mut bytes = Vec::new();
        let limit = DOCUMENT_BYTES_MAX as u64 + 1;
        let read = source.take(limit).read_to_end(&mut bytes).await;
        read.map_err(|error| named(&error))?;
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(named(&format!("larger than {} MiB", DOCUMENT_BYTES_MAX >> 20)));
        }
        NewState::parse(bytes).map_err(|error| named(&format!("not a state: {error}")))
    }

    fn refused(&self, error: PushError) -> Failure {
        let ObjectAddress { bucket, key } = &self.state;
        match error {
            PushError::Client(error) => error.into(),
            PushError::Overtaken => Failure::in_use(&format!("{bucket}/{key}: {error}")),
            PushError::Lineage { .. }
            | PushError::Serial { .. }
            | PushError::SameSerial(_)
            | PushError::Unknown(_) => {
                Failure::in_use(&format!("{bucket}/{key}: {error}; --force writes it nevertheless"))
            }
        }
    }

    fn tell(&self, verdict: Pushed) {
        match verdict {
            Pushed::Written => {}
            Pushed::Same => eprintln!("tidelock: these very bytes are there already"),
        }
    }
}
