//! The local engine: one directory, one process, every commit synced before it is answered.
//!
//! ```text
//! commit() -> group.rs    a bounded queue; the writer takes everything that waits
//!             writer.rs   the one thread that writes: decide, make durable, answer
//!             index.rs    rows in redb: reads, and the transaction that decides a group's checks
//!             backend.rs  the file below redb: counts syncs, stops the engine when the disk fails
//!             gate.rs     lets a test hold or fail a sync
//!             space.rs    refuses commits before the disk is full
//! ```
//!
//! Durability is the writer's last step, apart from deciding and from reading: a commit log can take
//! its place without changing the others. Knows nothing of what a row means.

mod backend;
mod gate;
mod group;
mod index;
mod lock;
mod options;
mod space;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;

use crate::{
    Batch, Direction, Health, Key, KeyRange, Limits, MetaError, MetaStore, Outcome, ReadLevel,
    Versioned, contract,
};
use backend::Disk;
pub use gate::SyncGate;
use group::Queue;
use index::Index;
pub use options::{CommitObserver, LocalOptions, OpenError, Unobserved};
use space::Room;
pub use space::{DiskSpace, FreeSpace, Space};

/// Longest scan that runs on the caller's thread; a longer one goes to the blocking pool.
const INLINE_SCAN_ROWS_MAX: usize = 256;

/// A [`MetaStore`] in one directory of this machine. Takes [`Limits::COMMON`].
///
/// Commits queue for one writer thread, which makes each group of them durable with one redb commit
/// and answers only then. When the disk fails, the engine refuses every further commit until it is
/// opened again, and goes on reading what it had acknowledged.
pub struct LocalStore {
    queue: Arc<Queue>,
    disk: Arc<Disk>,
    room: Room,
    /// None once closed.
    index: RwLock<Option<Arc<Index>>>,
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
    /// [`OpenError::FormatTooNew`] when a later Tidelock wrote it; the others as they say.
    pub fn open(path: &Path, options: LocalOptions) -> Result<Self, OpenError> {
        let disk = Arc::new(Disk::new(Arc::clone(&options.clock), options.gate.clone()));
        let (held, released) = mpsc::channel();
        let index = Arc::new(Index::open(path, Arc::clone(&disk), options.cache_bytes, held)?);
        let queue = Arc::new(Queue::new(options.queue_batches_max));
        let writer = writer::start(
            Arc::clone(&index),
            Arc::clone(&queue),
            Arc::clone(&disk),
            options.clock,
            options.observer,
        )?;
        let room = Room { directory: path.to_owned(), space: options.space };
        let index = RwLock::new(Some(index));
        let (released, writer) = (Mutex::new(released), Mutex::new(Some(writer)));
        Ok(Self { queue, disk, room, index, released, writer })
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
        // A writer that a test's gate or a failed disk holds would never end.
        self.disk.release();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic of the writer has already been reported to all who waited for it.
            let _ = writer.join();
        }
        self.index.write().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing is ever sent: this is the end of the last reader.
        let _ = self.released.lock().unwrap_or_else(PoisonError::into_inner).recv();
    }

    fn index(&self) -> Result<Arc<Index>, MetaError> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.clone().ok_or_else(|| MetaError::Unavailable("the store is closed".into()))
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
        Limits::COMMON
    }

    fn health(&self) -> Health {
        if self.is_writable() {
            Health::Serving
        } else {
            Health::ReadOnly("the disk failed: restart when it is repaired".into())
        }
    }

    // All read levels are the same here: redb shows a group to readers once it is durable, and it
    // is answered after that.
    async fn get(
        &self,
        keys: &[Key],
        _level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        // On the caller's thread: a lookup takes microseconds, a hop to another thread more.
        Ok(self.index()?.get(keys)?)
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        _level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        let index = self.index()?;
        if limit <= INLINE_SCAN_ROWS_MAX {
            return Ok(index.scan(&range, limit, direction)?);
        }
        let scan = tokio::task::spawn_blocking(move || index.scan(&range, limit, direction));
        let rows = scan.await.map_err(|error| MetaError::Unavailable(error.to_string()))?;
        Ok(rows?)
    }

    /// The batch is committed even if the caller stops waiting once it is queued.
    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        contract::check(&batch, &self.limits())?;
        self.room.admit(&batch)?;
        let reply = self.queue.push(batch)?;
        reply.await.unwrap_or(Err(MetaError::Unknown))
    }
}

/// The cause of an I/O error, for the one who has to repair it.
fn describe(error: &io::Error) -> String {
    format!("the disk failed, restart when it is repaired: {error}")
}
