//! Moves states with all their versions from other places into a bucket: local files, another S3 endpoint,
//! a backend with a lock table, Terraform's PostgreSQL backend.
//!
//! The source is only read. What is at the destination tells how far an earlier run came: there is no
//! journal, and a run that was killed is finished by running it again. It refuses to know what a state
//! says; it moves bytes, and compares what arrived with what was sent.

mod backend;
mod body;
mod destination;
mod files;
mod history;
mod key;
mod lock_table;
mod postgres;
mod report;
mod s3;
mod source;

use std::collections::HashSet;

use bytes::Bytes;
use ring::digest::{SHA256, digest};

use crate::state::{AcquireError, NewLock, Operation, StateLock, Stop, UnderLock};
use crate::transfer::{Settled, settled};
use crate::{Client, ClientError, ErrorKind};

pub use backend::{BackendEdit, EditError, edit_backend};
use destination::Destination;
pub use files::FileSource;
use history::{Course, Event, Keeping, Past};
pub use key::{FolderKeys, PrefixKeys};
pub use lock_table::LockTable;
pub use postgres::{POSTGRES_SCHEMA, PostgresSource};
pub use report::{StateReport, Verdict};
pub use s3::S3Source;
pub use source::{Source, SourceError, SourceState};

/// How long a lock at the destination is waited for.
const LOCK_WAIT: std::time::Duration = std::time::Duration::ZERO;

/// The code of a destination that is gone.
const NO_BUCKET: &str = "NoSuchBucket";

/// States on their way from one place to another.
#[derive(Debug)]
pub struct Migration<'a> {
    source: &'a Source,
    destination: Destination<'a>,
    who: String,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateMode {
    /// Only looks, and says what would be done.
    DryRun,
    /// Writes.
    Real,
}

/// Why a migration ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The source cannot be read.
    #[error("the source: {0}")]
    Source(SourceError),
    /// The destination cannot be reached, or is not there; or the caller gave up.
    #[error(transparent)]
    Destination(#[from] ClientError),
    /// The lock of a state may be left at the destination; the next run takes it over.
    #[error("{error}; the lock {id} of {key} may have been taken: run it again, or release it")]
    LockLeft {
        /// Key of the state.
        key: String,
        /// ID of the lock.
        id: String,
        /// What went wrong first.
        error: ClientError,
    },
    /// Two states would have one key.
    #[error("two states would go to {0}")]
    SameKey(String),
}

/// Why one state is not moved, while the others are.
enum Stopped {
    /// What the report says.
    Refused(Verdict, String),
    /// The migration ends.
    Ended(MigrateError),
}

impl<'a> Migration<'a> {
    /// A migration into `bucket`, under locks that name `who` (`user@host`). Looks at the bucket.
    ///
    /// # Errors
    /// [`MigrateError::Destination`] when the bucket is not there or may not be looked at.
    pub async fn open(
        source: &'a Source,
        (client, bucket): (&'a Client, &'a str),
        who: &str,
    ) -> Result<Self, MigrateError> {
        let destination = Destination::open(client, bucket).await?;
        Ok(Self { source, destination, who: who.to_owned() })
    }

    /// Whether the destination keeps more than the current version of each state.
    pub fn keeps_versions(&self) -> bool {
        self.destination.keeping() == Keeping::Versions
    }

    /// What may be a state at the source, in order of the keys at the destination.
    ///
    /// # Errors
    /// [`MigrateError::Source`]; [`MigrateError::SameKey`].
    pub async fn states(&self) -> Result<Vec<SourceState>, MigrateError> {
        let mut states = self.source.states().await.map_err(MigrateError::Source)?;
        states.sort_by(|a, b| a.key.cmp(&b.key));
        let mut keys = HashSet::new();
        match states.iter().find(|state| !keys.insert(&state.key)) {
            Some(state) => Err(MigrateError::SameKey(state.key.clone())),
            None => Ok(states),
        }
    }

