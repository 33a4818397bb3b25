//! Blobs as files of one directory.
//!
//! ```text
//! <directory>/lock                                    held while the store is open
//! <directory>/tmp/<32 hex digits>                     being written; see below
//! <directory>/00 .. ff/<the other 30 hex digits>      finished: whole, synced, never written again
//! ```
//!
//! A blob gets its final name by a rename after its bytes are synced, and the directory is synced
//! after that: what has a final name is whole. All file work happens on tokio's blocking pool.
//!
//! What a crash left unfinished is removed when the directory is opened by the one process that owns
//! it; in a directory that many processes share, when the blob of its id is deleted.

mod directory;
mod read_only;
mod reader;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};
use directory::{Directory, Sharing};
pub use read_only::ReadOnlyBlobs;
use reader::FsBlobReader;
use writer::FsBlobWriter;

/// Below this, no more bytes are taken: what is left is for the rows that share the disk, without
/// which nothing could be deleted.
const RESERVE: Reserve = Reserve { bytes: 128 << 20, part_of_disk: 8 };

/// Room that is left alone: so many bytes, but on a small disk at most this part of it, since the disk
/// is there to be used.
#[derive(Clone, Copy, Debug)]
struct Reserve {
    bytes: u64,
    part_of_disk: u64,
}

/// A [`BlobStore`] in one directory of a local file system.
#[derive(Clone, Debug)]
pub struct FsBlobStore {
    directory: Arc<Directory>,
}

impl FsBlobStore {
    /// Opens the store in `directory`, which is made (mode 0700) if it is missing, and removes what
    /// a crash left unfinished. Blocks.
    ///
    /// # Errors
    ///
    /// What the file system answers; [`io::ErrorKind::WouldBlock`] when another process, or this
    /// one, has the store open.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Self::open_reserving(directory, RESERVE)
    }

    /// Opens the store in a directory that any number of processes share, on one machine or on a
    /// network file system whose rename and exclusive create are atomic (NFS, CephFS). They run under one
    /// user, as the files are theirs alone. Blocks.
    ///
    /// # Errors
    ///
    /// What the file system answers; [`io::ErrorKind::WouldBlock`] when a process has it for itself.
    pub fn open_shared(directory: &Path) -> io::Result<Self> {
        let directory = Directory::open(directory, RESERVE, Sharing::Shared)?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// The same, but refuses writes with [`BlobError::NoSpace`] below another reserve.
    fn open_reserving(directory: &Path, reserve: Reserve) -> io::Result<Self> {
        let directory = Directory::open(directory, reserve, Sharing::Exclusive)?;
        Ok(Self { directory: Arc::new(directory) })
    }
}

#[async_trait]
impl BlobStore for FsBlobStore {
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let directory = Arc::clone(&self.directory);
        let writer = blocking(move || FsBlobWriter::create(directory, id)).await?;
        Ok(Box::new(writer))
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        let directory = Arc::clone(&self.directory);
        let reader = blocking(move || FsBlobReader::open(&directory, id)).await?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || directory.delete(id)).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || directory.list(after, limit)).await
    }
}

