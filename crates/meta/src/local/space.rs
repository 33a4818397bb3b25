//! Room on the disk. On a disk that is full nothing can be deleted, for that takes room, too, and no
//! checkpoint can be made. So commits are refused while there is still some, and the large ones first. Knows no queue and no rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Batch, Clock, MetaError};

/// Below this, large batches are refused: as many bytes again as wait in a full queue.
const LARGE_BATCH_RESERVE_BYTES: u64 = 128 << 20;

/// Below this, every batch is refused.
const RESERVE_BYTES: u64 = 64 << 20;

/// On a small disk the reserves are this part of it, at most: it is there to be used.
const LARGE_BATCH_RESERVE_PART: u64 = 8;
const RESERVE_PART: u64 = 16;

/// Up to here a batch is small: locks and deletes, which help to get out of the state.
const SMALL_BATCH_BYTES_MAX: usize = 8 << 10;

/// With so much room the next look is let wait: nobody writes that in [`LOOK_INTERVAL`].
const PLENTY_BYTES: u64 = 4 << 30;

/// How long after a look that saw plenty the next one is made.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How large a file system is, and how much of it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

impl Space {
    /// Bytes that large commits leave free: with fewer, only what is small is taken.
    pub fn reserve_bytes(&self) -> u64 {
        LARGE_BATCH_RESERVE_BYTES.min(self.total_bytes / LARGE_BATCH_RESERVE_PART)
    }

    /// Bytes that no commit takes.
    fn last_bytes(&self) -> u64 {
        RESERVE_BYTES.min(self.total_bytes / RESERVE_PART)
    }
}

/// Tells how much room there is.
pub trait FreeSpace: Send + Sync {
    /// The space on the file system of `directory`.
    ///
    /// # Errors
    ///
    /// What the system answers.
    fn space(&self, directory: &Path) -> io::Result<Space>;
}

/// Asks the system, with statvfs(3).
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSpace;

impl FreeSpace for DiskSpace {
    fn space(&self, directory: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(directory)?;
        Ok(Space {
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }
}

/// Lets batches in while there is room for them.
pub(super) struct Room {
    directory: PathBuf,
    space: Arc<dyn FreeSpace>,
    clock: Arc<dyn Clock>,
    /// When the next look is made, in nanoseconds of the monotonic clock.
    next_look: AtomicU64,
}

impl Room {
    /// The room of the file system of `directory`.
    pub(super) fn new(directory: &Path, space: Arc<dyn FreeSpace>, clock: Arc<dyn Clock>) -> Self {
        Self { directory: directory.to_owned(), space, clock, next_look: AtomicU64::new(0) }
    }

    /// Refuses, with [`MetaError::Unavailable`], what would take the last of the disk.
    pub(super) fn admit(&self, batch: &Batch) -> Result<(), MetaError> {
        let now = nanoseconds(self.clock.monotonic());
        if now < self.next_look.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A system that does not know: the disk will tell.
        let Ok(space) = self.space.space(&self.directory) else { return Ok(()) };
        if space.free_bytes >= PLENTY_BYTES {
            self.next_look.store(now + nanoseconds(LOOK_INTERVAL), Ordering::Relaxed);
        }
        let is_small = batch.size_bytes() <= SMALL_BATCH_BYTES_MAX;
        let reserve = if is_small { space.last_bytes() } else { space.reserve_bytes() };
        let free = space.free_bytes;
        if free < reserve {
            let what = format!("the disk is almost full, {free} bytes are left: make room");
            return Err(MetaError::Unavailable(what));
        }
        Ok(())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::OpId;
    use crate::clock::ManualClock;

    struct Looked {
        free_bytes: AtomicU64,
        looks: AtomicU32,
    }

    impl FreeSpace for Looked {
        fn space(&self, _directory: &Path) -> io::Result<Space> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            let free_bytes = self.free_bytes.load(Ordering::Relaxed);
            Ok(Space { free_bytes, total_bytes: 100 << 30 })
        }
    }

    #[test]
    fn it_is_looked_at_each_time_unless_there_is_plenty() {
        let (free_bytes, looks) = (AtomicU64::new(PLENTY_BYTES), AtomicU32::new(0));
        let disk = Arc::new(Looked { free_bytes, looks });
        let clock = Arc::new(ManualClock::new(0));
        let room = Room::new(Path::new("/"), disk.clone(), clock.clone());
        let batch = Batch::new(OpId([0; 16]));
        let rows = [
            (PLENTY_BYTES, Duration::ZERO, 1, true),
            (0, LOOK_INTERVAL - Duration::from_millis(1), 0, true),
            (0, Duration::from_millis(1), 1, false),
            (RESERVE_BYTES, Duration::ZERO, 1, true),
            (PLENTY_BYTES - 1, Duration::ZERO, 1, true),
            (PLENTY_BYTES, Duration::ZERO, 1, true),
            (0, Duration::ZERO, 0, true),
        ];
        for (index, (free_bytes, later, looks, is_admitted)) in rows.into_iter().enumerate() {
            disk.free_bytes.store(free_bytes, Ordering::Relaxed);
            clock.advance(later);
            assert_eq!(room.admit(&batch).is_ok(), is_admitted, "row {index}");
            assert_eq!(disk.looks.swap(0, Ordering::Relaxed), looks, "row {index}");
        }
    }
}
