//! `tidelock bucket edit`

use std::time::Duration;

use tidelock_client::guard::{GuardEdit, GuardLevel, LockHistory};

use crate::commands::lock::duration;
use crate::connect::{ChangeArgs, Session, require_tidelock};
use crate::exit::Failure;

/// The word for no limit.
const NONE: &str = "none";

/// Change how a bucket is set up: versioning, public access, and on Tidelock the guard of its states
///
/// What is not named stays as it is. --guard sets all rules of the guard at once, as `bootstrap` does;
/// the single flags are applied on top.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    bucket: String,
    /// All rules of the guard; with `off` the bucket has none
    #[arg(long, value_name = "LEVEL")]
    guard: Option<Level>,
    /// Only the holder of the lock writes a state
    #[arg(long, value_name = "LEVEL")]
    lock_writes: Option<Level>,
    /// A state follows the one before: same lineage, higher serial
    #[arg(long, value_name = "LEVEL")]
    serial: Option<Level>,
    /// Whether a state is written only under a lock
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    lock_required: Option<bool>,
    /// What stays of locks in a versioned bucket
    #[arg(long, value_name = "HISTORY")]
    lock_history: Option<History>,
    /// A lock is quiet after this long without a write
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    stale_after: Option<Duration>,
    /// Largest state in bytes, or `none`
    #[arg(long, value_name = "BYTES", value_parser = size)]
    state_bytes_max: Option<Size>,
    /// Whether old versions are kept
    #[arg(long, value_name = "STATUS")]
    versioning: Option<Versioning>,
    /// Whether every way to open it to everybody is refused
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    block_public_access: Option<bool>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// The rule is not looked at
    Off,
    /// What breaks it is done, and recorded
    Observe,
    /// What breaks it is refused
    Enforce,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum History {
    /// Versions and delete markers, as of any object
    Keep,
    /// Nothing but the audit log
    Purge,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Versioning {
    /// Every write makes a version
    Enabled,
    /// Versions stay, new ones are not made
    Suspended,
}

/// None for any size.
#[derive(Clone, Copy, Debug)]
struct Size(Option<u64>);

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (bucket, edit) = (self.bucket.as_str(), self.edit()?);
        let (drops, edits) = (self.guard == Some(Level::Off), edit != GuardEdit::default());
        let is_s3 = self.versioning.is_some() || self.block_public_access.is_some();
        if !drops && !edits && !is_s3 {
            return Err(Failure::usage("nothing to change: see --help"));
        }
        if drops || edits {
            require_tidelock(session, "only Tidelock guards states").await?;
        }
        if !self.change.is_real(&format!("change bucket {bucket}")) {
            return Ok(());
        }
        match self.versioning {
            Some(Versioning::Enabled) => session.client.enable_versioning(bucket).await?,
            Some(Versioning::Suspended) => session.client.suspend_versioning(bucket).await?,
            None => {}
        }
        match self.block_public_access {
            Some(true) => session.client.block_public_access(bucket).await?,
            Some(false) => session.client.allow_public_access(bucket).await?,
            None => {}
        }
        if drops {
            session.client.delete_guard(bucket).await?;
        } else if edits {
            session.client.edit_guard(bucket, &edit).await?;
        }
        Ok(())
    }

    fn edit(&self) -> Result<GuardEdit, Failure> {
        let base = match self.guard {
            None | Some(Level::Off) => GuardEdit::default(),
            Some(level) => GuardEdit::all(level.into()),
        };
        let edit = GuardEdit {
            lock_writes: self.lock_writes.map(GuardLevel::from).or(base.lock_writes),
            serial: self.serial.map(GuardLevel::from).or(base.serial),
            lock_required: self.lock_required.or(base.lock_required),
            lock_history: self.lock_history.map(LockHistory::from).or(base.lock_history),
            stale_after_seconds: self
                .stale_after
                .map(|after| after.as_secs())
                .or(base.stale_after_seconds),
            state_bytes_max: self.state_bytes_max.map(|size| size.0).or(base.state_bytes_max),
        };
        if self.guard == Some(Level::Off) && edit != GuardEdit::default() {
            return Err(Failure::usage("--guard off leaves no rules to set"));
        }
        Ok(edit)
    }
}

fn size(text: &str) -> Result<Size, String> {
    match text {
        NONE => Ok(Size(None)),
        digits => {
            let bytes =
                digits.parse().map_err(|_| "takes a number of bytes, or none".to_owned())?;
            Ok(Size(Some(bytes)))
        }
    }
}

impl From<Level> for GuardLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Observe => Self::Observe,
            Level::Enforce => Self::Enforce,
        }
    }
}

impl From<History> for LockHistory {
    fn from(history: History) -> Self {
        match history {
            History::Keep => Self::Keep,
            History::Purge => Self::Purge,
        }
    }
}
