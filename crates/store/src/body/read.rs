//! Reading a body back, range by range.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tidelock_blob::{BlobError, BlobId, BlobReader};
use tidelock_meta::record::{body, version::Body};

use super::seal::{
    CHUNK_BYTES, ChunkCipher, DataKey, SEALED_CHUNK_BYTES, TAG_BYTES, chunk_count, place_of,
};
use super::source::{BodyError, BodySource};
use crate::Store;
use crate::error::{EncryptionError, StorageError};

/// Sealed chunks that one read of a blob asks for: half a MiB.
const CHUNKS_PER_READ: u64 = 16;

/// A stretch of bytes that one data key seals: a whole body, or a part of a multipart object.
pub(crate) struct Segment {
    pub(crate) body: Body,
    pub(crate) size: u64,
    pub(crate) data_key: DataKey,
    /// Which of its bytes are wanted.
    pub(crate) wanted: Range<u64>,
}

/// Why a segment cannot be opened.
pub(crate) enum OpenError {
    /// Its rows or its blob are not there: the object was replaced meanwhile, or is damaged.
    Gone,
    /// What was sent does not open it.
    Encryption(EncryptionError),
    /// The store failed.
    Storage(StorageError),
}

impl OpenError {
    /// Of a body that nobody can have replaced.
    pub(crate) fn of_known_body(self) -> StorageError {
        match self {
            Self::Gone => StorageError::Corrupt("a body is gone".to_owned()),
            // Whoever knows the body has its data key.
            Self::Encryption(error) => StorageError::Corrupt(error.to_string()),
            Self::Storage(error) => error,
        }
    }
}

impl From<EncryptionError> for OpenError {
    fn from(error: EncryptionError) -> Self {
        Self::Encryption(error)
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

enum Chunks {
    Inline(VecDeque<Bytes>),
    Blob(Box<dyn BlobReader>),
}

/// A segment whose bytes can be read.
pub(crate) struct OpenSegment {
    chunks: Chunks,
    cipher: ChunkCipher,
    /// Chunks that are open, from the one on in which `wanted` begins.
    plain: VecDeque<Bytes>,
    size: u64,
    wanted: Range<u64>,
}

impl Store {
    /// Makes sure that a segment is there. After that it stays readable, whoever deletes it.
    pub(crate) async fn open_segment(&self, segment: Segment) -> Result<OpenSegment, OpenError> {
        let Segment { body, size, data_key, wanted } = segment;
        let (id, chunks) = match body {
            Body::Empty => ([0; 16], Chunks::Inline(VecDeque::new())),
            Body::Inline { id, chunks } => {
                // Sizes are read from rows: a damaged one must not ask for a billion chunks.
                if chunk_count(size) != u64::from(chunks) || wanted.end > size {
                    return Err(StorageError::Corrupt("a body has another size".to_owned()).into());
                }
                (id, Chunks::Inline(self.read_rows(id, &wanted).await?))
            }
            Body::Blob { id } => match self.blobs.open(BlobId(id)).await {
                Ok(reader) => (id, Chunks::Blob(reader)),
                Err(BlobError::NotFound) => return Err(OpenError::Gone),
                Err(error) => return Err(StorageError::from(error).into()),
            },
            Body::Parts { .. } => {
                return Err(StorageError::Corrupt("a part has parts".to_owned()).into());
            }
        };
        let cipher = ChunkCipher::new(&data_key, id);
        Ok(OpenSegment { chunks, cipher, plain: VecDeque::new(), size, wanted })
    }

    async fn read_rows(
        &self,
        id: [u8; 16],
        wanted: &Range<u64>,
    ) -> Result<VecDeque<Bytes>, OpenError> {
        let first = wanted.start / CHUNK_BYTES as u64;
        let end = chunk_count(wanted.end);
        let keys: Vec<_> = (first..end)
            .filter_map(|chunk| u32::try_from(chunk).ok())
            .map(|chunk| body::key(id, chunk))
            .collect();
        let rows = self.rows.immutable().get(&keys).await?;
        rows.into_iter().map(|row| row.map(|row| row.value).ok_or(OpenError::Gone)).collect()
    }
}

impl Segment {
    /// The whole of a body in rows that were read already.
    pub(crate) fn with_rows(self, rows: VecDeque<Bytes>) -> Result<OpenSegment, OpenError> {
        let Self { body, size, data_key, wanted } = self;
        let Body::Inline { id, chunks } = body else {
            return Err(StorageError::Corrupt("a body has no rows".to_owned()).into());
        };
        if chunk_count(size) != u64::from(chunks) || wanted != (0..size) {
            return Err(StorageError::Corrupt("a body has another size".to_owned()).into());
        }
        if rows.len() as u64 != u64::from(chunks) {
            return Err(OpenError::Gone);
        }
        let (chunks, cipher) = (Chunks::Inline(rows), ChunkCipher::new(&data_key, id));
        Ok(OpenSegment { chunks, cipher, plain: VecDeque::new(), size, wanted })
    }
}

impl OpenSegment {
    /// A segment over sealed chunks that are in memory; none where it is a blob.
    pub(crate) fn of_chunks(segment: &Segment, chunks: &[Bytes]) -> Option<Self> {
        let id = match segment.body {
            Body::Empty => [0; 16],
            Body::Inline { id, .. } => id,
            Body::Blob { .. } | Body::Parts { .. } => return None,
        };
        Some(Self {
            chunks: Chunks::Inline(chunks.iter().cloned().collect()),
            cipher: ChunkCipher::new(&segment.data_key, id),
            plain: VecDeque::new(),
            size: segment.size,
            wanted: segment.wanted.clone(),
        })
    }

    /// The next bytes; none at the end of what is wanted.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if self.wanted.is_empty() {
            return Ok(None);
        }
        let first = self.wanted.start / CHUNK_BYTES as u64;
        if self.plain.is_empty() {
            let sealed = match &mut self.chunks {
                Chunks::Inline(rows) => rows.pop_front().unwrap_or_default(),
                Chunks::Blob(reader) => {
                    let end = chunk_count(self.wanted.end).min(first + CHUNKS_PER_READ);
                    read_sealed(reader.as_mut(), first, end, self.size).await?
                }
            };
            self.open_chunks(first, sealed)?;
        }
        let plain = self.plain.pop_front().unwrap_or_default();
        let skip = (self.wanted.start - first * CHUNK_BYTES as u64) as usize;
        let left = (self.wanted.end - self.wanted.start) as usize;
        let end = plain.len().min(skip + left);
        if end <= skip {
            return Err(StorageError::Corrupt("a body is too short".to_owned()));
        }
        self.wanted.start += (end - skip) as u64;
        Ok(Some(plain.slice(skip..end)))
    }

