//! The engine for tests: a map behind a lock, as strict as the strictest engine, gone with the
//! process. Knows nothing of disks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{
    Batch, Direction, Expect, Key, KeyRange, Limits, MetaError, MetaStore, Outcome, ReadLevel,
    Version, Versioned, Write, contract,
};

/// A [`MetaStore`] that lives in memory and takes [`Limits::COMMON`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
    faults: Faults,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// What this store shall do wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// Whether a commit that answers [`MetaError::Unknown`] took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCommit {
    /// It was applied, as far as its checks held; only the answer was lost.
    Applied,
    /// It was lost before anything was written.
    Lost,
}

/// Faults to come, in the order they were asked for; each strikes one commit.
#[derive(Debug, Default)]
pub struct Faults {
    unknown: Mutex<VecDeque<UnknownCommit>>,
}

impl Faults {
    /// Lets the next `commits` commits answer [`MetaError::Unknown`], after the ones already due.
    pub fn answer_unknown(&self, commits: usize, fate: UnknownCommit) {
        locked(&self.unknown).extend(std::iter::repeat_n(fate, commits));
    }

    fn next(&self) -> Option<UnknownCommit> {
        locked(&self.unknown).pop_front()
    }
}

#[async_trait]
impl MetaStore for MemoryStore {
    fn limits(&self) -> Limits {
        Limits::COMMON
    }

    async fn get(
        &self,
        keys: &[Key],
        _level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        let rows = locked(&self.rows);
        Ok(keys.iter().map(|key| rows.by_key.get(key).cloned()).collect())
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        _level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        Ok(locked(&self.rows).scan(range, limit, direction))
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        contract::check(&batch, &self.limits())?;
        match self.faults.next() {
            None => Ok(locked(&self.rows).commit(batch)),
            Some(UnknownCommit::Lost) => Err(MetaError::Unknown),
            Some(UnknownCommit::Applied) => {
                locked(&self.rows).commit(batch);
                Err(MetaError::Unknown)
            }
        }
    }
}

#[derive(Debug, Default)]
struct Rows {
    by_key: BTreeMap<Key, Versioned>,
    last_commit: u64,
}

impl Rows {
    fn scan(&self, range: KeyRange, limit: usize, direction: Direction) -> Vec<(Key, Versioned)> {
        // BTreeMap panics on a range that ends before it starts.
        if range.is_empty() {
            return Vec::new();
        }
        let rows = self.by_key.range::<[u8], _>(range.bounds());
        let owned = |(key, row): (&Key, &Versioned)| (key.clone(), row.clone());
        match direction {
            Direction::Forward => rows.take(limit).map(owned).collect(),
            Direction::Backward => rows.rev().take(limit).map(owned).collect(),
        }
    }

    fn commit(&mut self, batch: Batch) -> Outcome {
        let fails = |(key, expect): &(Key, Expect)| !self.holds(key, *expect);
        if let Some(first) = batch.checks.iter().position(fails) {
            return Outcome::Conflict { first };
        }
        self.last_commit += 1;
        let version = Version(self.last_commit);
        for write in batch.writes {
            match write {
                Write::Put(key, value) => self.by_key.insert(key, Versioned { version, value }),
                Write::Delete(key) => self.by_key.remove(&key),
            };
        }
        Outcome::Committed(version)
    }

    fn holds(&self, key: &Key, expect: Expect) -> bool {
        match (expect, self.by_key.get(key)) {
            (Expect::Absent, row) => row.is_none(),
            (Expect::At(version), Some(row)) => row.version == version,
            (Expect::At(_), None) => false,
        }
    }
}

/// A panic while the lock is held can only come from a bug of this file; the rows are still the best
/// answer there is.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance::{self, CheckThenAct};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        conformance::run(Arc::new(MemoryStore::new())).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn unknown_outcomes_can_be_resolved_by_reading() {
        for fate in [UnknownCommit::Applied, UnknownCommit::Lost] {
            let store = Arc::new(MemoryStore::new());
            let inject = |commits| store.faults().answer_unknown(commits, fate);
            let applied = fate == UnknownCommit::Applied;
            conformance::unknown_commits(store.clone(), applied, inject).await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_race_part_detects_a_check_before_the_commit() {
        let broken = Arc::new(CheckThenAct::new(MemoryStore::new()));
        for (part, outcome) in [
            ("absent", conformance::one_winner_of_absent(broken.clone()).await),
            ("version", conformance::one_winner_of_a_version(broken.clone()).await),
            ("counters", conformance::counters_lose_nothing(broken.clone()).await),
        ] {
            assert!(outcome.is_err(), "a check-then-act engine passed: {part}");
        }
    }
}
