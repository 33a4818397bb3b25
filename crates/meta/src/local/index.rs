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

use std::cmp::Ordering;
use std::fs::File;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{io, iter};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    StorageError, Table, TableDefinition, TableError,
};
use tidelock_log::{Place, Position};

use super::OpenError;
use super::backend::{IndexBackend, IndexFile};
use super::memtable::{self, Memtable, Recent};
use super::row::Row;
use super::snapshot::{Found, Snapshot, StoredRows, found, found_recent};
use crate::{Direction, Key, KeyRange, MetaError, Version};

/// A slice is this part of as many rows as wait before they are merged: commits wait some milliseconds for one.
const SLICE_PART: usize = 16;

/// The newest format this version writes and reads. Format 1 had no log.
pub(super) const FORMAT: u64 = 2;

/// What a file of redb begins with, and where it says how long it is: bytes of a page; pages of a region's header and
/// of its data; whole regions; pages of data in the last one. Each u32, little-endian.
const REDB_MAGIC: &[u8] = b"redb";
const REDB_LAYOUT_AT: usize = 12;
const REDB_LAYOUT_END: usize = 32;

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
    file: Arc<IndexFile>,
    memtable_rows_max: usize,
    /// Dropped last.
    _held: Held,
}

/// How an index is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexOptions {
    /// Memory for its pages.
    pub(super) cache_bytes: usize,
    /// Rows that wait before they are merged into it.
    pub(super) memtable_rows_max: usize,
}

impl IndexOptions {
    pub(super) fn new(cache_bytes: usize) -> Self {
        Self { cache_bytes, memtable_rows_max: memtable::ROWS_MAX }
    }
}

/// What readers see. All of it changes at once.
#[derive(Default)]
struct View {
    /// None in an index that has no table yet.
    stored: Option<Arc<StoredRows>>,
    /// Rows that are being merged: over those.
    merging: Memtable,
    /// The last one of them that is merged, once a slice was.
    merged_to: Option<Key>,
    /// Rows that came since: over all.
    memtable: Memtable,
    /// Rows that came since the last slice was merged.
    arrived: usize,
}

impl View {
    /// The row under `key`; none if it is as the index says.
    fn recent(&self, key: &[u8]) -> Option<&Recent> {
        self.memtable.get(key).or_else(|| self.merging.get(key))
    }

    /// Rows of `range` up to the first `limit` that are there, in the order of their keys.
    fn recent_of(
        &self,
        range: &KeyRange,
        limit: usize,
        direction: Direction,
    ) -> Vec<(Key, Recent)> {
        let (newer, older) = (self.memtable.range(range), self.merging.range(range));
        match direction {
            Direction::Forward => first_of(over(newer, older, direction), limit),
            Direction::Backward => {
                let mut recent = first_of(over(newer.rev(), older.rev(), direction), limit);
                recent.reverse();
                recent
            }
        }
    }
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
        let backend = IndexBackend(Arc::clone(&file));
        require_whole(&backend)?;
        let database = builder.create_with_backend(backend).map_err(open_error)?;
        let stored = stored_rows(&database).map_err(stored_error)?;
        let view = RwLock::new(View { stored, ..View::default() });
        let memtable_rows_max = options.memtable_rows_max;
        Ok(Self { view, database, file, memtable_rows_max, _held: held })
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Found>>, redb::Error> {
        let view = self.view();
        let recent: Vec<_> = keys.iter().map(|key| view.recent(key).cloned()).collect();
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
        Snapshot::new(view.recent_of(range, limit, direction), view.stored.clone())
    }

    /// The version of a row, and where the log has its value.
    pub(super) fn place_of(&self, key: &[u8]) -> Result<Option<(Version, Place)>, redb::Error> {
        let view = self.view();
        if let Some(recent) = view.recent(key) {
            return recent.as_ref().map(|stored| Row::place_of(stored)).transpose();
        }
        let Some(stored) = &view.stored else { return Ok(None) };
        stored.get(key)?.map(|stored| Row::place_of(stored.value())).transpose()
    }

    /// Makes the rows of a change visible.
    pub(super) fn apply(&self, rows: Memtable) {
        let mut view = self.change_view();
        view.arrived += rows.len();
        view.memtable.extend(rows);
    }

    /// Whether rows are being merged.
    pub(super) fn is_merging(&self) -> bool {
        !self.view().merging.is_empty()
    }

