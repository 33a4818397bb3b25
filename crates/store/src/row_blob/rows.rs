//! What the parts of the row store share: reads that do not mistake a stale answer for a missing row,
//! and commits that are repeated until their outcome is known.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidelock_blob::{BlobError, BlobId};
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::blob::{self, BlobRow, BlobState};
use tidelock_meta::{Batch, Key, MetaError, MetaStore, OpId, Outcome, ReadLevel, Versioned};

use crate::entropy::{Entropy, array};

/// How often a commit is tried whose outcome stays unknown.
const COMMIT_ATTEMPTS_MAX: u32 = 5;
/// Pause before a commit is tried again; doubles with each try.
const COMMIT_PAUSE_MILLISECONDS: u64 = 20;

/// The engine, and ids for what is written to it.
#[derive(Clone)]
pub(super) struct BlobRows {
    pub(super) meta: Arc<dyn MetaStore>,
    entropy: Arc<dyn Entropy>,
}

impl BlobRows {
    pub(super) fn new(meta: Arc<dyn MetaStore>, entropy: Arc<dyn Entropy>) -> Self {
        Self { meta, entropy }
    }

    pub(super) fn random(&self) -> [u8; 16] {
        array(&*self.entropy)
    }

    pub(super) fn batch(&self) -> Batch {
        Batch::new(OpId(self.random()))
    }

    /// Commits a batch that may be repeated: it lands at most once, because it checks a row that it
    /// writes, or the same bytes each time, because it checks that the blob is being written. After an
    /// unknown outcome [`Outcome::Conflict`] may come from the batch itself: then the rows tell.
    pub(super) async fn commit(&self, batch: Batch) -> Result<Outcome, BlobError> {
        let mut pause = Duration::from_millis(COMMIT_PAUSE_MILLISECONDS);
        for _ in 1..COMMIT_ATTEMPTS_MAX {
            match self.meta.commit(batch.clone()).await {
                Err(MetaError::Unknown) => tokio::time::sleep(pause).await,
                outcome => return outcome.map_err(failure),
            }
            pause *= 2;
        }
        self.meta.commit(batch).await.map_err(failure)
    }

    /// A blob's header, as it is now.
    pub(super) async fn header(&self, id: BlobId) -> Result<Option<Versioned>, BlobError> {
        let rows = self.meta.get(&[blob::key(id.0)], ReadLevel::Latest).await;
        Ok(rows.map_err(failure)?.pop().flatten())
    }

    /// A blob's header if the blob is finished, from whichever engine answers first: it never changes.
    /// That there is none, only the latest state can tell.
    pub(super) async fn finished(&self, id: BlobId) -> Result<BlobRow, BlobError> {
        for level in [ReadLevel::Unconfirmed, ReadLevel::Latest] {
            let rows = self.meta.get(&[blob::key(id.0)], level).await.map_err(failure)?;
            if let Some(found) = rows.into_iter().next().flatten() {
                let row = BlobRow::decode(&found.value).map_err(damaged)?;
                if row.state == BlobState::Finished {
                    return Ok(row);
                }
            }
        }
        Err(BlobError::NotFound)
    }

    /// Rows that never change once they are there; the same rule.
    pub(super) async fn immutable(&self, keys: &[Key]) -> Result<Vec<Versioned>, BlobError> {
        for level in [ReadLevel::Unconfirmed, ReadLevel::Latest] {
            let rows = self.meta.get(keys, level).await.map_err(failure)?;
            if let Some(rows) = rows.into_iter().collect::<Option<Vec<_>>>() {
                return Ok(rows);
            }
        }
        Err(BlobError::NotFound)
    }
}

/// What an engine's failure means to the user of a blob.
pub(super) fn failure(error: MetaError) -> BlobError {
    match error {
        MetaError::Overloaded => BlobError::Overloaded(error.to_string()),
        MetaError::Unknown
        | MetaError::Unavailable(_)
        | MetaError::Fenced
        | MetaError::TooLarge(_)
        | MetaError::Corrupt(_) => BlobError::Io(io::Error::other(error)),
    }
}

/// Stored bytes that are not the record they should be.
pub(super) fn damaged(error: DecodeError) -> BlobError {
    failure(error.into())
}

pub(super) fn broken(what: &str) -> BlobError {
    BlobError::Io(io::Error::other(what.to_owned()))
}