/// Runs `work` on tokio's blocking pool.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        // The work panicked, or the runtime is shutting down.
        Err(error) => Err(BlobError::Io(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::conformance;

    const ID: BlobId = BlobId([0xAB; 16]);

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        let directory = TempDir::new().unwrap();
        conformance::run(&FsBlobStore::open(directory.path()).unwrap()).await.unwrap();
        let left = std::fs::read_dir(directory.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "unfinished files are left");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms_when_it_is_shared() {
        let directory = TempDir::new().unwrap();
        let open = || FsBlobStore::open_shared(directory.path()).unwrap();
        let (store, _other) = (open(), open());
        conformance::run(&store).await.unwrap();
        let left = std::fs::read_dir(directory.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "unfinished files are left");
    }

    #[tokio::test]
    async fn a_shared_store_takes_ids_once_and_forgets_a_crashed_writer_by_its_id() {
        let directory = TempDir::new().unwrap();
        let open = || FsBlobStore::open_shared(directory.path()).unwrap();
        let one = open();
        let mut writer = one.create(ID).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();

        let other = open();
        let refused = other.create(ID).await.map(|_| ());
        assert!(matches!(refused, Err(BlobError::AlreadyExists)), "{refused:?}");
        writer.finish().await.unwrap();
        assert_eq!(other.open(ID).await.unwrap().read_at(0, 10).await.unwrap(), "body");
        let local = FsBlobStore::open(directory.path()).map(|_| ());
        assert_eq!(local.unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let leftover = directory.path().join("tmp").join("cd".repeat(16));
        std::fs::write(&leftover, "half a bo").unwrap();
        other.delete(BlobId([0xCD; 16])).await.unwrap();
        assert!(!leftover.exists());
    }

    #[tokio::test]
    async fn a_writer_whose_blob_is_deleted_cannot_finish() {
        let directory = TempDir::new().unwrap();
        let store = FsBlobStore::open_shared(directory.path()).unwrap();
        let mut writer = store.create(ID).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();
        store.delete(ID).await.unwrap();
        writer.finish().await.unwrap_err();
        assert_eq!(store.list(None, 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn reopening_keeps_blobs_and_removes_what_was_not_finished() {
        let directory = TempDir::new().unwrap();
        let store = FsBlobStore::open(directory.path()).unwrap();
        let mut writer = store.create(ID).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();
        writer.finish().await.unwrap();
        drop(store);
        let leftover = directory.path().join("tmp").join("cd".repeat(16));
        std::fs::write(&leftover, "half a bo").unwrap();
        std::fs::write(directory.path().join("ab").join("not a blob"), "").unwrap();

        let store = FsBlobStore::open(directory.path()).unwrap();
        assert!(!leftover.exists());
        assert_eq!(store.list(None, 10).await.unwrap(), [ID]);
        let reader = store.open(ID).await.unwrap();
        assert_eq!(reader.read_at(0, 10).await.unwrap(), "body");
        store.create(BlobId([0xCD; 16])).await.unwrap().abort().await;
    }

    #[tokio::test]
    async fn a_second_open_is_refused_because_it_would_remove_what_the_first_writes() {
        let directory = TempDir::new().unwrap();
        let store = FsBlobStore::open(directory.path()).unwrap();
        let second = FsBlobStore::open(directory.path()).map(|_| ());
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(store);
        FsBlobStore::open(directory.path()).unwrap();
    }

    #[tokio::test]
    async fn a_disk_that_runs_full_takes_no_more_and_keeps_nothing_unfinished() {
        let directory = TempDir::new().unwrap();
        let store = FsBlobStore::open(directory.path()).unwrap();
        let mut writer = store.create(ID).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();
        writer.finish().await.unwrap();
        drop(store);
        let full = FsBlobStore::open_reserving(
            directory.path(),
            Reserve { bytes: u64::MAX, part_of_disk: 1 },
        )
        .unwrap();
        let refused = full.create(BlobId([0xCD; 16])).await.map(|_| ());
        assert!(matches!(refused, Err(BlobError::NoSpace)), "{refused:?}");
        assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
        assert_eq!(full.open(ID).await.unwrap().read_at(0, 10).await.unwrap(), "body");
        full.delete(ID).await.unwrap();
    }

    #[tokio::test]
    async fn a_blob_that_lost_bytes_is_an_error_not_a_short_read() {
        let directory = TempDir::new().unwrap();
        let store = FsBlobStore::open(directory.path()).unwrap();
        let mut writer = store.create(ID).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();
        writer.finish().await.unwrap();
        let reader = store.open(ID).await.unwrap();
        let file = directory.path().join("ab").join("ab".repeat(15));
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(2).unwrap();
        assert!(matches!(reader.read_at(0, 4).await, Err(BlobError::Io(_))));
    }
}
