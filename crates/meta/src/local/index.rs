//! Rows in redb. Decides the checks of a group in one transaction and reads snapshots; knows nothing
//! of queues and threads.
//!
//! ```text
//! table "rows"   key -> version (8 bytes, big-endian) | value
//! table "store"  "format"      -> FORMAT
//!                "last_commit" -> number of the last commit
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    Table, TableDefinition, TableError, WriteTransaction,
};

use super::OpenError;
use super::backend::{CountingBackend, Disk};
use crate::{
    Batch, Direction, Expect, Key, KeyRange, MetaError, Outcome, Version, Versioned, Write,
};

/// Name of the index inside the store's directory.
const FILE_NAME: &str = "meta.redb";

/// Name of an index that is being made. redb refuses a file that it has not finished making, so
/// the index gets its own name only after that.
const UNFINISHED_NAME: &str = "meta.redb.new";

/// Locked while the store is open: nobody else may make, remove or rename what is in the directory.
const LOCK_NAME: &str = "lock";

/// The newest format this version writes and reads.
const FORMAT: u64 = 1;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const STORE: TableDefinition<'_, &str, u64> = TableDefinition::new("store");
const FORMAT_KEY: &str = "format";
const LAST_COMMIT_KEY: &str = "last_commit";

/// Memory for pages of an index that is being made, which has next to none.
const CACHE_BYTES_MAKING: usize = 1 << 20;

/// Length of the version in front of a value.
const VERSION_BYTES: usize = 8;

impl From<redb::Error> for MetaError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Corrupt(what),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The ordered rows of a store.
pub(super) struct Index {
    database: Database,
    _lock: File,
    /// Dropped last: whoever waits for the other end then finds the directory released.
    _held: Sender<()>,
}

impl Index {
    /// Opens or makes the index in directory `path`, which is released when `held` is dropped.
    pub(super) fn open(
        path: &Path,
        disk: Arc<Disk>,
        cache_bytes: usize,
        held: Sender<()>,
    ) -> Result<Self, OpenError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = lock(path)?;
        let file = path.join(FILE_NAME);
        if !file.try_exists()? {
            Self::make(path, Arc::clone(&disk), lock.try_clone()?, held.clone())?;
        }
        // A commit is not durable in a file that has no name, nor in a directory that has none. At
        // every start: the one that made them may have been cut off before it came here.
        File::open(path)?.sync_all()?;
        if let Some(parent) = path.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        let database = database(&file, disk, cache_bytes)?;
        let index = Self { database, _lock: lock, _held: held };
        index.open_format()?;
        Ok(index)
    }

    /// Makes an empty index in one step: a crash leaves a whole one or none.
    fn make(
        directory: &Path,
        disk: Arc<Disk>,
        lock: File,
        held: Sender<()>,
    ) -> Result<(), OpenError> {
        let unfinished = directory.join(UNFINISHED_NAME);
        if unfinished.try_exists()? {
            fs::remove_file(&unfinished)?;
        }
        let database = database(&unfinished, disk, CACHE_BYTES_MAKING)?;
        let index = Self { database, _lock: lock, _held: held };
        index.write_format().map_err(format_error)?;
        drop(index);
        Ok(fs::rename(&unfinished, directory.join(FILE_NAME))?)
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let row = |key: &Key| match rows.get(&key[..])? {
            Some(stored) => decode(stored.value()).map(Some),
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
    ) -> Result<Vec<(Key, Versioned)>, redb::Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let start = Bound::Included(&range.start[..]);
        let end = range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut stored = rows.range::<&[u8]>((start, end))?;
        let mut found = Vec::new();
        while found.len() < limit {
            let next = match direction {
                Direction::Forward => stored.next(),
                Direction::Backward => stored.next_back(),
            };
            let Some(next) = next else { break };
            let (key, row) = next?;
            found.push((Bytes::copy_from_slice(key.value()), decode(row.value())?));
        }
        Ok(found)
    }

    /// Begins the transaction of one group.
    pub(super) fn begin(&self) -> Result<GroupTransaction, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // Two syncs a group instead of one, and for that: after a crash the store opens at once
        // instead of after a walk through the whole file, and which of two commits is the last does
        // not rest on checksums alone (redb's recovery bugs of 2026 were in that path).
        transaction.set_quick_repair(true);
        Ok(GroupTransaction { transaction })
    }

    fn open_format(&self) -> Result<(), OpenError> {
        let Some(found) = self.stored_format().map_err(format_error)? else {
            return self.write_format().map_err(format_error);
        };
        if found > FORMAT {
            return Err(OpenError::FormatTooNew { found, known: FORMAT });
        }
        Ok(())
    }

    /// None: the store has just been made.
    fn stored_format(&self) -> Result<Option<u64>, redb::Error> {
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

    fn write_format(&self) -> Result<(), redb::Error> {
        let GroupTransaction { transaction } = self.begin()?;
        let mut store = transaction.open_table(STORE)?;
        store.insert(FORMAT_KEY, FORMAT)?;
        store.insert(LAST_COMMIT_KEY, 0)?;
        drop(store);
        drop(transaction.open_table(ROWS)?);
        Ok(transaction.commit()?)
    }
}

