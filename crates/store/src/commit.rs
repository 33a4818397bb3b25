//! The one loop that changes the store: read, plan, commit, and again if somebody was faster.

use bytes::Bytes;
use tidelock_meta::{
    Batch, Direction, Key, KeyRange, MetaError, Outcome, ReadLevel, Versioned, Write,
};

use crate::Store;
use crate::error::StorageError;

/// How often one operation tries before it answers that the store is overloaded. Each lost try means
/// that another writer of the same rows won, so the store as a whole has moved on.
const COMMIT_ATTEMPTS_MAX: u32 = 200;

/// What a plan has seen.
#[derive(Debug)]
pub(crate) struct View {
    /// The rows asked for, in order, from one snapshot.
    pub(crate) rows: Vec<Option<Versioned>>,
    /// Rows that the plan asked for after it had seen `rows`, from a snapshot in which `rows` were still
    /// the same. They need no check of their own as long as a row in `rows` guards them (a head guards
    /// all versions of its key).
    more: Vec<(Key, Option<Versioned>)>,
    /// Ranges that the plan has scanned, with what was found.
    scans: Vec<(KeyRange, Vec<(Key, Versioned)>)>,
}

impl View {
    /// A row asked for with [`Plan::Read`]; none if it was not yet.
    pub(crate) fn read(&self, key: &Key) -> Option<Option<&Versioned>> {
        self.more.iter().find(|(seen, _)| seen == key).map(|(_, row)| row.as_ref())
    }

    /// A range asked for with [`Plan::Scan`]; none if it was not yet.
    pub(crate) fn scanned(&self, range: &KeyRange) -> Option<&[(Key, Versioned)]> {
        self.scans.iter().find(|(seen, _)| seen == range).map(|(_, rows)| rows.as_slice())
    }
}

/// What to do with what was read.
pub(crate) enum Plan<T> {
    /// Nothing is to be written.
    Answer(T),
    /// Write this, and if it lands, answer that.
    Commit(Batch, T),
    /// These rows are needed too; the plan is asked again.
    Read(Vec<Key>),
    /// The first so many rows of this range are needed too; the plan is asked again, and must end in a
    /// commit that checks what guards the range.
    Scan(KeyRange, usize),
}

impl Store {
    /// Reads `keys`, asks `plan`, commits what it says, and begins again when a check does not hold.
    ///
    /// # Errors
    ///
    /// What `plan` answers; otherwise overload after [`COMMIT_ATTEMPTS_MAX`] lost tries, and
    /// unavailability when the outcome of a commit cannot be found out.
    pub(crate) async fn update<T, E, P>(&self, keys: &[Key], mut plan: P) -> Result<T, E>
    where
        E: From<StorageError>,
        P: FnMut(&View) -> Result<Plan<T>, E> + Send,
        T: Send,
    {
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            let rows = self.meta.get(keys, ReadLevel::Latest).await.map_err(StorageError::from)?;
            let mut view = View { rows, more: Vec::new(), scans: Vec::new() };
            let planned = loop {
                match plan(&view)? {
                    Plan::Answer(answer) => return Ok(answer),
                    Plan::Commit(batch, answer) => break Some((batch, answer)),
                    Plan::Read(wanted) => {
                        if !self.read_more(keys, &mut view, wanted).await? {
                            break None;
                        }
                    }
                    Plan::Scan(range, limit) => self.scan_more(&mut view, range, limit).await?,
                }
            };
            if let Some((batch, answer)) = planned
                && self.try_commit(batch).await?
            {
                return Ok(answer);
            }
            self.back_off(attempt).await;
        }
        Err(StorageError::Overloaded("too many writers of the same key".to_owned()).into())
    }

    /// False if what was seen before is outdated: an answer from both would be true at no moment.
    async fn read_more(
        &self,
        seen: &[Key],
        view: &mut View,
        wanted: Vec<Key>,
    ) -> Result<bool, StorageError> {
        let keys = [seen, &wanted].concat();
        let mut rows = self.meta.get(&keys, ReadLevel::Latest).await?;
        let more = rows.split_off(seen.len());
        let version = |row: &Option<Versioned>| row.as_ref().map(|row| row.version);
        if !rows.iter().map(version).eq(view.rows.iter().map(version)) {
            return Ok(false);
        }
        view.more.extend(wanted.into_iter().zip(more));
        Ok(true)
    }

    async fn scan_more(
        &self,
        view: &mut View,
        range: KeyRange,
        limit: usize,
    ) -> Result<(), StorageError> {
        let rows =
            self.meta.scan(range.clone(), limit, Direction::Forward, ReadLevel::Latest).await?;
        view.scans.push((range, rows));
        Ok(())
    }

    /// Whether the batch landed; false when a check did not hold.
    pub(crate) async fn try_commit(&self, batch: Batch) -> Result<bool, StorageError> {
        let witness = batch.writes.first().cloned();
        match self.meta.commit(batch).await {
            Ok(Outcome::Committed(_)) => Ok(true),
            Ok(Outcome::Conflict { .. }) => Ok(false),
            Err(MetaError::Unknown) => self.resolve(witness).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out whether a commit landed whose reply was lost: every batch writes first a row that
    /// carries an id of its own, so that the row tells.
    async fn resolve(&self, witness: Option<Write>) -> Result<bool, StorageError> {
        let Some(witness) = witness else { return Err(MetaError::Unknown.into()) };
        let key = witness.key().clone();
        // Whatever keeps the row from being read, the commit's outcome stays unknown.
        let rows =
            self.meta.get(&[key], ReadLevel::Latest).await.map_err(|_| MetaError::Unknown)?;
        let written = match (&witness, rows.into_iter().next().flatten()) {
            (Write::Put(_, value), Some(row)) => row.value == *value,
            (Write::Delete(_), None) => true,
            (Write::Put(..), None) | (Write::Delete(_), Some(_)) => false,
        };
        if written { Ok(true) } else { Err(MetaError::Unknown.into()) }
    }

    /// Lets others go first, for a random and growing moment.
    async fn back_off(&self, attempt: u32) {
        if attempt < 2 {
            return;
        }
        let [random] = self.random::<1>();
        let milliseconds = u64::from(random) * u64::from(attempt.min(20)) / 256;
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
    }

    /// One row, as it is now.
    pub(crate) async fn read_row(&self, key: Key) -> Result<Option<Versioned>, StorageError> {
        Ok(self.meta.get(&[key], ReadLevel::Latest).await?.pop().flatten())
    }

    /// The value of one row, as it is now.
    pub(crate) async fn read_value(&self, key: Key) -> Result<Option<Bytes>, StorageError> {
        Ok(self.read_row(key).await?.map(|row| row.value))
    }
}
