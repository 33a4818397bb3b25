//! The storage boundary: ordered keys, one mini-transaction, and the engines behind it.
//!
//! Everything Tidelock knows about buckets, objects and users is a row in an ordered, linearizable
//! map. Every write is one [`MetaStore::commit`]; there are no interactive transactions and nothing
//! is ever checked first and written later. This crate knows records and engines; it knows nothing
//! of HTTP, of S3 or of what a row means to the domain above it.

pub mod clock;
pub mod conformance;
mod contract;
mod grouped;
pub mod local;
pub mod memory;
pub mod postgres;
pub mod record;
mod types;

pub use clock::{Clock, SystemClock, UnixMillis};
pub use types::{
    Batch, Direction, Epoch, Expect, Group, Health, Key, KeyRange, Limits, MetaError, OpId,
    Outcome, ReadLevel, Version, Versioned, Write, successor_of_key, successor_of_prefix,
};

use async_trait::async_trait;

/// Ordered, linearizable keys. Every write is one commit.
///
/// # Contract
///
/// 1. A commit applies all its writes or none of them, and answers only when they are durable.
/// 2. Checks are decided in the commit itself, against the latest state.
/// 3. [`MetaError::Unknown`] means that the commit may or may not have been applied; the caller
///    reads again (its `op_id` is stored in the rows it writes) before it answers anybody.
/// 4. An [`Expect::Absent`] check is on a key that the same batch writes.
/// 5. A check on a key that the batch does not write is a shared read lock: two such batches do not
///    conflict with each other.
/// 6. Keys are ordered bytewise. Two reads of one `get` or one `scan` see one snapshot.
///
/// The public suite in [`conformance`] holds every engine to this.
#[async_trait]
pub trait MetaStore: Send + Sync {
    /// Key, value and batch sizes this engine takes.
    fn limits(&self) -> Limits;

    /// The rows under `keys`, in the order asked for, from one snapshot.
    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError>;

    /// At most `limit` rows of `range` from one snapshot, in `direction`.
    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError>;

    /// Applies the batch if all its checks hold, durably, and answers after that.
    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError>;

    /// Which incarnation of the engine answers now; does no I/O. To be taken before the first read
    /// that [`MetaStore::confirm`] is to confirm.
    ///
    /// The default is for engines that nobody can replace without their noticing.
    fn epoch(&self) -> Epoch {
        Epoch::default()
    }

    /// Answers once all that was read at [`ReadLevel::Unconfirmed`] after `since` was taken, and has
    /// been answered, is known to have been the latest when it was read, and to be as durable as an
    /// acknowledged commit. [`MetaError::Unavailable`] when that cannot be known: another incarnation
    /// may have answered, or the engine fails. Then read again.
    async fn confirm(&self, _since: Epoch) -> Result<(), MetaError> {
        Ok(())
    }

    /// What the engine can do now; does no I/O.
    fn health(&self) -> Health {
        Health::Serving
    }

    /// Who else has what is acknowledged, in words for operators; none where nobody has. Does no I/O.
    fn replication(&self) -> Option<String> {
        None
    }

    /// The rows of `range` grouped by the part of their key up to and including `delimiter`, looked
    /// for after the first `skip` bytes of the key; at most `limit` groups. A row without the
    /// delimiter is a group of its own. Each group carries its first row.
    ///
    /// The default skips from group to group with [`MetaStore::scan`]: each page is a snapshot, their
    /// sequence is not.
    async fn scan_grouped(
        &self,
        range: KeyRange,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
        level: ReadLevel,
    ) -> Result<Vec<Group>, MetaError> {
        grouped::scan_grouped_by_skipping(self, range, skip, delimiter, limit, level).await
    }
}
