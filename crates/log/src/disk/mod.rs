//! The disk as the engine sees it: one directory of files with bytes at offsets. Knows no log.
//!
//! ```text
//! file.rs     a directory of the machine
//! faulty.rs   memory that loses, tears, refuses and corrupts under a seed
//! ```

pub mod faulty;
mod file;

pub use file::FileDisk;

use std::fmt;
use std::io;
use std::sync::Arc;

/// One directory of files.
///
/// # Contract
///
/// 1. What [`DiskFile::write_at`] was given is on the disk once a later [`DiskFile::sync`] has
///    answered, and not before.
/// 2. A name that was made, changed or removed is so on the disk once a later [`Disk::sync`] has
///    answered, and not before.
/// 3. A file stays what it was for whoever has it open, whatever becomes of its name.
pub trait Disk: Send + Sync {
    /// The names in the directory, in no order.
    ///
    /// # Errors
    ///
    /// What the system answers, here and below.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing. [`io::ErrorKind::NotFound`] when there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes an empty file. [`io::ErrorKind::AlreadyExists`] when there is one of this name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, and removes what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives a file another name. [`io::ErrorKind::AlreadyExists`] when there is a file of that name.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Makes the names durable.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// What the system answers, here and below.
    fn size(&self) -> io::Result<u64>;

    /// Fills `bytes` with what stands at `offset`. [`io::ErrorKind::UnexpectedEof`] when the file
    /// ends before that.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// The `len` bytes at `offset`, as [`Self::read_at`] reads them.
    fn read_value(&self, len: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut value = vec![0; len];
        self.read_at(&mut value, offset)?;
        Ok(value)
    }

    /// Writes all of `bytes` at `offset`; the file grows as needed. When it fails, any part of them may
    /// have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Asks for room for what will be written at `offset`, within the file's length, so that syncing it then
    /// changes less of the file system. A wish: a disk that cannot does nothing, and one that is full answers the
    /// write.
    fn reserve(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Makes the bytes and the length durable. Once it has failed, what was not durable may be lost
    /// although a later one succeeds.
    fn sync(&self) -> io::Result<()>;
}
