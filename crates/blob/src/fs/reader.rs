//! Reads a finished file. The open file stays readable after its name is gone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::blocking;
use super::directory::Directory;
use crate::{BlobError, BlobId, BlobReader};

pub(super) struct FsBlobReader {
    file: Arc<File>,
    length: u64,
}

impl FsBlobReader {
    pub(super) fn open(directory: &Directory, id: BlobId) -> io::Result<Self> {
        Self::of(directory.open_finished(id)?)
    }

    /// Reads `file`, which is a finished blob.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), length })
    }
}

#[async_trait]
impl BlobReader for FsBlobReader {
    fn len(&self) -> u64 {
        self.length
    }

    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, BlobError> {
        let available = self.length.saturating_sub(offset);
        let length = usize::try_from(available).unwrap_or(usize::MAX).min(length);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }
}
