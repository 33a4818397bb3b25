//! A directory of the machine.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};
use rustix::io::Errno;

use super::{Disk, DiskFile};

/// Files hold the data of users: nobody else reads them.
const FILE_MODE: u32 = 0o600;

/// A [`Disk`] in a directory that exists.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    /// What is synced for names. Kept open: what was written must be synced also where no file can be opened any more.
    directory: OnceLock<File>,
}

impl FileDisk {
    /// The disk in the directory `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), directory: OnceLock::new() }
    }
}

impl Disk for FileDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        match OpenOptions::new().read(true).write(true).open(&path) {
            // A disk that has failed may be mounted so: it can still be verified, and saved from.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Ok(Arc::new(File::open(path)?))
            }
            opened => Ok(Arc::new(opened?)),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // Some file systems do not know how.
            Err(Errno::INVAL | Errno::NOSYS) if !to.try_exists()? => fs::rename(from, to),
            renamed => Ok(renamed?),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let found = statvfs(&self.path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(directory) = self.directory.get() {
            return directory.sync_all();
        }
        let directory = File::open(&self.path)?;
        directory.sync_all()?;
        let _first = self.directory.set(directory);
        Ok(())
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    /// Without filling the memory with zeros first.
    fn read_value(&self, len: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut value = Vec::with_capacity(len);
        while value.len() < len {
            let at = offset + value.len() as u64;
            let room = rustix::buffer::spare_capacity(&mut value);
            match rustix::io::pread(self, room, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_read) => {}
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // There may have been more room than was asked for.
        value.truncate(len);
        Ok(value)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, offset: u64, len: u64) {
        let _ = rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), offset, len);
    }

    /// With fdatasync(2): times of the file are of no interest, its length is synced by it.
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_value_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let file = FileDisk::new(directory.path()).create("a").unwrap();
        file.write_at(b"0123456789", 0).unwrap();
        for (len, offset, expected) in [(4, 3, "3456"), (0, 10, ""), (10, 0, "0123456789")] {
            assert_eq!(file.read_value(len, offset).unwrap(), expected.as_bytes());
        }
        let kind = file.read_value(4, 7).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn room_that_was_asked_for_is_there_and_the_file_as_long_as_before() {
        const ROOM: u64 = 1 << 20;
        let directory = tempfile::TempDir::new().unwrap();
        let disk = FileDisk::new(directory.path());
        let file = disk.create("file").unwrap();
        file.set_len(2 * ROOM).unwrap();
        file.write_at(b"kept", ROOM).unwrap();
        file.reserve(ROOM / 2, ROOM);
        let found = fs::metadata(directory.path().join("file")).unwrap();
        assert_eq!(found.len(), 2 * ROOM);
        assert!(found.blocks() * 512 >= ROOM, "{} blocks", found.blocks());
        let mut bytes = [9; 8];
        file.read_at(&mut bytes, ROOM).unwrap();
        assert_eq!(&bytes, b"kept\0\0\0\0");
        // What the system refuses is no error.
        file.reserve(0, u64::MAX);
    }
}
