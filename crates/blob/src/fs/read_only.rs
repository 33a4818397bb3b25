//! The blobs of a directory that somebody else may have open: read, and never changed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::blocking;
use super::directory::{finished_in, list_in};
use super::reader::FsBlobReader;
use crate::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};

/// A [`BlobStore`] that refuses every change with [`io::ErrorKind::ReadOnlyFilesystem`]. Makes nothing, locks
/// nothing, and needs no directory: then there is no blob.
#[derive(Debug)]
pub struct ReadOnlyBlobs {
    path: PathBuf,
}

impl ReadOnlyBlobs {
    /// The blobs in the directory `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

#[async_trait]
impl BlobStore for ReadOnlyBlobs {
    async fn create(&self, _id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        Err(BlobError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        let path = finished_in(&self.path, id);
        let reader = blocking(move || FsBlobReader::of(File::open(path)?)).await?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, _id: BlobId) -> Result<(), BlobError> {
        Err(BlobError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        let path = self.path.clone();
        blocking(move || list_in(&path, after, limit)).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::fs::FsBlobStore;

    #[tokio::test]
    async fn blobs_are_read_while_they_are_open_and_nothing_is_made() {
        let directory = TempDir::new().unwrap();
        let missing = ReadOnlyBlobs::new(&directory.path().join("none"));
        assert_eq!(missing.list(None, 10).await.unwrap(), []);
        let opened = missing.open(BlobId([1; 16])).await.map(|_| ());
        assert!(matches!(opened, Err(BlobError::NotFound)), "{opened:?}");
        assert!(!directory.path().join("none").exists());

        let store = FsBlobStore::open(directory.path()).unwrap();
        let mut writer = store.create(BlobId([0xAB; 16])).await.unwrap();
        writer.write(Bytes::from_static(b"body")).await.unwrap();
        writer.finish().await.unwrap();
        let read = ReadOnlyBlobs::new(directory.path());
        assert_eq!(read.list(None, 10).await.unwrap(), [BlobId([0xAB; 16])]);
        let reader = read.open(BlobId([0xAB; 16])).await.unwrap();
        assert_eq!(reader.read_at(0, 10).await.unwrap(), "body");
        read.delete(BlobId([0xAB; 16])).await.unwrap_err();
    }
}
