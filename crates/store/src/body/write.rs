//! Writing a body: digest, seal, and keep it in memory for the commit until it grows too large, then
//! in a blob.

use bytes::Bytes;
use tidelock_blob::{BlobId, BlobWriter};
use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::reclaim::{self, ReclaimRow, Reclaimed};
use tidelock_meta::record::{body, version::Body, version::Checksum};
use tidelock_meta::{Batch, Expect, Key, OpId, Outcome, Version};
use zeroize::Zeroizing;

use super::seal::{CHUNK_BYTES, ChunkCipher, ChunkPlace, DataKey, TAG_BYTES};
use super::source::BodySource;
use crate::Store;
use crate::checksum::{ChecksumExpectation, ChecksumRequest, DEFAULT_ALGORITHM, Digester};
use crate::encryption::{blind_checksum, blind_md5, is_customers};
use crate::error::{PutObjectError, StorageError};

/// What must be true of a body, as the request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyExpectation {
    /// `Content-MD5`
    pub(crate) md5: Option<[u8; 16]>,
    /// The checksum.
    pub(crate) checksum: Option<ChecksumRequest>,
}

/// A body that is written, but that nothing refers to yet.
pub(crate) struct WrittenBody {
    pub(crate) body: Body,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Checksum,
    pub(crate) data_key: DataKey,
    /// Sealed chunks that travel in the commit.
    chunks: Vec<Bytes>,
    /// The intent row of a blob: the commit that makes an object of it deletes it.
    intent: Option<(Key, Version)>,
}

impl WrittenBody {
    /// The sealed chunks that travel in the commit; none of a body that is in a blob.
    pub(crate) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The sealed chunk of a body that has just one and travels in the commit.
    pub(crate) fn only_chunk(&self) -> Option<&Bytes> {
        match self.chunks.as_slice() {
            [chunk] => Some(chunk),
            _ => None,
        }
    }

    /// The MD5 and the checksum as they are kept with the object: those of a customer's say nothing of
    /// its content to who has not its key. `tagging` blinds the MD5: the data key of an object, the key
    /// of its upload of a part, so that a part sent again has the same entity tag.
    pub(crate) fn kept_digests(
        &self,
        encryption: &ServerSideEncryption,
        tagging: &DataKey,
    ) -> ([u8; 16], Checksum) {
        if !is_customers(encryption) {
            return (self.md5, self.checksum.clone());
        }
        let checksum = blind_checksum(&self.data_key, &self.checksum);
        (blind_md5(tagging, &self.md5), checksum)
    }

    /// Adds to `batch` what makes the body permanent.
    pub(crate) fn keep(&self, batch: &mut Batch) {
        if let Body::Inline { id, .. } = &self.body {
            for (number, chunk) in (0_u32..).zip(&self.chunks) {
                batch.put(body::key(*id, number), chunk.clone());
            }
        }
        if let Some((key, version)) = &self.intent {
            batch.checks.push((key.clone(), Expect::At(*version)));
            batch.delete(key.clone());
        }
    }
}

impl Store {
    /// Reads `source` to its end and writes it.
    ///
    /// # Errors
    ///
    /// When the body cannot be read, is not what was expected, or cannot be stored. Nothing of it
    /// stays but an intent, which the sweeper ends.
    pub(crate) async fn write_body(
        &self,
        source: &mut dyn BodySource,
        expectation: &BodyExpectation,
    ) -> Result<WrittenBody, PutObjectError> {
        let algorithm =
            expectation.checksum.as_ref().map_or(DEFAULT_ALGORITHM, |asked| asked.algorithm);
        let mut digester = Digester::new(algorithm);
        let mut sink = BodySink::new(self, self.config.inline_body_bytes_max);
        let mut length = 0_u64;
        while let Some(bytes) = source.next().await? {
            length += bytes.len() as u64;
            if length > self.config.put_bytes_max {
                return Err(PutObjectError::TooLarge);
            }
            digester.update(&bytes);
            sink.write(&bytes).await?;
        }
        let digests = digester.finish();
        if expectation.md5.is_some_and(|wanted| wanted != digests.md5) {
            return Err(PutObjectError::BadMd5);
        }
        if let Some(asked) = &expectation.checksum
            && !holds(asked, source, &digests.checksum.value)
        {
            return Err(PutObjectError::BadChecksum);
        }
        let (data_key, body, chunks, intent) = sink.finish().await?;
        let (md5, checksum, size) = (digests.md5, digests.checksum, digests.length);
        Ok(WrittenBody { body, size, md5, checksum, data_key, chunks, intent })
    }

    /// Writes a body that is in memory, and no object's. It travels in a commit up to
    /// `inline_bytes_max`.
    ///
    /// # Errors
    ///
    /// When it cannot be stored. Nothing of it stays but an intent, which the sweeper ends.
    pub(crate) async fn write_bytes(
        &self,
        bytes: &[u8],
        inline_bytes_max: usize,
    ) -> Result<WrittenBody, StorageError> {
        let mut digester = Digester::new(DEFAULT_ALGORITHM);
        digester.update(bytes);
        let mut sink = BodySink::new(self, inline_bytes_max);
        sink.write(bytes).await?;
        let (data_key, body, chunks, intent) = sink.finish().await?;
        let digests = digester.finish();
        let (md5, checksum, size) = (digests.md5, digests.checksum, digests.length);
        Ok(WrittenBody { body, size, md5, checksum, data_key, chunks, intent })
    }

