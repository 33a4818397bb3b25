//! The one loop that changes the store: read, plan, commit, and again if somebody was faster.
//!
//! The loop reads without a confirmation ([`tidelock_meta::ReadLevel::Unconfirmed`]): what it read is
//! checked by the commit it leads to, so a write that lands costs none. Whatever it answers instead, a
//! refusal or that nothing is to be done, is confirmed once before it is given ([`reading`]). What
//! became of a commit whose reply was lost is read at `Latest`, always.

mod reading;

use tidelock_meta::{Batch, Key, KeyRange, MetaError, Outcome, Versioned, Write};

pub(crate) use reading::{Reading, Rows};

use crate::Store;
use crate::error::StorageError;
use crate::failpoint::Moment;

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

    /// Whether the plan has asked for the row, or found it in a range.
    fn has_seen(&self, key: &Key) -> bool {
        let is_in = |rows: &[(Key, Versioned)]| rows.iter().any(|(seen, _)| seen == key);
        self.read(key).is_some() || self.scans.iter().any(|(_, rows)| is_in(rows))
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
    /// Write this, and if it lands, answer that. A check on a row that the plan did not read (the intent
    /// of a body) can only fail for good.
    Commit(Batch, T),
    /// These rows are needed too; the plan is asked again.
    Read(Vec<Key>),
    /// The first so many rows of this range are needed too; the plan is asked again, and must end in a
    /// commit that checks what guards the range.
    Scan(KeyRange, usize),
}

impl<T> Plan<T> {
    /// The same with what `add` adds to its commit.
    pub(crate) fn also(mut self, add: impl FnOnce(&mut Batch, &T)) -> Self {
        if let Self::Commit(batch, answer) = &mut self {
            add(batch, answer);
        }
        self
    }

    /// The same with another answer.
    pub(crate) fn map<U>(self, answer: impl FnOnce(T) -> U) -> Plan<U> {
        match self {
            Self::Answer(it) => Plan::Answer(answer(it)),
            Self::Commit(batch, it) => Plan::Commit(batch, answer(it)),
            Self::Read(keys) => Plan::Read(keys),
            Self::Scan(range, limit) => Plan::Scan(range, limit),
        }
    }
}

/// Where an answer comes from.
enum Settled<T> {
    /// The commit that it was planned with has landed.
    Landed(T),
    /// What was read.
    Read(T),
}

/// How a commit ended.
enum Landing {
    Landed,
    /// The check with this index did not hold.
    Conflict {
        first: usize,
    },
}

enum Attempt<T> {
    Settled(Settled<T>),
    /// Somebody was faster.
    Lost,
}

impl Store {
    /// Reads `keys`, asks `plan`, commits what it says, and begins again when a check does not hold.
    ///
    /// # Errors
    ///
    /// What `plan` answers; otherwise overload after [`COMMIT_ATTEMPTS_MAX`] lost tries or when a row
    /// that the plan brought along is no longer what it was, and unavailability when the outcome of a
    /// commit cannot be found out.
    pub(crate) async fn update<T, E, P>(&self, keys: &[Key], plan: P) -> Result<T, E>
    where
        E: From<StorageError>,
        P: FnMut(&View) -> Result<Plan<T>, E> + Send,
        T: Send,
    {
        let reading = self.rows.begin();
        match self.settle(&reading, keys, plan).await {
            Ok(Settled::Landed(answer)) => Ok(answer),
            Ok(Settled::Read(answer)) => {
                let answer = self.rows.require_serving().map(|()| answer).map_err(E::from);
                reading.confirm(answer).await
            }
            Err(error) => reading.confirm(Err(error)).await,
        }
    }

