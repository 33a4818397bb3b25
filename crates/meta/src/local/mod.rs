//! The local engine: one directory, one process, every commit synced before it is answered.
//!
//! ```text
//! commit() -> group.rs    a bounded queue; the writer takes everything that waits
//!             writer.rs   the one thread that writes: commits groups, makes checkpoints, cleans
//!             engine.rs   decides a group, makes it durable in the log, visible in the index
//!             change.rs   the checks and the rows of a group
//!             memtable.rs rows that wait to be merged into the index
//!             index.rs    rows in redb, and above them those that wait
//! get()    -> rows.rs     rows with their values, from the index and the log
//!             snapshot.rs rows of one moment, in order
//!             row.rs      a row as the index stores it
//!             backend.rs  the file below redb: written at checkpoints only
//! open()   -> convert.rs  from the format that had no log
//!             row_log.rs  a log of rows as they are
//! verify()    verify.rs   whether a stopped store is what was written
//!             against_index.rs  the log read against the index
//! recover()   recover.rs  what can be saved of one that is not
//! follow_log() copy.rs   the log, copied while a server writes it, and written again
//!             logged.rs   a store as its log has it, without the index
//!             syncs.rs    counts syncs
//!             gate.rs     lets a test hold or fail a sync
//!             space.rs    refuses commits before the disk is full
//! ```
//!
//! What is durable is in the log (the crate `tidelock-log`); the index can be made from it. Knows nothing of
//! what a row means.

mod against_index;
mod backend;
mod change;
mod convert;
mod copy;
mod engine;
mod gate;
mod group;
mod index;
mod lock;
mod logged;
mod memtable;
mod options;
mod recover;
mod row;
mod row_log;
mod rows;
#[cfg(test)]
mod simulation;
mod snapshot;
mod space;
mod syncs;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tidelock_log::disk::{Disk, FileDisk};

use crate::{
    Batch, Direction, Health, Key, KeyRange, Limits, MetaError, MetaStore, Outcome, ReadLevel,
    Versioned, contract,
};
pub use copy::{LogImport, follow_log};
use engine::{Engine, EngineOptions};
pub use gate::SyncGate;
use group::Queue;
use index::Held;
pub use logged::LoggedStore;
pub use options::{CommitObserver, LocalOptions, LogSpace, OpenError, Unobserved};
pub use recover::{Recovery, recover};
use rows::Rows;
use space::Room;
pub use space::{DiskSpace, FreeSpace, Space};
use syncs::SyncMeter;
pub use tidelock_log::{Cursor, Damage, Followed, Follower, Group, Imported, LogError, Piece};
pub use tidelock_log::{Position, Record};
pub use verify::{Verification, verify};

/// Longest scan that runs on the caller's thread; a longer one goes to the blocking pool.
const INLINE_SCAN_ROWS_MAX: usize = 256;

/// What a commit may be made of: large bodies cost the log as much as they have bytes, and many rows what each of
/// them costs.
const LIMITS: Limits =
    Limits { batch_bytes_max: 1 << 20, batch_operations_max: 1000, ..Limits::COMMON };

/// Locked while the store is open: nobody else may make, remove or rename what is in the directory.
const LOCK_NAME: &str = "lock";

/// A [`MetaStore`] in one directory of this machine. Takes batches of 1 MiB and 1,000 operations, and otherwise
/// [`Limits::COMMON`].
///
/// Commits queue for one writer thread, which makes each group of them durable with one sync of the log
/// and answers only then. When the disk fails, the engine refuses every further commit until it is
/// opened again, and goes on reading what it had acknowledged.
pub struct LocalStore {
    queue: Arc<Queue>,
    syncs: Arc<SyncMeter>,
    room: Room,
    /// None once closed.
    rows: RwLock<Option<Arc<Rows>>>,
    /// Ends when the last reader has let go of the index: a scan goes on when its caller does not.
    released: Mutex<Receiver<()>>,
    /// None once joined.
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl LocalStore {
    /// Opens the store in directory `path`, which is made (mode 0700) if it is missing, and starts
    /// its writer thread. Work that a crash left unfinished is undone here.
    ///
    /// # Errors
    ///
    /// [`OpenError::AlreadyOpen`] when a process, this one included, has it open;
    /// [`OpenError::FormatTooNew`] when a later Tidelock wrote it; [`OpenError::Corrupt`] when something
    /// acknowledged is not there any more; the others as they say.
    pub fn open(path: &Path, options: LocalOptions) -> Result<Self, OpenError> {
        let lock = make_directory(path)?;
        // A commit is not durable in a file that has no name, nor in a directory that has none. At
        // every start: the one that made them may have been cut off before it came here.
        File::open(path)?.sync_all()?;
        if let Some(parent) = path.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        Self::open_on(Arc::new(FileDisk::new(path)), path, Some(lock), options)
    }

    /// Opens the store on `disk`; `path` is asked for its room.
    fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        lock: Option<File>,
        options: LocalOptions,
    ) -> Result<Self, OpenError> {
        let syncs = Arc::new(SyncMeter::new(Arc::clone(&options.clock), options.gate.clone()));
        let (released, on_release) = mpsc::channel();
        let held = Held { _lock: lock.map(Arc::new), _released: released };
        let (clock, room_clock) = (Arc::clone(&options.clock), Arc::clone(&options.clock));
        let engine_options = EngineOptions::new(options.log_tag, options.cache_bytes, clock);
        let engine = Engine::open(&disk, &engine_options, &syncs, &held)?;
        drop(held);
        let rows = Arc::new(Rows::new(engine.index(), engine.reader()));
        let queue = Arc::new(Queue::new(options.queue_batches_max));
        let writer = writer::start(
            engine,
            Arc::clone(&queue),
            Arc::clone(&syncs),
            options.clock,
            options.observer,
        )?;
        let room = Room::new(path, options.space, room_clock);
        let (rows, writer) = (RwLock::new(Some(rows)), Mutex::new(Some(writer)));
        Ok(Self { queue, syncs, room, rows, released: Mutex::new(on_release), writer })
    }

