//! Blobs as rows of the same engine as everything else, so that a small cluster needs no object store:
//! a header ([`blob`]) and chunks ([`blob_chunk`]), written in commits of half a MiB.
//!
//! A header is first `Writing`, and every commit of chunks checks it at its version; it is `Finished` by
//! the commit that carries the last chunks. Deleting begins with the header, which ends its writer: no
//! chunk can come after that, so the ones that are found then are all there are. What a crashed writer
//! leaves is removed by deleting its id, as the sweeper does.
//!
//! Knows rows and bytes; that the bytes are sealed, and by what, is for those above.

mod reader;
mod remove;
mod rows;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use tidelock_blob::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};
use tidelock_meta::record::blob::{self, BlobRow, BlobState};
use tidelock_meta::{Direction, MetaStore, ReadLevel, successor_of_key};
use tokio::sync::Semaphore;

use crate::entropy::Entropy;
use reader::RowBlobReader;
use rows::{BlobRows, damaged, failure};
use writer::{RowBlobWriter, WRITERS_GIVEN_UP_MAX};

/// Headers of one step of a listing.
const LIST_ROWS_MAX: usize = 1000;

/// A [`BlobStore`] whose blobs are rows of a [`MetaStore`].
pub struct RowBlobStore {
    rows: BlobRows,
    /// One permit for each writer that was dropped and is being cleaned up after.
    giving_up: Arc<Semaphore>,
}

impl RowBlobStore {
    /// A store over these components. Does no I/O.
    pub fn new(meta: Arc<dyn MetaStore>, entropy: Arc<dyn Entropy>) -> Self {
        let giving_up = Arc::new(Semaphore::new(WRITERS_GIVEN_UP_MAX));
        Self { rows: BlobRows::new(meta, entropy), giving_up }
    }
}

impl std::fmt::Debug for RowBlobStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RowBlobStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobStore for RowBlobStore {
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let writer = RowBlobWriter::create(&self.rows, id, Arc::clone(&self.giving_up)).await?;
        Ok(Box::new(writer))
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        Ok(Box::new(RowBlobReader::open(&self.rows, id).await?))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        self.rows.remove(id).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        let mut ids = Vec::new();
        let mut rest = blob::range_after(after.map(|id| id.0));
        while ids.len() < limit {
            let step = (limit - ids.len()).min(LIST_ROWS_MAX);
            let scanned =
                self.rows.meta.scan(rest.clone(), step, Direction::Forward, ReadLevel::Latest);
            let scanned = scanned.await.map_err(failure)?;
            for (key, row) in &scanned {
                if BlobRow::decode(&row.value).map_err(damaged)?.state == BlobState::Finished {
                    ids.push(BlobId(blob::decode_key(key).map_err(damaged)?));
                }
            }
            match scanned.last() {
                Some((last, _)) if scanned.len() == step => {
                    rest = rest.starting_at(successor_of_key(last));
                }
                _ => break,
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
