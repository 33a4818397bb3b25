//! What an operation reads, and the rule that nobody is answered from a read that was not confirmed.
//!
//! An engine may have been replaced by another one and not know it yet: what it reads then is outdated.
//! Its commits fail, so a commit that checks what was read needs no more. Any other answer, a refusal
//! included, waits for one [`MetaStore::confirm`] after the last read. Rows can be reached only through
//! [`Rows`], and every way to them says what becomes of that rule.
//!
//! A confirmation counts for the reads of one [`Epoch`] of the engine. When the engine has begun another
//! one since the first read, what was read is no answer: the client is told to try again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tidelock_meta::{
    Batch, Direction, Epoch, Group, Health, Key, KeyRange, MetaError, MetaStore, Outcome,
    ReadLevel, Versioned, successor_of_key,
};

use crate::error::StorageError;

/// Rows of one step through a range that is read to its end.
const SCAN_STEP_ROWS: usize = 500;

/// The rows of the store.
pub(crate) struct Rows {
    meta: Arc<dyn MetaStore>,
}

impl Rows {
    pub(crate) fn new(meta: Arc<dyn MetaStore>) -> Self {
        Self { meta }
    }

    /// That there is nothing to be done is an acknowledgement as well, and rests on what is read. A write that
    /// was not acknowledged when the disk failed may be there after the next start: of an object that is not
    /// seen nobody is told until then that it is deleted.
    pub(crate) fn require_serving(&self) -> Result<(), StorageError> {
        match self.meta.health() {
            Health::Serving => Ok(()),
            Health::ReadOnly(why) | Health::Unavailable(why) => Err(StorageError::Unavailable(why)),
        }
    }

    /// An operation that only reads: what it answers, good or bad, is confirmed.
    pub(crate) async fn answer<T, E, F>(&self, read: impl FnOnce(Reading) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<StorageError>,
    {
        let reading = self.begin();
        let result = read(reading.clone()).await;
        reading.confirm(result).await
    }

    /// A look ahead of a commit that checks again what was seen: only a refusal is confirmed.
    pub(crate) async fn look<T, E, F>(&self, read: impl FnOnce(Reading) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<StorageError>,
    {
        let reading = self.begin();
        match read(reading.clone()).await {
            Ok(seen) => Ok(seen),
            refused => reading.confirm(refused).await,
        }
    }

    /// Reads that are confirmed one by one: for the sweeper, and for what became of a commit.
    pub(crate) fn latest(&self) -> Reading {
        Reading::new(self, Purpose::Latest)
    }

    /// Reads of rows that are written once, under keys that only a confirmed row can have told.
    pub(crate) fn immutable(&self) -> Reading {
        Reading::new(self, Purpose::Immutable)
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        self.meta.commit(batch).await
    }

    /// Reads that the caller confirms. Only for the modules of the commit.
    pub(super) fn begin(&self) -> Reading {
        Reading::new(self, Purpose::Operation)
    }
}

/// The reads of one operation, one after another.
#[derive(Clone)]
pub(crate) struct Reading {
    meta: Arc<dyn MetaStore>,
    purpose: Purpose,
    progress: Arc<Mutex<Progress>>,
}

/// What makes sure that a read was the latest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A commit, or a confirmation at the end.
    Operation,
    /// That the row never changes.
    Immutable,
    /// The engine, read by read.
    Latest,
}

#[derive(Default)]
struct Progress {
    /// When the first read began that nobody has confirmed yet.
    waiting_since: Option<Epoch>,
    has_failed: bool,
}

impl Reading {
    fn new(rows: &Rows, purpose: Purpose) -> Self {
        Self { meta: rows.meta.clone(), purpose, progress: Arc::default() }
    }

    /// The rows under `keys`, from one snapshot.
    pub(crate) async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StorageError> {
        self.begin();
        self.done(self.meta.get(keys, self.level()).await)
    }

    /// One row.
    pub(crate) async fn row(&self, key: Key) -> Result<Option<Versioned>, StorageError> {
        Ok(self.get(&[key]).await?.pop().flatten())
    }

    /// The value of one row.
    pub(crate) async fn value(&self, key: Key) -> Result<Option<Bytes>, StorageError> {
        Ok(self.row(key).await?.map(|row| row.value))
    }

    /// The first `limit` rows of a range, from one snapshot.
    pub(crate) async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StorageError> {
        self.begin();
        self.done(self.meta.scan(range, limit, Direction::Forward, self.level()).await)
    }

    /// The value of every row of a range that is known to be small.
    pub(crate) async fn all(&self, range: KeyRange) -> Result<Vec<(Key, Bytes)>, StorageError> {
        let rows = self.rows(range).await?;
        Ok(rows.into_iter().map(|(key, row)| (key, row.value)).collect())
    }

    /// Every row of a range that is known to be small.
    pub(crate) async fn rows(
        &self,
        range: KeyRange,
    ) -> Result<Vec<(Key, Versioned)>, StorageError> {
        let mut all = Vec::new();
        let mut rest = range;
        loop {
            let rows = self.scan(rest.clone(), SCAN_STEP_ROWS).await?;
            let complete = rows.len() < SCAN_STEP_ROWS;
            if let Some((last, _)) = rows.last() {
                rest = rest.starting_at(successor_of_key(last));
            }
            all.extend(rows);
            if complete {
                return Ok(all);
            }
        }
    }

    /// The rows of a range by what they begin with; see [`MetaStore::scan_grouped`].
    pub(crate) async fn scan_grouped(
        &self,
        range: KeyRange,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
    ) -> Result<Vec<Group>, StorageError> {
        self.begin();
        let level = self.level();
        self.done(self.meta.scan_grouped(range, skip, delimiter, limit, level).await)
    }

    /// Makes sure, before something slow is done, that all that was read until now was the latest.
    pub(crate) async fn confirm_now(&self) -> Result<(), StorageError> {
        let Some(since) = self.progress().waiting_since else { return Ok(()) };
        self.meta.confirm(since).await?;
        self.progress().waiting_since = None;
        Ok(())
    }

    /// Answers `result` once all that was read for it is known to have been the latest. A failure of
    /// the engine itself says nothing of what is stored, and is answered as it is.
    pub(super) async fn confirm<T, E>(&self, result: Result<T, E>) -> Result<T, E>
    where
        E: From<StorageError>,
    {
        if result.is_ok() || !self.progress().has_failed {
            self.confirm_now().await?;
        }
        result
    }

    /// Forgets what was read: it plays no part in the answer.
    pub(super) fn begin_anew(&self) {
        *self.progress() = Progress::default();
    }

    /// Remembers that the engine failed.
    pub(super) fn failed(&self) {
        self.progress().has_failed = true;
    }

    /// Before each read: the epoch must have been there before what is read in it.
    fn begin(&self) {
        if self.purpose == Purpose::Operation {
            let now = self.meta.epoch();
            self.progress().waiting_since.get_or_insert(now);
        }
    }

    fn done<T>(&self, read: Result<T, MetaError>) -> Result<T, StorageError> {
        Ok(read.inspect_err(|_| self.failed())?)
    }

    fn level(&self) -> ReadLevel {
        match self.purpose {
            Purpose::Operation | Purpose::Immutable => ReadLevel::Unconfirmed,
            Purpose::Latest => ReadLevel::Latest,
        }
    }

    /// Each change is one assignment: a panic elsewhere leaves nothing half done.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
