//! Reads the chunks that a range touches.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tidelock_blob::{BlobError, BlobId, BlobReader};
use tidelock_meta::record::blob_chunk::{self, CHUNK_BYTES};

use super::rows::{BlobRows, broken};

/// Chunks that one read of the engine asks for: a MiB.
const CHUNKS_PER_READ: u64 = 16;

pub(super) struct RowBlobReader {
    rows: BlobRows,
    id: BlobId,
    length: u64,
}

impl RowBlobReader {
    pub(super) async fn open(rows: &BlobRows, id: BlobId) -> Result<Self, BlobError> {
        let header = rows.finished(id).await?;
        if u64::from(header.chunks) != header.length.div_ceil(CHUNK_BYTES as u64) {
            return Err(broken("the length of a blob is not that of its chunks"));
        }
        Ok(Self { rows: rows.clone(), id, length: header.length })
    }

    /// The bytes from `start` to `end`, all from chunks that one read asks for.
    async fn read_chunks(&self, start: u64, end: u64) -> Result<Bytes, BlobError> {
        let chunk_bytes = CHUNK_BYTES as u64;
        let chunks = start / chunk_bytes..end.div_ceil(chunk_bytes);
        let keys: Vec<_> = chunks
            .clone()
            .filter_map(|chunk| u32::try_from(chunk).ok())
            .map(|chunk| blob_chunk::key(self.id.0, chunk))
            .collect();
        let found = match self.rows.immutable(&keys).await {
            Err(BlobError::NotFound) => {
                // Deleted since it was opened; if not, then it is damaged.
                self.rows.finished(self.id).await?;
                return Err(broken("a chunk of a blob is missing"));
            }
            found => found?,
        };
        let mut whole = BytesMut::new();
        for (chunk, row) in chunks.zip(found) {
            let first = chunk * chunk_bytes;
            if row.value.len() as u64 != chunk_bytes.min(self.length - first) {
                return Err(broken("a chunk of a blob has another length"));
            }
            let from = start.saturating_sub(first) as usize;
            let to = (end - first).min(chunk_bytes) as usize;
            if keys.len() == 1 {
                return Ok(row.value.slice(from..to));
            }
            whole.extend_from_slice(&row.value[from..to]);
        }
        Ok(whole.freeze())
    }
}

#[async_trait]
impl BlobReader for RowBlobReader {
    fn len(&self) -> u64 {
        self.length
    }

    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, BlobError> {
        let mut start = offset.min(self.length);
        let end = start.saturating_add(length as u64).min(self.length);
        let until = |start: u64| {
            let chunk = start / CHUNK_BYTES as u64 + CHUNKS_PER_READ;
            end.min(chunk * CHUNK_BYTES as u64)
        };
        if start == end {
            return Ok(Bytes::new());
        }
        if until(start) == end {
            return self.read_chunks(start, end).await;
        }
        let mut whole = BytesMut::new();
        while start < end {
            whole.extend_from_slice(&self.read_chunks(start, until(start)).await?);
            start = until(start);
        }
        Ok(whole.freeze())
    }
}