    /// Moves one state, or says what would become of it. When `stop` ends first, what is written stays,
    /// and the lock is given back.
    ///
    /// # Errors
    /// [`MigrateError`] where no other state could be moved either; whatever is wrong with this one only
    /// is in the report.
    pub async fn migrate(
        &self,
        state: &SourceState,
        mode: MigrateMode,
        mut stop: Stop<'_>,
    ) -> Result<StateReport, MigrateError> {
        let mut report = StateReport::of(state);
        let looked = unless(stop.as_mut(), self.look(state, &mut report)).await;
        let done = match (looked, mode) {
            (Ok((past, Course::Write { .. })), MigrateMode::Real) => {
                let written = self.write_locked(state, &past, &mut report, stop).await;
                written.map(|()| (Verdict::Migrated, String::new()))
            }
            (Ok((_, course)), MigrateMode::Real) => {
                self.release_left(state).await.map(|()| verdict_on(&course))
            }
            (Ok((_, course)), MigrateMode::DryRun) => Ok(verdict_on(&course)),
            (Err(stopped), _) => Err(stopped),
        };
        match done {
            Ok((verdict, reason)) | Err(Stopped::Refused(verdict, reason)) => {
                Ok(StateReport { verdict, reason, ..report })
            }
            Err(Stopped::Ended(error)) => Err(error),
        }
    }

    /// What is at the source, and what is to be done about it.
    async fn look(
        &self,
        state: &SourceState,
        report: &mut StateReport,
    ) -> Result<(Past, Course), Stopped> {
        self.require_unlocked(state).await?;
        let past = self.source.past(state).await.map_err(Stopped::of_source)?;
        report.count(&past);
        if !past.has_state() {
            let reason = "no version of it is a state".to_owned();
            return Err(Stopped::Refused(Verdict::NotAState, reason));
        }
        let found = self.found(&state.key).await?;
        let course = history::course(&past, &found, self.destination.keeping());
        Ok((past, course))
    }

    async fn require_unlocked(&self, state: &SourceState) -> Result<(), Stopped> {
        match self.source.holder(state).await.map_err(Stopped::of_source)? {
            None => Ok(()),
            Some(holder) => {
                Err(Stopped::Refused(Verdict::Locked, format!("locked at the source, by {holder}")))
            }
        }
    }

    async fn write_locked(
        &self,
        state: &SourceState,
        past: &Past,
        report: &mut StateReport,
        stop: Stop<'_>,
    ) -> Result<(), Stopped> {
        let place = (self.destination.bucket(), state.key.as_str());
        let lock = self.lock(state);
        let client = self.destination.client();
        let work = async |stop: Stop<'_>| self.write(state, past, report, stop).await;
        let done = client.with_lock(place, &lock, LOCK_WAIT, stop, work).await;
        let UnderLock { result, release } =
            done.map_err(|error| Stopped::of_lock(&state.key, error))?;
        result?;
        release.map_err(Stopped::of_destination)?;
        // Whoever has locked it since may have written it too.
        self.require_unlocked(state).await?;
        match self.source.is_still(state, past).await.map_err(Stopped::of_source)? {
            true => Ok(()),
            false => Err(Stopped::changed("moved")),
        }
    }

    /// Gives back the lock of a run that was killed after its last write. Where something is to be
    /// written, [`write_locked`](Self::write_locked) takes it over.
    async fn release_left(&self, state: &SourceState) -> Result<(), Stopped> {
        let lock = self.lock(state);
        let bucket = self.destination.bucket();
        let released = self.destination.client().release_lock(bucket, &state.key, lock.id());
        match released.await {
            // Who may not look at locks there has left none.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(()),
            released => released.map(drop).map_err(Stopped::of_destination),
        }
    }