    /// Opens chunks where they are: what nobody else has is not copied.
    fn open_chunks(&mut self, first: u64, sealed: Bytes) -> Result<(), StorageError> {
        let mut bytes = Vec::from(sealed);
        let mut plain = Vec::with_capacity(CHUNKS_PER_READ as usize);
        for (number, chunk) in (first..).zip(bytes.chunks_mut(SEALED_CHUNK_BYTES)) {
            plain.push(self.cipher.open(place_of(number, self.size)?, chunk)?);
        }
        let bytes = Bytes::from(bytes);
        let starts = (0..).step_by(SEALED_CHUNK_BYTES);
        self.plain
            .extend(starts.zip(plain).map(|(start, length)| bytes.slice(start..start + length)));
        Ok(())
    }
}

async fn read_sealed(
    reader: &mut dyn BlobReader,
    first: u64,
    end: u64,
    size: u64,
) -> Result<Bytes, StorageError> {
    let sealed_size = size.saturating_add(chunk_count(size) * TAG_BYTES as u64);
    let start = first * SEALED_CHUNK_BYTES as u64;
    let stop = (end * SEALED_CHUNK_BYTES as u64).min(sealed_size);
    Ok(reader.read_at(start, (stop - start) as usize).await?)
}

/// Reads the segments of an object one after the other.
pub struct ObjectReader {
    store: Arc<Store>,
    current: Option<OpenSegment>,
    rest: VecDeque<Segment>,
    remaining: u64,
}

impl ObjectReader {
    pub(crate) fn new(
        store: Arc<Store>,
        current: Option<OpenSegment>,
        rest: VecDeque<Segment>,
    ) -> Self {
        let length = |wanted: &Range<u64>| wanted.end - wanted.start;
        let remaining = current.as_ref().map_or(0, |open| length(&open.wanted))
            + rest.iter().map(|segment| length(&segment.wanted)).sum::<u64>();
        Self { store, current, rest, remaining }
    }

    /// Bytes still to come.
    pub fn remaining_bytes(&self) -> u64 {
        self.remaining
    }

    /// All bytes, if what is to come is one chunk of one segment; none otherwise, and then nothing was read.
    ///
    /// # Errors
    ///
    /// When stored bytes are damaged or cannot be read.
    pub async fn only_chunk(&mut self) -> Result<Option<Bytes>, StorageError> {
        let Some(open) = &self.current else { return Ok(None) };
        let chunk = CHUNK_BYTES as u64;
        let is_one = open.wanted.start / chunk == open.wanted.end.saturating_sub(1) / chunk;
        if is_one && self.rest.is_empty() { self.next_bytes().await } else { Ok(None) }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    ///
    /// When stored bytes are damaged or cannot be read. What was given before is right all the same.
    pub async fn next_bytes(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            if let Some(open) = &mut self.current
                && let Some(bytes) = open.next().await?
            {
                self.remaining -= bytes.len() as u64;
                return Ok(Some(bytes));
            }
            let Some(segment) = self.rest.pop_front() else { return Ok(None) };
            self.current = match self.store.open_segment(segment).await {
                Ok(open) => Some(open),
                Err(OpenError::Gone) => {
                    return Err(StorageError::Corrupt("a part of the body is gone".to_owned()));
                }
                Err(error) => return Err(error.of_known_body()),
            };
        }
    }
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

#[async_trait]
impl BodySource for ObjectReader {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.next_bytes().await.map_err(|error| BodyError(Box::new(error)))
    }
}