/// A group on its way: decided and applied, but neither visible nor durable.
pub(super) struct GroupTransaction {
    transaction: WriteTransaction,
}

impl GroupTransaction {
    /// Decides the batches in order, each against what those before it have left, and applies the
    /// ones that hold. The outcomes are true only once the transaction is durable.
    pub(super) fn apply(&mut self, batches: &[Batch]) -> Result<Vec<Outcome>, redb::Error> {
        let mut rows = self.transaction.open_table(ROWS)?;
        let mut store = self.transaction.open_table(STORE)?;
        let stored = store.get(LAST_COMMIT_KEY)?.map(|number| number.value());
        let Some(mut last_commit) = stored else {
            return Err(redb::Error::Corrupted("the store has no last commit".into()));
        };
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            if let Some(first) = first_conflict(&rows, batch)? {
                outcomes.push(Outcome::Conflict { first });
                continue;
            }
            last_commit += 1;
            write_all(&mut rows, batch, Version(last_commit))?;
            outcomes.push(Outcome::Committed(Version(last_commit)));
        }
        store.insert(LAST_COMMIT_KEY, last_commit)?;
        Ok(outcomes)
    }

    /// Makes the group visible and durable.
    pub(super) fn commit_durably(self) -> Result<(), redb::Error> {
        Ok(self.transaction.commit()?)
    }

    /// Forgets the group.
    pub(super) fn abort(self) -> Result<(), redb::Error> {
        Ok(self.transaction.abort()?)
    }
}

type Rows<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

fn first_conflict(rows: &Rows<'_>, batch: &Batch) -> Result<Option<usize>, redb::Error> {
    for (index, (key, expect)) in batch.checks.iter().enumerate() {
        let found = match rows.get(&key[..])? {
            Some(stored) => Some(decode_version(stored.value())?),
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

fn write_all(rows: &mut Rows<'_>, batch: &Batch, version: Version) -> Result<(), redb::Error> {
    for write in &batch.writes {
        match write {
            Write::Put(key, value) => {
                let mut row = rows.insert_reserve(&key[..], VERSION_BYTES + value.len())?;
                let (head, tail) = row.as_mut().split_at_mut(VERSION_BYTES);
                head.copy_from_slice(&version.0.to_be_bytes());
                tail.copy_from_slice(value);
            }
            Write::Delete(key) => drop(rows.remove(&key[..])?),
        }
    }
    Ok(())
}

fn decode(stored: &[u8]) -> Result<Versioned, redb::Error> {
    let version = decode_version(stored)?;
    Ok(Versioned { version, value: Bytes::copy_from_slice(&stored[VERSION_BYTES..]) })
}

fn decode_version(stored: &[u8]) -> Result<Version, redb::Error> {
    match stored.first_chunk::<VERSION_BYTES>() {
        Some(version) => Ok(Version(u64::from_be_bytes(*version))),
        None => Err(redb::Error::Corrupted("a row is shorter than its version".into())),
    }
}

/// The database in the file at `path`, which is made if it is missing.
fn database(path: &Path, disk: Arc<Disk>, cache_bytes: usize) -> Result<Database, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = FileBackend::new(options.open(path)?).map_err(open_error)?;
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.create_with_backend(CountingBackend::new(file, disk)).map_err(open_error)
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(directory.join(LOCK_NAME))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}

fn open_error(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::AlreadyOpen,
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() != io::ErrorKind::InvalidData =>
        {
            OpenError::Io(error)
        }
        other => OpenError::Corrupt(other.to_string()),
    }
}

fn format_error(error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(error) => OpenError::Io(error),
        other => OpenError::Corrupt(other.to_string()),
    }
}
