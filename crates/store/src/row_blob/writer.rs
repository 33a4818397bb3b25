//! Writes a blob as chunks, a few commits under way at a time; the last one finishes it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tidelock_blob::{BlobError, BlobId, BlobWriter};
use tidelock_meta::record::blob::{self, BlobRow, BlobState};
use tidelock_meta::record::blob_chunk::{self, CHUNK_BYTES};
use tidelock_meta::{Batch, Expect, Limits, Outcome, Version};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::rows::{BlobRows, broken};

/// Chunks that one commit carries: 448 KiB.
const CHUNKS_PER_COMMIT: usize = 7;
/// Room in a batch for the keys and the header.
const KEYS_BYTES_MAX: usize = 1024;
const _: () =
    assert!(CHUNKS_PER_COMMIT * CHUNK_BYTES + KEYS_BYTES_MAX <= Limits::COMMON.batch_bytes_max);
/// Commits of one writer on their way at once; with the one that is gathered, a writer holds 1.8 MiB.
const COMMITS_IN_FLIGHT_MAX: usize = 3;
/// Dropped writers that are cleaned up after at once; the rows of more are left to the sweeper.
pub(super) const WRITERS_GIVEN_UP_MAX: usize = 64;

pub(super) struct RowBlobWriter {
    rows: BlobRows,
    id: BlobId,
    header: BlobRow,
    version: Version,
    /// Whole chunks, for the next commit.
    chunks: Vec<Bytes>,
    /// The beginning of the chunk after those.
    rest: BytesMut,
    chunks_sent: u32,
    sending: JoinSet<Result<(), BlobError>>,
    written_bytes: u64,
    /// A commit failed, or a call was cancelled in the middle of it: bytes may be missing.
    is_broken: bool,
    /// There may be rows that nobody needs.
    is_open: bool,
    giving_up: Arc<Semaphore>,
}

impl RowBlobWriter {
    pub(super) async fn create(
        rows: &BlobRows,
        id: BlobId,
        giving_up: Arc<Semaphore>,
    ) -> Result<Self, BlobError> {
        let header =
            BlobRow { state: BlobState::Writing, writer: rows.random(), length: 0, chunks: 0 };
        let mut batch = rows.batch();
        batch.checks.push((blob::key(id.0), Expect::Absent));
        batch.put(blob::key(id.0), header.encode());
        let version = match rows.commit(batch).await? {
            Outcome::Committed(version) => version,
            Outcome::Conflict { .. } => match rows.header(id).await? {
                Some(found) if found.value == header.encode() => found.version,
                _ => return Err(BlobError::AlreadyExists),
            },
        };
        Ok(Self {
            rows: rows.clone(),
            id,
            header,
            version,
            chunks: Vec::new(),
            rest: BytesMut::new(),
            chunks_sent: 0,
            sending: JoinSet::new(),
            written_bytes: 0,
            is_broken: false,
            is_open: true,
            giving_up,
        })
    }

    async fn append(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        while !bytes.is_empty() {
            // Only now, as more bytes come: the last chunks travel in the commit that finishes.
            if self.chunks.len() == CHUNKS_PER_COMMIT {
                self.send().await?;
            }
            let taken = bytes.split_to(bytes.len().min(CHUNK_BYTES - self.rest.len()));
            self.written_bytes += taken.len() as u64;
            if taken.len() == CHUNK_BYTES {
                self.chunks.push(taken);
                continue;
            }
            self.rest.reserve(CHUNK_BYTES - self.rest.len());
            self.rest.extend_from_slice(&taken);
            if self.rest.len() == CHUNK_BYTES {
                self.chunks.push(std::mem::take(&mut self.rest).freeze());
            }
        }
        Ok(())
    }

    /// Lets a commit take the whole chunks away.
    async fn send(&mut self) -> Result<(), BlobError> {
        self.wait_for_fewer_than(COMMITS_IN_FLIGHT_MAX).await?;
        let mut batch = self.rows.batch();
        self.carry_chunks(&mut batch)?;
        let rows = self.rows.clone();
        self.sending.spawn(async move {
            match rows.commit(batch).await? {
                Outcome::Committed(_) => Ok(()),
                Outcome::Conflict { .. } => Err(deleted()),
            }
        });
        Ok(())
    }

    /// Puts the whole chunks into `batch`, which lands only while the blob is being written.
    fn carry_chunks(&mut self, batch: &mut Batch) -> Result<(), BlobError> {
        batch.checks.push((blob::key(self.id.0), Expect::At(self.version)));
        for chunk in self.chunks.drain(..) {
            batch.put(blob_chunk::key(self.id.0, self.chunks_sent), chunk);
            let sent = self.chunks_sent.checked_add(1);
            self.chunks_sent = sent.ok_or_else(|| broken("a blob has too many chunks"))?;
        }
        Ok(())
    }

    async fn wait_for_fewer_than(&mut self, count: usize) -> Result<(), BlobError> {
        while self.sending.len() >= count {
            match self.sending.join_next().await {
                None => break,
                Some(Ok(sent)) => sent?,
                Some(Err(error)) => return Err(BlobError::Io(std::io::Error::other(error))),
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), BlobError> {
        if !self.rest.is_empty() {
            if self.chunks.len() == CHUNKS_PER_COMMIT {
                self.send().await?;
            }
            self.chunks.push(std::mem::take(&mut self.rest).freeze());
        }
        self.wait_for_fewer_than(1).await?;
        let mut batch = self.rows.batch();
        self.carry_chunks(&mut batch)?;
        let header = BlobRow {
            state: BlobState::Finished,
            length: self.written_bytes,
            chunks: self.chunks_sent,
            ..self.header
        };
        batch.put(blob::key(self.id.0), header.encode());
        let outcome = self.rows.commit(batch).await;
        if matches!(outcome, Ok(Outcome::Committed(_))) {
            return Ok(());
        }
        // It may be this very commit that is in its own way, or whose answer was lost.
        let found = self.rows.header(self.id).await?;
        if found.is_some_and(|row| row.value == header.encode()) {
            return Ok(());
        }
        Err(outcome.err().unwrap_or_else(deleted))
    }
}

#[async_trait]
impl BlobWriter for RowBlobWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(broken("an earlier write failed"));
        }
        self.append(bytes).await?;
        self.is_broken = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        if self.is_broken {
            return Err(broken("an earlier write failed"));
        }
        self.end().await?;
        self.is_open = false;
        Ok(self.written_bytes)
    }

    async fn abort(mut self: Box<Self>) {
        // Commits under way are cut off; those that land in spite of that, do so before the header goes.
        self.sending.abort_all();
        if self.rows.remove(self.id).await.is_ok() {
            self.is_open = false;
        }
    }
}

impl Drop for RowBlobWriter {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let permit = Arc::clone(&self.giving_up).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, tokio::runtime::Handle::try_current()) else {
            tracing::debug!(blob = %self.id, "blob.rows_left_to_the_sweeper");
            return;
        };
        let (rows, id) = (self.rows.clone(), self.id);
        runtime.spawn(async move {
            if let Err(error) = rows.remove(id).await {
                tracing::debug!(blob = %id, error = %error, "blob.rows_left_to_the_sweeper");
            }
            drop(permit);
        });
    }
}

fn deleted() -> BlobError {
    broken("the blob was deleted while it was written")
}
