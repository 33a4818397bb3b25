//! A connection in use. It goes back to the pool only when what was asked of it was answered to the end:
//! one that is dropped half-way, by a time limit or a caller who went away, is closed.

use std::ops::Deref;
use std::sync::atomic::Ordering;

use super::pool::{Connection, Pool, Pooled};
use crate::MetaError;

/// Closes its connection unless told to give it back.
pub(super) struct Lease(Option<Pooled>);

impl Lease {
    /// Takes a connection to the primary.
    ///
    /// # Errors
    ///
    /// As the pool: [`MetaError::Unavailable`], [`MetaError::Overloaded`].
    pub(super) async fn take(pool: &Pool) -> Result<Self, MetaError> {
        Ok(Self(Some(pool.get().await?)))
    }

    /// Whether the server has said that a commit may be on it alone. Read after the commit's answer.
    pub(super) fn was_cancelled(&self) -> bool {
        self.wait_cancelled.load(Ordering::SeqCst)
    }

    /// Nothing is under way on it and no transaction is open.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Lease {
    type Target = Connection;

    #[allow(clippy::expect_used, reason = "taken out only by what consumes the lease")]
    fn deref(&self) -> &Connection {
        self.0.as_ref().expect("a lease in use has its connection")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pooled) = self.0.take() {
            pooled.discard();
        }
    }
}
