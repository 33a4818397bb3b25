//! Room on the disk. On a disk that is full nothing can be deleted, for that takes room, too, and no
//! checkpoint can be made. So commits are refused while there is still some, and the large ones first. Knows no queue and no rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Batch, MetaError};

/// Below this, large batches are refused: as many bytes again as wait in a full queue.
const LARGE_BATCH_RESERVE_BYTES: u64 = 128 << 20;

/// Below this, every batch is refused.
const RESERVE_BYTES: u64 = 64 << 20;

/// On a small disk the reserves are this part of it, at most: it is there to be used.
const LARGE_BATCH_RESERVE_PART: u64 = 8;
const RESERVE_PART: u64 = 16;

/// Up to here a batch is small: locks and deletes, which help to get out of the state.
const SMALL_BATCH_BYTES_MAX: usize = 8 << 10;

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
    pub(super) directory: PathBuf,
    pub(super) space: Arc<dyn FreeSpace>,
}

impl Room {
    /// Refuses, with [`MetaError::Unavailable`], what would take the last of the disk.
    pub(super) fn admit(&self, batch: &Batch) -> Result<(), MetaError> {
        // Takes a microsecond. A system that does not know is not asked again: the disk will tell.
        let Ok(space) = self.space.space(&self.directory) else { return Ok(()) };
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