    /// Whether commits are taken: false from [`LocalStore::close`] on, and once the disk has failed.
    /// A full disk or queue, which passes, does not count.
    pub fn is_writable(&self) -> bool {
        self.queue.is_open()
    }

    /// Commits what is queued, waits for the reads under way, stops the writer thread and releases the
    /// directory. Blocks until then.
    /// Every later call answers [`MetaError::Unavailable`]. Closing twice is harmless.
    pub fn close(&self) {
        self.queue.close();
        // A writer that a test's gate holds would never end.
        self.syncs.release();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic of the writer has already been reported to all who waited for it.
            let _ = writer.join();
        }
        self.rows.write().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing is ever sent: this is the end of the last reader.
        let _ = self.released.lock().unwrap_or_else(PoisonError::into_inner).recv();
    }

    fn rows(&self) -> Result<Arc<Rows>, MetaError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.clone().ok_or_else(|| MetaError::Unavailable("the store is closed".into()))
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl MetaStore for LocalStore {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn health(&self) -> Health {
        if self.is_writable() {
            Health::Serving
        } else {
            Health::ReadOnly("the disk failed: restart when it is repaired".into())
        }
    }

    // All read levels are the same here: a group is shown to readers once it is durable, and
    // is answered after that.
    async fn get(
        &self,
        keys: &[Key],
        _level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        // On the caller's thread: a lookup takes microseconds, a hop to another thread more.
        self.rows()?.get(keys)
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        _level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        let rows = self.rows()?;
        if limit <= INLINE_SCAN_ROWS_MAX {
            return rows.scan(&range, limit, direction);
        }
        let scan = tokio::task::spawn_blocking(move || rows.scan(&range, limit, direction));
        scan.await.map_err(|error| MetaError::Unavailable(error.to_string()))?
    }

    async fn scan_grouped(
        &self,
        range: KeyRange,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
        _level: ReadLevel,
    ) -> Result<Vec<crate::Group>, MetaError> {
        let rows = self.rows()?;
        if limit <= INLINE_SCAN_ROWS_MAX {
            return rows.scan_grouped(&range, skip, delimiter, limit);
        }
        let delimiter = delimiter.to_vec();
        let grouped = move || rows.scan_grouped(&range, skip, &delimiter, limit);
        let scan = tokio::task::spawn_blocking(grouped);
        scan.await.map_err(|error| MetaError::Unavailable(error.to_string()))?
    }

    /// The batch is committed even if the caller stops waiting once it is queued.
    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        contract::check(&batch, &self.limits())?;
        self.room.admit(&batch)?;
        let reply = self.queue.push(batch)?;
        let (outcome, _batch) = reply.await.unwrap_or(Err(MetaError::Unknown))?;
        Ok(outcome)
    }
}

/// Makes the directory if it is missing, and keeps others out of it.
fn make_directory(path: &Path) -> Result<File, OpenError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    lock(options.open(path.join(LOCK_NAME))?)
}

/// Refuses a directory in which there is more than its lock.
fn require_empty(disk: &dyn Disk) -> Result<(), OpenError> {
    if disk.list()?.iter().all(|name| name == LOCK_NAME) {
        return Ok(());
    }
    let what = "the directory is not empty";
    Err(OpenError::Io(io::Error::new(io::ErrorKind::AlreadyExists, what)))
}

/// Keeps others out of a directory that a store has been in.
fn lock_existing(path: &Path) -> Result<File, OpenError> {
    let path = path.join(LOCK_NAME);
    match OpenOptions::new().write(true).open(&path) {
        // A disk that has failed may be mounted so.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => lock(File::open(path)?),
        opened => lock(opened?),
    }
}

fn lock(lock: File) -> Result<File, OpenError> {
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}