    async fn settle<T, E, P>(
        &self,
        reading: &Reading,
        keys: &[Key],
        mut plan: P,
    ) -> Result<Settled<T>, E>
    where
        E: From<StorageError>,
        P: FnMut(&View) -> Result<Plan<T>, E> + Send,
        T: Send,
    {
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            match self.attempt(reading, keys, &mut plan).await? {
                Attempt::Settled(settled) => return Ok(settled),
                Attempt::Lost => self.back_off(attempt).await,
            }
        }
        Err(StorageError::Overloaded("too many writers of the same key".to_owned()).into())
    }

    async fn attempt<T, E, P>(
        &self,
        reading: &Reading,
        keys: &[Key],
        plan: &mut P,
    ) -> Result<Attempt<T>, E>
    where
        E: From<StorageError>,
        P: FnMut(&View) -> Result<Plan<T>, E> + Send,
        T: Send,
    {
        reading.begin_anew();
        let mut view = View { rows: reading.get(keys).await?, more: Vec::new(), scans: Vec::new() };
        loop {
            match plan(&view)? {
                Plan::Answer(answer) => return Ok(Attempt::Settled(Settled::Read(answer))),
                Plan::Read(wanted) => {
                    if !read_more(reading, keys, &mut view, wanted).await? {
                        return Ok(Attempt::Lost);
                    }
                }
                Plan::Scan(range, limit) => {
                    let rows = reading.scan(range.clone(), limit).await?;
                    view.scans.push((range, rows));
                }
                Plan::Commit(batch, answer) => {
                    let committed = self.commit_planned(keys, &view, batch).await;
                    return Ok(match committed.inspect_err(|_| reading.failed())? {
                        true => Attempt::Settled(Settled::Landed(answer)),
                        false => Attempt::Lost,
                    });
                }
            }
        }
    }

    /// Whether the batch landed; false when it may land once the plan has read again.
    async fn commit_planned(
        &self,
        keys: &[Key],
        view: &View,
        batch: Batch,
    ) -> Result<bool, StorageError> {
        let is_read = |key: &Key| keys.contains(key) || view.has_seen(key);
        let checked: Vec<Key> = batch.checks.iter().map(|(key, _)| key.clone()).collect();
        match self.commit_once(batch).await? {
            Landing::Landed => Ok(true),
            Landing::Conflict { first } if checked.get(first).is_some_and(|key| !is_read(key)) => {
                Err(StorageError::Overloaded(
                    "the body took too long to arrive and was given up".to_owned(),
                ))
            }
            Landing::Conflict { .. } => Ok(false),
        }
    }

    /// Whether the batch landed; false when a check did not hold.
    pub(crate) async fn try_commit(&self, batch: Batch) -> Result<bool, StorageError> {
        Ok(matches!(self.commit_once(batch).await?, Landing::Landed))
    }

    async fn commit_once(&self, batch: Batch) -> Result<Landing, StorageError> {
        let op_id = batch.op_id;
        let dies = self.config.failpoint.as_ref().and_then(|_| self.audit_log.dies(op_id));
        Moment::reached(dies, Moment::BeforeCommit);
        let ended = self.commit_or_resolve(batch).await;
        let has_landed = matches!(ended, Ok(Landing::Landed));
        if has_landed {
            Moment::reached(dies, Moment::AfterCommit);
        }
        self.audit_log.ended(op_id, has_landed);
        ended
    }

    async fn commit_or_resolve(&self, batch: Batch) -> Result<Landing, StorageError> {
        let witness = batch.writes.first().cloned();
        match self.rows.commit(batch).await {
            Ok(Outcome::Committed(_)) => Ok(Landing::Landed),
            Ok(Outcome::Conflict { first }) => Ok(Landing::Conflict { first }),
            Err(MetaError::Unknown) => self.resolve(witness).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out whether a commit landed whose reply was lost: every batch writes first a row that
    /// carries an id of its own, so that the row tells.
    async fn resolve(&self, witness: Option<Write>) -> Result<Landing, StorageError> {
        let Some(witness) = witness else { return Err(MetaError::Unknown.into()) };
        let key = witness.key().clone();
        // Whatever keeps the row from being read, the commit's outcome stays unknown.
        let row = self.rows.latest().row(key).await.map_err(|_| MetaError::Unknown)?;
        let written = match (&witness, row) {
            (Write::Put(_, value), Some(row)) => row.value == *value,
            (Write::Delete(_), None) => true,
            (Write::Put(..), None) | (Write::Delete(_), Some(_)) => false,
        };
        if written { Ok(Landing::Landed) } else { Err(MetaError::Unknown.into()) }
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
}

/// False if what was seen before is outdated: an answer from both would be true at no moment.
async fn read_more(
    reading: &Reading,
    seen: &[Key],
    view: &mut View,
    wanted: Vec<Key>,
) -> Result<bool, StorageError> {
    let keys = [seen, &wanted].concat();
    let mut rows = reading.get(&keys).await?;
    let more = rows.split_off(seen.len());
    let version = |row: &Option<Versioned>| row.as_ref().map(|row| row.version);
    if !rows.iter().map(version).eq(view.rows.iter().map(version)) {
        return Ok(false);
    }
    view.more.extend(wanted.into_iter().zip(more));
    Ok(true)
}
