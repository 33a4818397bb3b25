//! Reads an object by ranges, ahead of those who read it from front to back.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::error::failure;
use crate::{BlobError, BlobReader};

/// The most that one request asks for once a reader is seen to go from front to back, unless the reader
/// asks for more itself: each request costs the way to the store and back.
const AHEAD_BYTES_MAX: u64 = 2 << 20;

pub(super) struct RemoteReader {
    client: Arc<dyn ObjectStore>,
    path: Path,
    length: u64,
    /// What was read last.
    last: Mutex<Option<Piece>>,
}

#[derive(Clone)]
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn slice(&self, wanted: &Range<u64>) -> Option<Bytes> {
        if wanted.start < self.start || wanted.end > self.end() {
            return None;
        }
        let at = |offset: u64| usize::try_from(offset - self.start).ok();
        Some(self.bytes.slice(at(wanted.start)?..at(wanted.end)?))
    }
}

impl RemoteReader {
    pub(super) fn new(client: Arc<dyn ObjectStore>, path: Path, length: u64) -> Self {
        Self { client, path, length, last: Mutex::new(None) }
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        match self.client.get_range(&self.path, range.clone()).await {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Ok(bytes) => {
                let what = format!("{} bytes came for the range {range:?}", bytes.len());
                Err(BlobError::Io(std::io::Error::other(what)))
            }
            // It was there when it was opened.
            Err(object_store::Error::NotFound { .. }) => Err(BlobError::NotFound),
            Err(error) => Err(failure(&error)),
        }
    }
}

#[async_trait]
impl BlobReader for RemoteReader {
    fn len(&self) -> u64 {
        self.length
    }

    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, BlobError> {
        let start = offset.min(self.length);
        let end = start.saturating_add(length as u64).min(self.length);
        if start == end {
            return Ok(Bytes::new());
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bytes) = last.as_ref().and_then(|piece| piece.slice(&(start..end))) {
            return Ok(bytes);
        }
        let goes_on = last.is_some_and(|piece| (piece.start..=piece.end()).contains(&start));
        // Whole reads, or the bytes of the last one would be fetched twice.
        let reads = if goes_on { (AHEAD_BYTES_MAX / (end - start)).max(1) } else { 1 };
        let ahead = start.saturating_add((end - start).saturating_mul(reads));
        let bytes = self.fetch(start..ahead.min(self.length)).await?;
        let piece = Piece { start, bytes };
        let wanted = piece.slice(&(start..end)).unwrap_or_default();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
        Ok(wanted)
    }
}