    /// Removes a body that will not become an object. Only an optimisation: the sweeper would. Not for
    /// a body whose commit has an unknown outcome: an object may have it.
    pub(crate) async fn abandon(&self, written: WrittenBody) {
        let (Body::Blob { id }, Some((key, version))) = (written.body, written.intent) else {
            return;
        };
        let mut batch = Batch::new(OpId(self.random()));
        batch.checks.push((key.clone(), Expect::At(version)));
        batch.delete(key);
        if self.blobs.delete(BlobId(id)).await.is_ok() {
            let _ = self.rows.commit(batch).await;
        }
    }
}

fn holds(asked: &ChecksumRequest, source: &dyn BodySource, actual: &[u8]) -> bool {
    match &asked.expectation {
        ChecksumExpectation::Computed => true,
        ChecksumExpectation::Value(wanted) => wanted == actual,
        ChecksumExpectation::Trailer => source
            .trailing_checksum()
            .is_some_and(|(algorithm, value)| algorithm == asked.algorithm && value == actual),
    }
}

type Finished = (DataKey, Body, Vec<Bytes>, Option<(Key, Version)>);

/// Seals what it is given. The last chunk must be known as such when it is sealed, so a full chunk
/// waits until more bytes or the end come.
struct BodySink<'a> {
    store: &'a Store,
    /// Bodies up to this many plaintext bytes stay in memory for the commit.
    inline_bytes_max: usize,
    id: [u8; 16],
    data_key: DataKey,
    cipher: ChunkCipher,
    pending: Vec<u8>,
    sealed_chunks: u32,
    /// Sealed chunks, as long as the body is small enough for the commit.
    inline: Vec<Bytes>,
    blob: Option<(Box<dyn BlobWriter>, (Key, Version))>,
}

impl<'a> BodySink<'a> {
    fn new(store: &'a Store, inline_bytes_max: usize) -> Self {
        let data_key = Zeroizing::new(store.random());
        let id = store.body_id();
        let cipher = ChunkCipher::new(&data_key, id);
        Self {
            store,
            inline_bytes_max,
            id,
            data_key,
            cipher,
            pending: Vec::new(),
            sealed_chunks: 0,
            inline: Vec::new(),
            blob: None,
        }
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            if self.pending.len() == CHUNK_BYTES {
                self.seal_pending(false).await?;
            }
            let taken = bytes.len().min(CHUNK_BYTES - self.pending.len());
            self.pending.reserve(taken + TAG_BYTES);
            self.pending.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    async fn seal_pending(&mut self, is_last: bool) -> Result<(), StorageError> {
        let mut chunk = std::mem::take(&mut self.pending);
        let plain = chunk.len();
        self.cipher.seal(ChunkPlace { number: self.sealed_chunks, is_last }, &mut chunk);
        self.sealed_chunks = self
            .sealed_chunks
            .checked_add(1)
            .ok_or_else(|| StorageError::Corrupt("a body has too many chunks".to_owned()))?;
        if self.blob.is_none() {
            let kept = self.inline.len() * CHUNK_BYTES + plain;
            if kept <= self.inline_bytes_max {
                self.inline.push(Bytes::from(chunk));
                return Ok(());
            }
            self.spill().await?;
        }
        if let Some((writer, _)) = &mut self.blob {
            writer.write(Bytes::from(chunk)).await?;
        }
        Ok(())
    }

    /// Moves on to a blob: first the intent, durable, then the bytes.
    async fn spill(&mut self) -> Result<(), StorageError> {
        let intent = self.store.commit_intent(self.id).await?;
        let mut writer = self.store.blobs.create(BlobId(self.id)).await?;
        for chunk in self.inline.drain(..) {
            writer.write(chunk).await?;
        }
        self.blob = Some((writer, intent));
        Ok(())
    }

    async fn finish(mut self) -> Result<Finished, StorageError> {
        if !self.pending.is_empty() {
            self.seal_pending(true).await?;
        }
        if self.sealed_chunks == 0 {
            return Ok((self.data_key, Body::Empty, Vec::new(), None));
        }
        let id = self.id;
        let Some((writer, intent)) = self.blob else {
            let body = Body::Inline { id, chunks: self.sealed_chunks };
            return Ok((self.data_key, body, self.inline, None));
        };
        writer.finish().await?;
        Ok((self.data_key, Body::Blob { id }, Vec::new(), Some(intent)))
    }
}

impl Store {
    /// The id of a new body. Those of the same second are neighbours, so the rows of chunks that are written at
    /// about the same time share the pages of an index. The first byte goes round: blobs are in directories
    /// named by it.
    fn body_id(&self) -> [u8; 16] {
        let seconds = (self.now() / 1000) as u32;
        let mut id: [u8; 16] = self.random();
        id[0] = seconds as u8;
        id[1..5].copy_from_slice(&seconds.to_be_bytes());
        id
    }

    async fn commit_intent(&self, id: [u8; 16]) -> Result<(Key, Version), StorageError> {
        let due = self.now() + self.config.intent_expiry.as_millis() as i64;
        let key = reclaim::key(due, id);
        let row = ReclaimRow { what: Reclaimed::Intent, owner: self.owner, claimed: false };
        let mut batch = Batch::new(OpId(id));
        batch.put(key.clone(), row.encode());
        match self.rows.commit(batch).await? {
            Outcome::Committed(version) => Ok((key, version)),
            Outcome::Conflict { .. } => {
                Err(StorageError::Corrupt("a commit without checks conflicted".to_owned()))
            }
        }
    }
}
