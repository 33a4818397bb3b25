//! Rows in redb: decides the checks of a group in one transaction and reads snapshots. Durable only by a
//! checkpoint; what came after it is in the log. Knows nothing of queues and threads.
//!
//! ```text
//! table "rows"   key -> row (see row.rs)
//! table "store"  "format"       -> FORMAT
//!                "last_commit"  -> number of the last commit        all three of the checkpoint
//!                "live_bytes"   -> bytes of the log that are current
//!                "segment", "offset", "sequence" -> where the log goes on
//! ```

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    Table, TableDefinition, TableError, WriteTransaction,
};
use tidelock_log::{GroupBuilder, Place, Position, Record, record_bytes};

use super::OpenError;
use super::backend::{IndexBackend, IndexFile};
use super::row::{self, Row, Value};
use crate::grouped::shared_length;
use crate::{
    Batch, Direction, Expect, Key, KeyRange, MetaError, Outcome, Version, Write,
    successor_of_prefix,
};

/// The newest format this version writes and reads. Format 1 had no log.
pub(super) const FORMAT: u64 = 2;

type RowsDefinition = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Rows<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

pub(super) const ROWS: RowsDefinition = TableDefinition::new("rows");
pub(super) const STORE: TableDefinition<'_, &str, u64> = TableDefinition::new("store");
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const LAST_COMMIT_KEY: &str = "last_commit";
const LIVE_BYTES_KEY: &str = "live_bytes";
const SEGMENT_KEY: &str = "segment";
const OFFSET_KEY: &str = "offset";
const SEQUENCE_KEY: &str = "sequence";

impl From<redb::Error> for MetaError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Corrupt(what),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// How many rows of a group are passed one by one; behind that, the next group is looked up, which costs as
/// much as some of them.
const PASSED_ROWS_MAX: usize = 4;

/// A row as a snapshot has it; its value may be in the log.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) version: Version,
    pub(super) value: Value<Bytes>,
}

/// A group of rows as a snapshot has it.
#[derive(Clone, Debug)]
pub(super) struct GroupFound {
    /// The length of the key up to and including the delimiter; none of a row that stands alone.
    pub(super) shared: Option<usize>,
    pub(super) first: (Key, Found),
}

impl GroupFound {
    /// Whether the row of a later key belongs to it.
    fn has(&self, key: &[u8]) -> bool {
        self.shared.is_some_and(|shared| key.starts_with(&self.first.0[..shared]))
    }

    /// The first key behind a group of many rows; none if there is none.
    fn successor(&self) -> Option<Key> {
        self.shared.and_then(|shared| successor_of_prefix(&self.first.0[..shared]))
    }
}

/// What a checkpoint says of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) last_commit: u64,
    pub(super) live_bytes: u64,
    /// None in an index into which the log has not been read yet.
    pub(super) position: Option<Position>,
}

/// The ordered rows of a store.
pub(super) struct Index {
    database: Database,
    /// Dropped last.
    _held: Held,
}

/// What is let go when nobody reads the index any more.
#[derive(Clone)]
pub(super) struct Held {
    /// Keeps others out of the directory.
    pub(super) _lock: Option<Arc<File>>,
    /// Dropped last: whoever waits for the other end then finds the directory released.
    pub(super) _released: Sender<()>,
}

impl Index {
    /// Opens the index in `file`, or makes one there when it is empty.
    pub(super) fn open(
        file: Arc<IndexFile>,
        cache_bytes: usize,
        held: Held,
    ) -> Result<Self, OpenError> {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let database = builder.create_with_backend(IndexBackend(file)).map_err(open_error)?;
        Ok(Self { database, _held: held })
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Found>>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let row = |key: &Key| match rows.get(&key[..])? {
            Some(stored) => found(stored.value()).map(Some),
            None => Ok(None),
        };
        keys.iter().map(row).collect()
    }