    /// The same lock in every run of this migration: one that was killed is followed by one that has its
    /// lock. Should both run, each write of either is made on the condition that nothing came between.
    fn lock(&self, state: &SourceState) -> NewLock {
        let origin = self.source.to_string();
        let named =
            format!("{origin}\n{}\n{}\n{}", state.name, self.destination.bucket(), state.key);
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&SHA256, named.as_bytes()).as_ref()[..16]);
        let info = format!("tidelock migrate, from {origin}: {}", state.name);
        NewLock::new(id, Operation::MigrationDestination, &info, &self.who)
    }

    /// Writes what is missing, oldest first, and reads all of it again. A write that is under way when
    /// `stop` ends is waited for.
    async fn write(
        &self,
        state: &SourceState,
        past: &Past,
        report: &mut StateReport,
        mut stop: Stop<'_>,
    ) -> Result<(), Stopped> {
        let key = state.key.as_str();
        // Nobody else writes from now on.
        let found = unless(stop.as_mut(), self.found(key)).await?;
        let Course::Write { from } = history::course(past, &found, self.destination.keeping())
        else {
            return Err(Stopped::overtaken());
        };
        let mut front = found.front();
        for event in &past.events[from..] {
            let bytes = unless(stop.as_mut(), self.body(state, event)).await?;
            let write = self.destination.write(key, event, bytes, front);
            let Settled { result, is_stopped } = settled(stop.as_mut(), write).await;
            front = result.map_err(Stopped::of_destination)?;
            report.written += 1;
            if is_stopped {
                return Err(Stopped::interrupted());
            }
        }
        let found = unless(stop, self.found(key)).await?;
        match history::course(past, &found, self.destination.keeping()) {
            Course::Same => Ok(()),
            Course::Ahead | Course::Write { .. } | Course::Differs(_) => Err(Stopped::overtaken()),
        }
    }

    /// What is at the destination.
    async fn found(&self, key: &str) -> Result<Past, Stopped> {
        self.destination.past(key).await.map_err(Stopped::of_destination)
    }

    /// What is to be written for an event; none of a delete marker.
    async fn body(&self, state: &SourceState, event: &Event) -> Result<Option<Bytes>, Stopped> {
        let Some(body) = &event.body else { return Ok(None) };
        let read = self.source.read(state, event).await.map_err(Stopped::of_source)?;
        if body.is_of(&read) { Ok(Some(read)) } else { Err(Stopped::changed("read")) }
    }
}

impl Stopped {
    fn interrupted() -> Self {
        Self::Ended(ClientError::Interrupted.into())
    }

    fn overtaken() -> Self {
        let reason =
            "what arrived is not what was sent: somebody else has written there".to_owned();
        Self::Refused(Verdict::Failed, reason)
    }

    fn changed(deed: &str) -> Self {
        Self::Refused(Verdict::Failed, format!("it changed while it was {deed}: run it again"))
    }

    fn of_source(error: SourceError) -> Self {
        if error.is_of_one_state() {
            Self::Refused(Verdict::Failed, format!("the source: {error}"))
        } else {
            Self::Ended(MigrateError::Source(error))
        }
    }

    fn of_destination(error: ClientError) -> Self {
        let is_of_all = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Interrupted => true,
            ErrorKind::NotFound => error.code() == Some(NO_BUCKET),
            ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::Other => false,
        };
        if is_of_all {
            Self::Ended(error.into())
        } else {
            Self::Refused(Verdict::Failed, error.to_string())
        }
    }

    fn of_lock(key: &str, error: AcquireError) -> Self {
        match error {
            AcquireError::Held(lock) => {
                let reason = format!("locked at the destination, by {}", holder(&lock));
                Self::Refused(Verdict::Locked, reason)
            }
            AcquireError::Left { id, error } => {
                Self::Ended(MigrateError::LockLeft { key: key.to_owned(), id, error })
            }
            AcquireError::Client(error) => Self::of_destination(error),
        }
    }
}

/// What a state is called of which nothing was written.
fn verdict_on(course: &Course) -> (Verdict, String) {
    match course {
        Course::Same => (Verdict::Same, String::new()),
        Course::Ahead => (Verdict::Ahead, String::new()),
        Course::Write { .. } => (Verdict::WouldMigrate, String::new()),
        Course::Differs(difference) => (Verdict::Different, difference.to_string()),
    }
}

/// Who holds a lock, in words.
fn holder(lock: &StateLock) -> String {
    let who = if lock.who.is_empty() { "somebody" } else { lock.who.as_str() };
    let fields = [("for", &lock.operation), ("since", &lock.created), ("ID", &lock.id)];
    let told = fields.iter().filter(|(_, value)| !value.is_empty());
    let told: String = told.map(|(name, value)| format!(", {name} {value}")).collect();
    format!("{who}{told}")
}

/// What `work` gives, unless `stop` ends first.
async fn unless<T>(
    stop: Stop<'_>,
    work: impl Future<Output = Result<T, Stopped>>,
) -> Result<T, Stopped> {
    tokio::select! {
        biased;
        () = stop => Err(Stopped::interrupted()),
        result = work => result,
    }
}
