//! Blobs in memory, for tests: durable for as long as the process lives.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};

/// A [`BlobStore`] that lives in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobStore {
    blobs: Arc<Mutex<Blobs>>,
}

#[derive(Debug, Default)]
struct Blobs {
    finished: BTreeMap<BlobId, Bytes>,
    being_written: BTreeSet<BlobId>,
}

impl MemoryBlobStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn locked(&self) -> MutexGuard<'_, Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let mut blobs = self.locked();
        if blobs.finished.contains_key(&id) || !blobs.being_written.insert(id) {
            return Err(BlobError::AlreadyExists);
        }
        Ok(Box::new(MemoryBlobWriter { store: self.clone(), id, written: BytesMut::new() }))
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        let blob = self.locked().finished.get(&id).cloned();
        Ok(Box::new(MemoryBlobReader(blob.ok_or(BlobError::NotFound)?)))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        self.locked().finished.remove(&id);
        Ok(())
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let blobs = self.locked();
        let ids = blobs.finished.range((start, Bound::Unbounded)).map(|(id, _)| *id);
        Ok(ids.take(limit).collect())
    }
}

struct MemoryBlobWriter {
    store: MemoryBlobStore,
    id: BlobId,
    written: BytesMut,
}

#[async_trait]
impl BlobWriter for MemoryBlobWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.written.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        let blob = std::mem::take(&mut self.written).freeze();
        let length = blob.len() as u64;
        self.store.locked().finished.insert(self.id, blob);
        Ok(length)
    }

    async fn abort(self: Box<Self>) {}
}

impl Drop for MemoryBlobWriter {
    fn drop(&mut self) {
        self.store.locked().being_written.remove(&self.id);
    }
}

struct MemoryBlobReader(Bytes);

#[async_trait]
impl BlobReader for MemoryBlobReader {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, BlobError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let end = start.saturating_add(length).min(self.0.len());
        Ok(self.0.slice(start..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        conformance::run(&MemoryBlobStore::new()).await.unwrap();
    }
}
