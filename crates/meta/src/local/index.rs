//! Rows in redb, and in memory those that are not merged into it yet. Durable only by a checkpoint; what
//! came after it is in the log. Knows nothing of queues and threads.
//!
//! ```text
//! table "rows"   key -> row (see row.rs)
//! table "store"  "format"       -> FORMAT
//!                "last_commit"  -> number of the last commit        all these of the checkpoint
//!                "live_bytes"   -> bytes of the log that are current
//!                "time"         -> of the last group, in milliseconds since 1970
//!                "segment", "offset", "sequence" -> where the log goes on
//! ```

use std::fs::File;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError, WriteTransaction,
};
use tidelock_log::{Place, Position};

use super::OpenError;
use super::backend::{IndexBackend, IndexFile};
use super::memtable::{self, Memtable, Recent};
use super::row::Row;
use super::snapshot::{Found, Snapshot, StoredRows, found, found_recent};
use crate::{Direction, Key, KeyRange, MetaError, Version};

/// The newest format this version writes and reads. Format 1 had no log.
pub(super) const FORMAT: u64 = 2;

type RowsDefinition = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(super) const ROWS: RowsDefinition = TableDefinition::new("rows");
pub(super) const STORE: TableDefinition<'_, &str, u64> = TableDefinition::new("store");
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const LAST_COMMIT_KEY: &str = "last_commit";
const LIVE_BYTES_KEY: &str = "live_bytes";
const TIME_KEY: &str = "time";
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

/// What a checkpoint says of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) last_commit: u64,
    pub(super) live_bytes: u64,
    /// Of the last group: the next is of no earlier one.
    pub(super) time: u64,
    /// None in an index into which the log has not been read yet.
    pub(super) position: Option<Position>,
}

/// The ordered rows of a store. One thread changes them.
pub(super) struct Index {
    view: RwLock<View>,
    database: Database,
    memtable_rows_max: usize,
    /// Dropped last.
    _held: Held,
}

/// How an index is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexOptions {
    /// Memory for its pages.
    pub(super) cache_bytes: usize,
    /// Rows that wait at most to be merged into it.
    pub(super) memtable_rows_max: usize,
}

impl IndexOptions {
    pub(super) fn new(cache_bytes: usize) -> Self {
        Self { cache_bytes, memtable_rows_max: memtable::ROWS_MAX }
    }
}

/// What readers see. Both change at once.
struct View {
    /// None in an index that has no table yet.
    stored: Option<Arc<StoredRows>>,
    memtable: Memtable,
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
        options: IndexOptions,
        held: Held,
    ) -> Result<Self, OpenError> {
        let mut builder = Builder::new();
        builder.set_cache_size(options.cache_bytes);
        let database = builder.create_with_backend(IndexBackend(file)).map_err(open_error)?;
        let stored = stored_rows(&database).map_err(stored_error)?;
        let view = RwLock::new(View { stored, memtable: Memtable::default() });
        Ok(Self { view, database, memtable_rows_max: options.memtable_rows_max, _held: held })
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Found>>, redb::Error> {
        let view = self.view();
        let recent: Vec<_> = keys.iter().map(|key| view.memtable.get(key).cloned()).collect();
        let stored = view.stored.clone();
        drop(view);
        let row = |(key, recent): (&Key, Option<Recent>)| match (recent, &stored) {
            (Some(recent), _) => recent.as_ref().map(found_recent).transpose(),
            (None, Some(stored)) => {
                stored.get(&key[..])?.map(|stored| found(stored.value())).transpose()
            }
            (None, None) => Ok(None),
        };
        keys.iter().zip(recent).map(row).collect()
    }

    /// The rows of `range` as they are now.
    pub(super) fn snapshot(&self, range: &KeyRange) -> Snapshot {
        self.snapshot_of_first(range, usize::MAX, Direction::Forward)
    }

    /// As much of the rows of `range` as tells its first `limit` in this direction.
    pub(super) fn snapshot_of_first(
        &self,
        range: &KeyRange,
        limit: usize,
        direction: Direction,
    ) -> Snapshot {
        if range.is_empty() || limit == 0 {
            return Snapshot::new(Vec::new(), None);
        }
        let view = self.view();
        let rows = view.memtable.range(range);
        let recent = match direction {
            Direction::Forward => first_of(rows, limit),
            Direction::Backward => {
                let mut recent = first_of(rows.rev(), limit);
                recent.reverse();
                recent
            }
        };
        Snapshot::new(recent, view.stored.clone())
    }

    /// The version of a row, and where the log has its value.
    pub(super) fn place_of(&self, key: &[u8]) -> Result<Option<(Version, Place)>, redb::Error> {
        let view = self.view();
        if let Some(recent) = view.memtable.get(key) {
            return recent.as_ref().map(|stored| Row::place_of(stored)).transpose();
        }
        let Some(stored) = &view.stored else { return Ok(None) };
        stored.get(key)?.map(|stored| Row::place_of(stored.value())).transpose()
    }

    /// Makes the rows of a change visible.
    pub(super) fn apply(&self, rows: Memtable) {
        self.change_view().memtable.extend(rows);
    }

    /// Merges the rows that wait for it, if there are many.
    pub(super) fn merge_if_full(&self) -> Result<(), redb::Error> {
        if !self.view().memtable.is_full(self.memtable_rows_max) {
            return Ok(());
        }
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        self.merge(transaction)
    }

    /// Commits `transaction` with the rows that wait to be merged, and shows them there.
    fn merge(&self, transaction: WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(ROWS)?;
        let view = self.view();
        for (key, row) in view.memtable.scattered() {
            match row {
                Some(row) => drop(table.insert(&key[..], &row[..])?),
                None => drop(table.remove(&key[..])?),
            }
        }
        drop(table);
        drop(view);
        transaction.commit()?;
        let stored = stored_rows(&self.database)?;
        let merged = {
            let mut view = self.change_view();
            view.stored = stored;
            std::mem::take(&mut view.memtable)
        };
        // Not while readers wait.
        drop(merged);
        Ok(())
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_view(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
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
        store.insert(TIME_KEY, checkpoint.time)?;
        if let Some(position) = checkpoint.position {
            store.insert(SEGMENT_KEY, position.segment)?;
            store.insert(OFFSET_KEY, u64::from(position.offset))?;
            store.insert(SEQUENCE_KEY, position.sequence)?;
        }
        drop(store);
        self.merge(transaction)
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
        let (Some(last_commit), Some(live_bytes), Some(time)) =
            (number(LAST_COMMIT_KEY)?, number(LIVE_BYTES_KEY)?, number(TIME_KEY)?)
        else {
            return Err(redb::Error::Corrupted("the store has no last commit".into()));
        };
        Ok(Checkpoint { last_commit, live_bytes, time, position })
    }
}

/// Rows up to the first `limit` that are there. Those before them that were removed may stand for rows of the
/// index.
fn first_of<'a>(
    rows: impl Iterator<Item = (&'a Key, &'a Recent)>,
    limit: usize,
) -> Vec<(Key, Recent)> {
    let mut first = Vec::new();
    let mut left = limit;
    for (key, row) in rows {
        first.push((Key::clone(key), row.clone()));
        left -= usize::from(row.is_some());
        if left == 0 {
            break;
        }
    }
    first
}

fn stored_rows(database: &Database) -> Result<Option<Arc<StoredRows>>, redb::Error> {
    match database.begin_read()?.open_table(ROWS) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(Arc::new(table?))),
    }
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
