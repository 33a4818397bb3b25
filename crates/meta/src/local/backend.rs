//! The file below redb: counts and measures syncs, and stops the writer when the disk fails.
//!
//! redb refuses every uncached read after one failed write or sync. Reads must go on here, so the
//! failure is kept from redb. All it takes is what redb (pinned to 4.5.0) promises anyway: a durable
//! commit becomes visible only after a sync that follows its writes.
//!
//! - A write or resize that fails is remembered and reported as done; the sync after it fails.
//! - The same for the sync right after a resize: redb makes it while it holds a lock readers need.
//! - Any other sync that fails does not return. The writer thread is parked, the commit it was in
//!   stays invisible, and readers go on with the state before it, which nothing overwrites.
//!
//! Parked ends when the store is closed. A failed sync is never tried again: the kernel may have
//! dropped the pages it could not write, and a second fdatasync would succeed without them.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::SyncGate;
use super::lock::{locked, wait_while};
use crate::Clock;

/// What the backend shares with the writer and the store: counts, the gate and the failure.
pub(super) struct Disk {
    clock: Arc<dyn Clock>,
    gate: Option<Arc<SyncGate>>,
    sync_count: AtomicU64,
    sync_nanos: AtomicU64,
    state: Mutex<DiskState>,
    released: Condvar,
}

#[derive(Default)]
struct DiskState {
    writer: Option<Stoppable>,
    failure: Option<io::Error>,
    is_released: bool,
}

struct Stoppable {
    thread: ThreadId,
    on_failure: Box<dyn Fn(&io::Error) + Send>,
}

/// Syncs so far, or between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syncs {
    pub(super) count: u64,
    pub(super) time: Duration,
}

impl Syncs {
    pub(super) fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, time: self.time.saturating_sub(before.time) }
    }
}

impl Disk {
    pub(super) fn new(clock: Arc<dyn Clock>, gate: Option<Arc<SyncGate>>) -> Self {
        Self {
            clock,
            gate,
            sync_count: AtomicU64::new(0),
            sync_nanos: AtomicU64::new(0),
            state: Mutex::new(DiskState::default()),
            released: Condvar::new(),
        }
    }

    pub(super) fn syncs(&self) -> Syncs {
        let time = Duration::from_nanos(self.sync_nanos.load(Ordering::Relaxed));
        Syncs { count: self.sync_count.load(Ordering::Relaxed), time }
    }

    /// From now on a failure of the disk calls `on_failure` and parks the calling thread. Until then,
    /// while the store is being opened, failures go to redb as they are.
    pub(super) fn stop_this_thread_on_failure(
        &self,
        on_failure: impl Fn(&io::Error) + Send + 'static,
    ) {
        let thread = std::thread::current().id();
        let on_failure = Box::new(on_failure);
        locked(&self.state).writer = Some(Stoppable { thread, on_failure });
    }

    /// Lets a parked writer go, and opens the gate.
    pub(super) fn release(&self) {
        locked(&self.state).is_released = true;
        self.released.notify_all();
        if let Some(gate) = &self.gate {
            gate.release();
        }
    }

    /// Runs a sync through the gate and the counters.
    fn measured_sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let began = self.clock.monotonic();
        let result = sync();
        let took = self.clock.monotonic().saturating_sub(began);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sync_count.fetch_add(1, Ordering::Relaxed);
        self.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        result
    }

    /// Keeps a failure for the next sync, where it can be told without blocking readers.
    pub(super) fn defer(&self, result: io::Result<()>) -> io::Result<()> {
        let Err(error) = result else { return Ok(()) };
        let mut state = locked(&self.state);
        if state.writer.is_none() || state.is_released {
            return Err(error);
        }
        state.failure.get_or_insert(error);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        locked(&self.state).failure.is_some()
    }

    /// Reports the failure, this one or an earlier one, and parks the writer until it is released.
    fn stop_on(&self, result: io::Result<()>) -> io::Result<()> {
        let mut state = locked(&self.state);
        let Some(error) = state.failure.take().or(result.err()) else { return Ok(()) };
        // Stays failed for whatever redb tries on its way out.
        state.failure = Some(io::Error::new(error.kind(), error.to_string()));
        let Some(writer) = state.writer.as_ref() else { return Err(error) };
        if writer.thread != std::thread::current().id() {
            return Err(error);
        }
        (writer.on_failure)(&error);
        let _released = wait_while(&self.released, state, |state| !state.is_released);
        Err(error)
    }
}

/// redb's own file backend, seen through a [`Disk`].
pub(super) struct CountingBackend {
    file: FileBackend,
    disk: Arc<Disk>,
    /// The call before this one made the file longer or shorter.
    was_resized: AtomicBool,
}

impl CountingBackend {
    pub(super) fn new(file: FileBackend, disk: Arc<Disk>) -> Self {
        Self { file, disk, was_resized: AtomicBool::new(false) }
    }
}

impl fmt::Debug for CountingBackend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CountingBackend").field("file", &self.file).finish_non_exhaustive()
    }
}

impl StorageBackend for CountingBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.was_resized.store(true, Ordering::Relaxed);
        self.disk.defer(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.was_resized.swap(false, Ordering::Relaxed) {
            return self.disk.defer(self.disk.measured_sync(|| self.file.sync_data()));
        }
        if self.disk.has_failed() {
            return self.disk.stop_on(Ok(()));
        }
        let result = self.disk.measured_sync(|| {
            if let Some(gate) = &self.disk.gate {
                gate.pass()?;
            }
            self.file.sync_data()
        });
        self.disk.stop_on(result)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.was_resized.store(false, Ordering::Relaxed);
        self.disk.defer(self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