    /// At most `limit` rows of `range`, from one snapshot.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<(Key, Found)>, redb::Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let start = Bound::Included(&range.start[..]);
        let end = range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut stored = rows.range::<&[u8]>((start, end))?;
        let mut page = Vec::new();
        while page.len() < limit {
            let next = match direction {
                Direction::Forward => stored.next(),
                Direction::Backward => stored.next_back(),
            };
            let Some(next) = next else { break };
            let (key, row) = next?;
            page.push((Bytes::copy_from_slice(key.value()), found(row.value())?));
        }
        Ok(page)
    }

    /// The first row of each group of `range`, and the length of what its rows share; at most `limit`, from one
    /// snapshot. See [`MetaStore::scan_grouped`](crate::MetaStore::scan_grouped).
    pub(super) fn scan_grouped(
        &self,
        range: &KeyRange,
        (skip, delimiter): (usize, &[u8]),
        limit: usize,
    ) -> Result<Vec<GroupFound>, redb::Error> {
        let mut groups: Vec<GroupFound> = Vec::new();
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let mut rest = Some(range.clone());
        while let Some(range) = rest.take().filter(|range| !range.is_empty()) {
            let end = range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
            let mut stored = rows.range::<&[u8]>((Bound::Included(&range.start[..]), end))?;
            let mut passed = 0;
            while groups.len() < limit && passed < PASSED_ROWS_MAX {
                let Some(next) = stored.next() else { return Ok(groups) };
                let (key, row) = next?;
                if groups.last().is_some_and(|last| last.has(key.value())) {
                    passed += 1;
                    continue;
                }
                passed = 0;
                let shared = shared_length(key.value(), skip, delimiter);
                let first = (Bytes::copy_from_slice(key.value()), found(row.value())?);
                groups.push(GroupFound { shared, first });
            }
            if groups.len() < limit {
                let behind = groups.last().and_then(GroupFound::successor);
                rest = behind.map(|start| range.starting_at(start));
            }
        }
        Ok(groups)
    }

    /// Begins a change that is visible once it is committed, and durable by the next checkpoint.
    pub(super) fn begin(&self) -> Result<Change, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        Ok(Change { transaction })
    }

    /// Makes all that was committed durable, and says where the log goes on.
    pub(super) fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // A second sync, and for that: after a crash the index opens at once instead of after a walk
        // through the whole file, and which of two checkpoints is the last does not rest on checksums
        // alone (redb's recovery bugs of 2026 were in that path).
        transaction.set_quick_repair(true);
        let mut store = transaction.open_table(STORE)?;
        store.insert(FORMAT_KEY, FORMAT)?;
        store.insert(LAST_COMMIT_KEY, checkpoint.last_commit)?;
        store.insert(LIVE_BYTES_KEY, checkpoint.live_bytes)?;
        if let Some(position) = checkpoint.position {
            store.insert(SEGMENT_KEY, position.segment)?;
            store.insert(OFFSET_KEY, u64::from(position.offset))?;
            store.insert(SEQUENCE_KEY, position.sequence)?;
        }
        drop(store);
        drop(transaction.open_table(ROWS)?);
        Ok(transaction.commit()?)
    }

    /// Hands every row, as it is stored, to `each`, in the order of keys.
    pub(super) fn each_row(&self, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), OpenError> {
        let read = |error: redb::Error| stored_error(error);
        let transaction = self.database.begin_read().map_err(|error| read(error.into()))?;
        let rows = transaction.open_table(ROWS).map_err(|error| read(error.into()))?;
        for row in rows.iter().map_err(|error| read(error.into()))? {
            let (key, stored) = row.map_err(|error| read(error.into()))?;
            each(key.value(), stored.value());
        }
        Ok(())
    }

    /// Hands every row of an index of format 1, `version:u64 | value`, to `each`, and says which commit was
    /// the last.
    pub(super) fn rows_of_format_1(
        &self,
        mut each: impl FnMut(&[u8], Version, &[u8]) -> Result<(), OpenError>,
    ) -> Result<u64, OpenError> {
        let read = |error: redb::Error| stored_error(error);
        let transaction = self.database.begin_read().map_err(|error| read(error.into()))?;
        let rows = transaction.open_table(ROWS).map_err(|error| read(error.into()))?;
        for row in rows.iter().map_err(|error| read(error.into()))? {
            let (key, stored) = row.map_err(|error| read(error.into()))?;
            let Some((version, value)) = stored.value().split_first_chunk() else {
                return Err(OpenError::Corrupt("a row is shorter than its version".into()));
            };
            each(key.value(), Version(u64::from_be_bytes(*version)), value)?;
        }
        let store = transaction.open_table(STORE).map_err(|error| read(error.into()))?;
        let last = store.get(LAST_COMMIT_KEY).map_err(|error| read(error.into()))?;
        last.map(|number| number.value())
            .ok_or_else(|| OpenError::Corrupt("the store has no last commit".into()))
    }

    /// The format of the index; none in one that has just been made.
    pub(super) fn format(&self) -> Result<Option<u64>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let store = match transaction.open_table(STORE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        match store.get(FORMAT_KEY)? {
            Some(format) => Ok(Some(format.value())),
            None => Err(redb::Error::Corrupted("the store has no format".into())),
        }
    }

    /// The last checkpoint of an index of this format.
    pub(super) fn last_checkpoint(&self) -> Result<Checkpoint, redb::Error> {
        let transaction = self.database.begin_read()?;
        let store = transaction.open_table(STORE)?;
        let number = |key| Ok::<_, redb::Error>(store.get(key)?.map(|number| number.value()));
        let position = match (number(SEGMENT_KEY)?, number(OFFSET_KEY)?, number(SEQUENCE_KEY)?) {
            (Some(segment), Some(offset), Some(sequence)) => {
                Some(Position { segment, offset: offset as u32, sequence })
            }
            _ => None,
        };
        let (Some(last_commit), Some(live_bytes)) =
            (number(LAST_COMMIT_KEY)?, number(LIVE_BYTES_KEY)?)
        else {
            return Err(redb::Error::Corrupted("the store has no last commit".into()));
        };
        Ok(Checkpoint { last_commit, live_bytes, position })
    }
}

