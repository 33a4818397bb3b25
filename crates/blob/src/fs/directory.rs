//! Names in the store's directory: where a blob is written, where it ends up, what is there.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Reserve;
use crate::BlobId;

/// Directories that blobs are spread over, by the first byte of their id: a million blobs make
/// directories of four thousand.
const FAN_OUT: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

const LOCK_NAME: &str = "lock";
const UNFINISHED_NAME: &str = "tmp";

/// Who else may have the directory open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody: what is unfinished when it opens was left by a crash.
    Exclusive,
    /// Any number of processes, on this machine or another: what is unfinished may be theirs.
    Shared,
}

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    reserve: Reserve,
    sharing: Sharing,
    /// Locked until dropped: an exclusive store would remove the unfinished files of every other.
    _lock: File,
}

impl Directory {
    pub(super) fn open(path: &Path, reserve: Reserve, sharing: Sharing) -> io::Result<Self> {
        make(path)?;
        let lock = lock(&path.join(LOCK_NAME), sharing)?;
        let directory = Self { path: path.to_owned(), reserve, sharing, _lock: lock };
        make(&directory.path.join(UNFINISHED_NAME))?;
        if sharing == Sharing::Exclusive {
            directory.remove_unfinished()?;
        }
        // All at once, so that finishing a blob never makes a directory whose name is not synced.
        for first in FAN_OUT {
            make(&directory.fan_out(first))?;
        }
        sync(&directory.path)?;
        if let Some(parent) = directory.path.canonicalize()?.parent() {
            sync(parent)?;
        }
        Ok(directory)
    }

    /// A new file for a blob to be written to; at most one for each id at a time.
    pub(super) fn create_unfinished(&self, id: BlobId) -> io::Result<File> {
        self.ensure_room()?;
        let unfinished = self.unfinished(id);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        // Only now: while the unfinished file is ours, nobody else can finish this id.
        let taken = match self.finished(id).try_exists() {
            Ok(false) => return Ok(file),
            Ok(true) => io::ErrorKind::AlreadyExists.into(),
            Err(error) => error,
        };
        fs::remove_file(&unfinished)?;
        Err(taken)
    }

    /// Fails with [`io::ErrorKind::StorageFull`] before the disk is full.
    pub(super) fn ensure_room(&self) -> io::Result<()> {
        let found = rustix::fs::statvfs(&self.path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let reserve_bytes =
            self.reserve.bytes.min(bytes(found.f_blocks) / self.reserve.part_of_disk);
        if bytes(found.f_bavail) < reserve_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Gives a synced file its final name, durably.
    pub(super) fn finish(&self, id: BlobId) -> io::Result<()> {
        fs::rename(self.unfinished(id), self.finished(id))?;
        sync(&self.fan_out(id.0[0]))
    }

    pub(super) fn remove(&self, id: BlobId) -> io::Result<()> {
        remove_if_present(&self.unfinished(id))
    }

    pub(super) fn open_finished(&self, id: BlobId) -> io::Result<File> {
        File::open(self.finished(id))
    }

    pub(super) fn delete(&self, id: BlobId) -> io::Result<()> {
        // In this order: a writer that finishes in between gets its name, and loses it below.
        if self.sharing == Sharing::Shared {
            remove_if_present(&self.unfinished(id))?;
        }
        remove_if_present(&self.finished(id))
    }

    /// The first `limit` ids after `after`, ascending.
    pub(super) fn list(&self, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
        list_in(&self.path, after, limit)
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.path.join(UNFINISHED_NAME))? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    fn unfinished(&self, id: BlobId) -> PathBuf {
        self.path.join(UNFINISHED_NAME).join(id.to_string())
    }

    fn finished(&self, id: BlobId) -> PathBuf {
        finished_in(&self.path, id)
    }

    fn fan_out(&self, first: u8) -> PathBuf {
        fan_out_in(&self.path, first)
    }
}

/// Where the finished blob `id` is in the directory `path`.
pub(super) fn finished_in(path: &Path, id: BlobId) -> PathBuf {
    fan_out_in(path, id.0[0]).join(hex::encode(&id.0[1..]))
}

fn fan_out_in(path: &Path, first: u8) -> PathBuf {
    path.join(format!("{first:02x}"))
}

/// The first `limit` ids after `after` in the directory `path`, ascending; none where nothing was ever made.
pub(super) fn list_in(path: &Path, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
    let mut found = Vec::new();
    for first in after.map_or(0, |id| id.0[0])..=u8::MAX {
        if found.len() >= limit {
            break;
        }
        let mut ids = ids_in(path, first)?;
        ids.retain(|id| Some(*id) > after);
        ids.sort_unstable();
        found.extend(ids);
    }
    found.truncate(limit);
    Ok(found)
}

/// The ids that begin with `first`; files that are no blobs are left alone.
fn ids_in(path: &Path, first: u8) -> io::Result<Vec<BlobId>> {
    let entries = match fs::read_dir(fan_out_in(path, first)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(rest) = name.to_str() else { continue };
        ids.extend(format!("{first:02x}{rest}").parse::<BlobId>());
    }
    Ok(ids)
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(path: &Path, sharing: Sharing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let lock =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let locked = match sharing {
        Sharing::Exclusive => lock.try_lock(),
        Sharing::Shared => lock.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let what = "the blob directory is already open, in this or another process";
            Err(io::Error::new(io::ErrorKind::WouldBlock, what))
        }
        // Not every network file system has locks; a store that removes nothing can do without.
        Err(TryLockError::Error(_)) if sharing == Sharing::Shared => Ok(lock),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
