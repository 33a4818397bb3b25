//! The file `epoch`: which opening of the log is the one that may write. A process whose directory was
//! opened by another, where locks of files do not hold, finds it changed before it acknowledges anything
//! and before it writes to what both have.
//!
//! ```text
//! epoch    epoch:u64 | crc:u32
//! ```
//!
//! An epoch is a count of openings and a random tag: `count:24 bits | tag:40 bits`.

use std::io;
use std::sync::Arc;

use crate::codec::{Reader, checksum};
use crate::disk::{Disk, DiskFile};
use crate::log::{LogOptions, Sabotage};
use crate::{LogError, recovery};

/// Name of the file.
pub(crate) const NAME: &str = "epoch";
const BYTES: usize = 12;
const TAG_BITS: u32 = 40;

/// The right to write to a directory, until somebody else takes it.
#[derive(Debug)]
pub struct Fence {
    file: Arc<dyn DiskFile>,
    epoch: u64,
    is_checked: bool,
}

impl Fence {
    /// Takes the right to write to `disk`, before anything there is read: from here on, nobody who had it
    /// acknowledges anything.
    ///
    /// # Errors
    ///
    /// What the disk answers, and [`LogError::Damaged`] when the log cannot be read.
    pub fn take(disk: &dyn Disk, options: &LogOptions) -> Result<Self, LogError> {
        let (headers, _) = recovery::headers(disk)?;
        let seen = headers.values().map(|header| header.epoch).max().unwrap_or(0);
        let file = match disk.open(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(NAME)?,
            opened => opened?,
        };
        // A file that was cut off when it was written tells nothing, and the segments tell the rest.
        let last = read(&*file)?.unwrap_or(0).max(seen);
        let count = (last >> TAG_BITS) + 1;
        let epoch = (count << TAG_BITS) | (options.tag & ((1 << TAG_BITS) - 1));
        let mut bytes = epoch.to_be_bytes().to_vec();
        bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.sync()?;
        let is_checked = options.sabotage != Some(Sabotage::Epoch);
        Ok(Self { file, epoch, is_checked })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Refuses, with [`LogError::Fenced`], when somebody else has taken the right.
    ///
    /// # Errors
    ///
    /// That, and what the disk answers.
    pub fn check(&self) -> Result<(), LogError> {
        if !self.is_checked {
            return Ok(());
        }
        match read(&*self.file)? {
            Some(epoch) if epoch == self.epoch => Ok(()),
            _ => Err(LogError::Fenced),
        }
    }
}

fn read(file: &dyn DiskFile) -> Result<Option<u64>, LogError> {
    let mut bytes = [0; BYTES];
    match file.read_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let mut reader = Reader(&bytes);
    let (epoch, crc) = (reader.u64(), reader.u32());
    Ok(epoch.filter(|epoch| crc == Some(checksum(&epoch.to_be_bytes()))))
}