/// A change of the rows on its way: neither visible nor durable.
pub(super) struct Change {
    transaction: WriteTransaction,
}

/// What a change has made of the store's counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) last_commit: u64,
    pub(super) live_bytes: u64,
}

impl Change {
    /// Decides the batches in order, each against what those before it have left, and applies the
    /// ones that hold, here and to `group`. The outcomes are true only once the group is durable.
    pub(super) fn decide(
        &mut self,
        batches: &[Batch],
        group: &mut GroupBuilder,
        counts: &mut Counts,
    ) -> Result<Vec<Outcome>, redb::Error> {
        let mut rows = RowWriter::new(self.transaction.open_table(ROWS)?, counts);
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            if let Some(first) = rows.first_conflict(batch)? {
                outcomes.push(Outcome::Conflict { first });
                continue;
            }
            rows.counts.last_commit += 1;
            rows.write(batch, group)?;
            outcomes.push(Outcome::Committed(Version(rows.counts.last_commit)));
        }
        Ok(outcomes)
    }

    /// Applies what the log has.
    pub(super) fn replay(
        &mut self,
        records: &[Record<'_>],
        counts: &mut Counts,
    ) -> Result<(), redb::Error> {
        let mut rows = RowWriter::new(self.transaction.open_table(ROWS)?, counts);
        for record in records {
            match *record {
                Record::Put { key, version, value, place } => {
                    rows.put(key, Version(version), place, value)?;
                }
                Record::Delete { key, .. } => drop(rows.delete(key)?),
            }
        }
        Ok(())
    }

    /// Copies those of `records` that are current to `group`, and says so here.
    pub(super) fn relocate(
        &mut self,
        records: &[Record<'_>],
        group: &mut GroupBuilder,
        counts: &mut Counts,
    ) -> Result<(), redb::Error> {
        let mut rows = RowWriter::new(self.transaction.open_table(ROWS)?, counts);
        for record in records {
            let Record::Put { key, version, value, place } = *record else { continue };
            if rows.is_current(key, place)? {
                let place = group.put(key, version, value);
                rows.put(key, Version(version), place, value)?;
            }
        }
        Ok(())
    }

    /// Makes the change visible.
    pub(super) fn commit(self) -> Result<(), redb::Error> {
        Ok(self.transaction.commit()?)
    }

    /// Forgets the change.
    pub(super) fn abort(self) -> Result<(), redb::Error> {
        Ok(self.transaction.abort()?)
    }
}

/// The table of rows, and what is counted of it.
struct RowWriter<'a> {
    rows: Rows<'a>,
    counts: &'a mut Counts,
    /// A row as it is stored; memory that is used again.
    stored: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    fn new(rows: Rows<'a>, counts: &'a mut Counts) -> Self {
        Self { rows, counts, stored: Vec::new() }
    }

    fn first_conflict(&self, batch: &Batch) -> Result<Option<usize>, redb::Error> {
        for (index, (key, expect)) in batch.checks.iter().enumerate() {
            let found = match self.rows.get(&key[..])? {
                Some(stored) => Some(Row::decode(stored.value())?.version),
                None => None,
            };
            let holds = match expect {
                Expect::Absent => found.is_none(),
                Expect::At(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn write(&mut self, batch: &Batch, group: &mut GroupBuilder) -> Result<(), redb::Error> {
        let version = Version(self.counts.last_commit);
        for write in &batch.writes {
            match write {
                Write::Put(key, value) => {
                    let place = group.put(key, version.0, value);
                    self.put(key, version, place, value)?;
                }
                // What is not there needs no record that it is gone.
                Write::Delete(key) => {
                    if self.delete(key)? {
                        group.delete(key, version.0);
                    }
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: &[u8],
        version: Version,
        place: Place,
        value: &[u8],
    ) -> Result<(), redb::Error> {
        row::encode_into(&mut self.stored, version, place, value);
        let replaced = match self.rows.insert(key, &self.stored[..])? {
            Some(stored) => record_len(key, stored.value())?,
            None => 0,
        };
        self.counts.live_bytes += record_bytes(key, place.len as usize) as u64;
        self.counts.live_bytes = self.counts.live_bytes.saturating_sub(replaced);
        Ok(())
    }

    /// Whether there was such a row.
    fn delete(&mut self, key: &[u8]) -> Result<bool, redb::Error> {
        let Some(stored) = self.rows.remove(key)? else { return Ok(false) };
        let removed = record_len(key, stored.value())?;
        self.counts.live_bytes = self.counts.live_bytes.saturating_sub(removed);
        Ok(true)
    }

    fn is_current(&self, key: &[u8], place: Place) -> Result<bool, redb::Error> {
        match self.rows.get(key)? {
            Some(stored) => Ok(Row::decode(stored.value())?.place == place),
            None => Ok(false),
        }
    }
}

fn record_len(key: &[u8], stored: &[u8]) -> Result<u64, redb::Error> {
    let row = Row::decode(stored)?;
    Ok(record_bytes(key, row.place.len as usize) as u64)
}

fn found(stored: &[u8]) -> Result<Found, redb::Error> {
    let row = Row::decode(stored)?;
    let value = match row.value()? {
        Value::Here(value) => Value::Here(Bytes::copy_from_slice(value)),
        Value::InLog(place) => Value::InLog(place),
    };
    Ok(Found { version: row.version, value })
}

fn open_error(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() != io::ErrorKind::InvalidData =>
        {
            OpenError::Io(error)
        }
        other => OpenError::Corrupt(other.to_string()),
    }
}

pub(super) fn stored_error(error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(error) => OpenError::Io(error),
        other => OpenError::Corrupt(other.to_string()),
    }
}
