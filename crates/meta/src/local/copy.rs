//! The log of a store, copied elsewhere while a server writes it, and written again from such a copy.
//!
//! What is copied is the log alone: the index is made from it. A run of segments is a whole store up to any
//! place behind the one where the segment before its first was let go: what was current there was
//! copied to the end of the log before.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Cursor, Follower, Import, Imported};

use super::OpenError;
use super::engine::{mark, unmark};

/// Reads the log of the store in directory `path` from `cursor` on, whether a server has it or not. Changes nothing
/// and keeps nobody out.
pub fn follow_log(path: &Path, cursor: Option<Cursor>) -> Follower {
    Follower::new(Arc::new(FileDisk::new(path)), cursor)
}

/// Writes the log of a store to a new directory.
pub struct LogImport {
    disk: Arc<dyn Disk>,
    import: Import,
    _lock: File,
}

impl LogImport {
    /// Begins a store in directory `path`, which must be empty or missing, with all groups that are not later than
    /// `until`, in milliseconds since 1970. Until [`LogImport::finish`] nobody opens it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] when the directory is not empty or cannot be written.
    pub fn begin(path: &Path, until: Option<u64>) -> Result<Self, OpenError> {
        let lock = super::make_directory(path)?;
        let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(path));
        super::require_empty(&*disk)?;
        mark(&*disk)?;
        Ok(Self { import: Import::new(Arc::clone(&disk), until), disk, _lock: lock })
    }

    /// Writes segment `number`, whose file has these `bytes`; the oldest first. False when no other is needed.
    ///
    /// # Errors
    ///
    /// [`OpenError::Corrupt`] when the bytes are not those of that segment or do not follow those before.
    pub fn segment(&mut self, number: u64, bytes: &[u8]) -> Result<bool, OpenError> {
        Ok(self.import.segment(number, bytes)?)
    }

    /// Makes it a store that can be opened.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`]
    pub fn finish(self) -> Result<Imported, OpenError> {
        let imported = self.import.finish()?;
        unmark(&*self.disk)?;
        Ok(imported)
    }
}