    /// Whether more rows wait than are merged at once.
    pub(super) fn has_many(&self) -> bool {
        self.view().memtable.len() > self.slice_rows()
    }

    /// Merges some of the rows that wait, if there are many or a merge has begun.
    pub(super) fn merge_some(&self) -> Result<(), redb::Error> {
        let view = self.view();
        let is_due = !view.merging.is_empty() || view.memtable.is_full(self.memtable_rows_max);
        drop(view);
        if is_due { self.merge_slice() } else { Ok(()) }
    }

    /// Merges the next slice of those that are being merged, or of those that wait: so large that all are merged
    /// before half as many wait again.
    pub(super) fn merge_slice(&self) -> Result<(), redb::Error> {
        let mut view = self.change_view();
        if view.merging.is_empty() {
            view.merging = std::mem::take(&mut view.memtable);
            view.arrived = 0;
        }
        let limit = self.slice_rows().max(2 * std::mem::take(&mut view.arrived));
        drop(view);
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let mut table = transaction.open_table(ROWS)?;
        let view = self.view();
        let slice = view.merging.scattered(view.merged_to.as_ref(), limit);
        write_rows(&mut table, &slice)?;
        let is_last = slice.len() < limit;
        let merged_to = slice.iter().map(|(key, _)| *key).max().cloned();
        drop((table, view));
        transaction.commit()?;
        let stored = stored_rows(&self.database)?;
        let mut view = self.change_view();
        view.stored = stored;
        view.merged_to = merged_to.filter(|_| !is_last);
        let merged = if is_last { std::mem::take(&mut view.merging) } else { Memtable::default() };
        // Not while readers wait.
        drop(view);
        drop(merged);
        Ok(())
    }

