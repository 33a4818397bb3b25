//! Bodies: read from the client once, sealed in chunks of fixed size, kept in the commit or as a
//! blob, and opened again range by range.

pub(crate) mod read;
pub(crate) mod seal;
pub(crate) mod source;
pub(crate) mod write;

use tidelock_meta::Batch;
use tidelock_meta::record::version::Body;
use tidelock_meta::record::{body, reclaim, reclaim::ReclaimRow, reclaim::Reclaimed};

use crate::Store;

impl Store {
    /// Adds to `batch` that nobody needs `old` any more. Rows go at once; blobs and parts are left to
    /// the sweeper, so that readers who have begun can end.
    pub(crate) fn discard(&self, batch: &mut Batch, old: &Body) {
        match old {
            Body::Empty => {}
            Body::Inline { id, chunks } => {
                for chunk in 0..*chunks {
                    batch.delete(body::key(*id, chunk));
                }
            }
            Body::Blob { id } => self.reclaim(batch, *id, Reclaimed::Blob),
            Body::Parts { upload, .. } => self.reclaim(batch, *upload, Reclaimed::Upload),
        }
    }

    /// Adds to `batch` that the sweeper removes this after the grace.
    pub(crate) fn reclaim(&self, batch: &mut Batch, id: [u8; 16], what: Reclaimed) {
        let due = self.now() + self.config.reclaim_grace.as_millis() as i64;
        let row = ReclaimRow { what, owner: self.owner, claimed: false };
        batch.put(reclaim::key(due, id), row.encode());
    }
}
