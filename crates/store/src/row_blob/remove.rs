//! Deletes a blob, finished or not: the header first, then the chunks.

use tidelock_blob::{BlobError, BlobId};
use tidelock_meta::record::{blob, blob_chunk};
use tidelock_meta::{Direction, Limits, ReadLevel};

use super::rows::{BlobRows, damaged, failure};

/// Chunks that one commit deletes.
const DELETES_PER_COMMIT_MAX: u32 = 80;
const _: () = assert!((DELETES_PER_COMMIT_MAX as usize) < Limits::COMMON.batch_operations_max);

impl BlobRows {
    /// Removes all there is of a blob; fine when there is nothing.
    ///
    /// The last chunk goes last: whoever begins again after a crash finds by it what is left.
    pub(super) async fn remove(&self, id: BlobId) -> Result<(), BlobError> {
        let mut batch = self.batch();
        batch.delete(blob::key(id.0));
        self.commit(batch).await?;
        let last =
            self.meta.scan(blob_chunk::range(id.0), 1, Direction::Backward, ReadLevel::Latest);
        let last = last.await.map_err(failure)?;
        let Some((key, _)) = last.first() else { return Ok(()) };
        let last = blob_chunk::decode_key(key).map_err(damaged)?;
        let mut first = 0;
        loop {
            let until = last.min(first + (DELETES_PER_COMMIT_MAX - 1));
            let mut batch = self.batch();
            for chunk in first..=until {
                batch.delete(blob_chunk::key(id.0, chunk));
            }
            self.commit(batch).await?;
            if until == last {
                return Ok(());
            }
            first = until + 1;
        }
    }
}