    fn slice_rows(&self) -> usize {
        self.memtable_rows_max.div_ceil(SLICE_PART).max(1)
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_view(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes all that was committed durable, merging what waits, and says where the log goes on.
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
        let mut table = transaction.open_table(ROWS)?;
        let view = self.view();
        write_rows(&mut table, &view.merging.scattered(view.merged_to.as_ref(), usize::MAX))?;
        write_rows(&mut table, &view.memtable.scattered(None, usize::MAX))?;
        drop((table, view));
        self.file.during_checkpoint(|| transaction.commit())?;
        let stored = stored_rows(&self.database)?;
        let merged =
            std::mem::replace(&mut *self.change_view(), View { stored, ..View::default() });
        // Not while readers wait.
        drop(merged);
        Ok(())
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

fn write_rows(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    rows: &[(&Key, &Recent)],
) -> Result<(), StorageError> {
    for (key, row) in rows {
        match row {
            Some(row) => drop(table.insert(&key[..], &row[..])?),
            None => drop(table.remove(&key[..])?),
        }
    }
    Ok(())
}

/// The rows of both, each in the order of `direction`; a newer one stands for the older.
fn over<'a>(
    newer: impl Iterator<Item = (&'a Key, &'a Recent)>,
    older: impl Iterator<Item = (&'a Key, &'a Recent)>,
    direction: Direction,
) -> impl Iterator<Item = (&'a Key, &'a Recent)> {
    let (mut newer, mut older) = (newer.peekable(), older.peekable());
    iter::from_fn(move || {
        let order = match (newer.peek(), older.peek()) {
            (Some((newer, _)), Some((older, _))) if direction == Direction::Forward => {
                newer.cmp(older)
            }
            (Some((newer, _)), Some((older, _))) => older.cmp(newer),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order.is_eq() {
            older.next();
        }
        if order.is_le() { newer.next() } else { older.next() }
    })
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

/// Refuses a file that is shorter than its header says: redb takes what is left of it for a file that it has to repair,
/// and panics.
fn require_whole(backend: &IndexBackend) -> Result<(), OpenError> {
    let len = backend.len()?;
    let mut header = [0; REDB_LAYOUT_END];
    if len < header.len() as u64 {
        return Ok(());
    }
    backend.read(0, &mut header).map_err(read_error)?;
    let (fields, _) = header[REDB_LAYOUT_AT..].as_chunks();
    let fields = fields.iter().map(|field| u64::from(u32::from_le_bytes(*field)));
    let [page, region_header, region_data, regions, rest] = fields.collect::<Vec<_>>()[..] else {
        return Ok(());
    };
    // In pages: the file's header, whole regions, and one that is not.
    let rest = if rest > 0 { region_header + rest } else { 0 };
    let pages = regions.saturating_mul(region_header + region_data).saturating_add(1 + rest);
    if header.starts_with(REDB_MAGIC) && len < page.saturating_mul(pages) {
        return Err(OpenError::Corrupt("the index is shorter than it was".into()));
    }
    Ok(())
}

fn open_error(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => read_error(error),
        other => OpenError::Corrupt(other.to_string()),
    }
}

pub(super) fn stored_error(error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(error) => read_error(error),
        other => OpenError::Corrupt(other.to_string()),
    }
}

/// A file that ends before it should is damage, and no failure of the disk.
fn read_error(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            OpenError::Corrupt(error.to_string())
        }
        _ => OpenError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc;

    use tidelock_log::disk::Disk;
    use tidelock_log::disk::faulty::{Chance, FaultyDisk};
    use tidelock_log::{Fence, LogOptions};

    use super::*;
    use crate::clock::ManualClock;
    use crate::local::memtable::Indexed;
    use crate::local::row;
    use crate::local::syncs::SyncMeter;

    const ROWS_MAX: usize = 64;
    const KEYS: u64 = 200;

    fn index() -> Index {
        let disk = FaultyDisk::new(1);
        let fence = Arc::new(Fence::take(&disk, &LogOptions::new(0)).unwrap());
        let syncs = Arc::new(SyncMeter::new(Arc::new(ManualClock::new(0)), None));
        let file = IndexFile::new(disk.create("index").unwrap(), fence, syncs).unwrap();
        let options = IndexOptions { cache_bytes: 1 << 20, memtable_rows_max: ROWS_MAX };
        let held = Held { _lock: None, _released: mpsc::channel().0 };
        Index::open(Arc::new(file), options, held).unwrap()
    }

    fn keys(snapshot: &Snapshot, range: &KeyRange, limit: usize, direction: Direction) -> Vec<Key> {
        let rows = snapshot.scan(range, limit, direction).unwrap();
        rows.into_iter().map(|(key, _)| key).collect()
    }

    /// After each of many changes, wherever the merge is, what is read is what was written.
    #[test]
    fn rows_are_there_while_they_are_merged_slice_by_slice() {
        let (index, mut chance) = (index(), Chance::new(7));
        let mut model = BTreeMap::new();
        let (mut slices, mut waiting_max) = (0, 0);
        for number in 1..4000 {
            let mut rows = Memtable::default();
            let key = Key::from(format!("key {:03}", chance.below(KEYS)));
            let was = index.place_of(&key).unwrap();
            assert_eq!(was.map(|(version, _)| version.0), model.get(&key).copied());
            if chance.one_in(3) {
                if was.is_some() {
                    rows.set(key.clone(), None, Indexed::Maybe);
                }
                model.remove(&key);
            } else {
                let indexed = if was.is_some() { Indexed::Maybe } else { Indexed::No };
                let place = Place { segment: 1, offset: 0, len: 0, crc: 0 };
                let row = row::encode(Version(number), place, b"");
                rows.set(key.clone(), Some(row), indexed);
                model.insert(key, number);
            }
            index.apply(rows);
            index.merge_some().unwrap();
            slices += usize::from(index.is_merging());
            let view = index.view();
            waiting_max = waiting_max.max(view.memtable.len() + view.merging.len());
            drop(view);
            let (all, limit) = (KeyRange::prefix(b""), chance.below(30) as usize);
            for direction in [Direction::Forward, Direction::Backward] {
                let first = index.snapshot_of_first(&all, limit, direction);
                let mut expected: Vec<Key> = model.keys().cloned().collect();
                if direction == Direction::Backward {
                    expected.reverse();
                }
                expected.truncate(limit);
                assert_eq!(keys(&first, &all, limit, direction), expected, "{number}");
            }
        }
        let found = index.get(&model.keys().cloned().collect::<Vec<_>>()).unwrap();
        let versions = found.iter().map(|row| row.as_ref().map(|row| row.version.0));
        assert!(versions.eq(model.values().copied().map(Some)));
        assert!(slices > 100, "{slices}");
        assert!(waiting_max < 2 * ROWS_MAX, "{waiting_max}");
        assert!(!model.is_empty() && !index.view().memtable.is_empty());
    }
}
