//! Write-once bodies too large for a commit.
//!
//! A body is written under a random id first, made durable, and only then named by a commit. What no
//! commit names is an orphan, which a sweeper above finds with [`BlobStore::list`] and deletes. This
//! crate knows bytes and ids; it knows nothing of objects, encryption or who refers to a blob.

pub mod conformance;
mod error;
pub mod fs;
mod id;
pub mod memory;
pub mod object_store;

pub use error::BlobError;
pub use id::{BlobId, ParseBlobIdError};

use async_trait::async_trait;
use bytes::Bytes;

/// Blobs by id, written once.
///
/// # Contract
///
/// 1. A blob exists from the moment its [`BlobWriter::finish`] answers; before that no `open` finds
///    it and no `list` names it. Then it is whole and durable: no crash and no power loss takes it.
/// 2. A blob never changes. An id that exists, or is being written by this process, is refused; that
///    two processes never write one id is for the caller, whose ids are random.
/// 3. What is not finished leaves nothing behind: not an aborted writer, not a dropped one, and not
///    one that a crash interrupted, once the store is opened again or, where many processes share a
///    store, once [`BlobStore::delete`] was asked for its id.
/// 4. A reader that is open goes on reading after the blob is deleted, where the system allows it;
///    elsewhere it answers an error, never other bytes.
///
/// The public suite in [`conformance`] holds every store to this.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Begins a blob.
    ///
    /// # Errors
    ///
    /// [`BlobError::AlreadyExists`] when the id exists or is being written; [`BlobError::NoSpace`];
    /// [`BlobError::Overloaded`]; [`BlobError::Io`].
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Opens a blob for reading.
    ///
    /// # Errors
    ///
    /// [`BlobError::NotFound`]; [`BlobError::Overloaded`]; [`BlobError::Io`].
    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError>;

    /// Deletes a blob; fine when there is none. Not durable by itself: a crash may bring the blob
    /// back, and the sweeper then finds an orphan. Where many processes share a store, also removes what
    /// a writer that crashed has left under the id.
    ///
    /// # Errors
    ///
    /// [`BlobError::Overloaded`]; [`BlobError::Io`].
    async fn delete(&self, id: BlobId) -> Result<(), BlobError>;

    /// The first `limit` ids after `after`, ascending; fewer only at the end. Blobs that come or go
    /// between two pages may be missed; those that stay are not.
    ///
    /// # Errors
    ///
    /// [`BlobError::Overloaded`]; [`BlobError::Io`].
    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError>;
}

/// Writes one blob from front to back.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends `bytes`. After an error the blob cannot be finished.
    ///
    /// # Errors
    ///
    /// [`BlobError::NoSpace`]; [`BlobError::Overloaded`]; [`BlobError::Io`]. May be about bytes of an
    /// earlier call.
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError>;

    /// Makes the blob exist, whole and durable, and answers its length in bytes.
    ///
    /// # Errors
    ///
    /// [`BlobError::NoSpace`]; [`BlobError::Overloaded`]; [`BlobError::Io`]. There is no blob then; at
    /// most, when the disk failed or an answer was lost in the last step, an orphan.
    async fn finish(self: Box<Self>) -> Result<u64, BlobError>;

    /// Forgets the blob.
    async fn abort(self: Box<Self>);
}

/// Reads one blob, by several tasks at once if need be.
#[async_trait]
pub trait BlobReader: Send + Sync {
    /// The blob's length in bytes.
    fn len(&self) -> u64;

    /// Whether the blob has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `length` bytes from `offset` on, or as many as there are before the end.
    ///
    /// # Errors
    ///
    /// [`BlobError::Io`], also when the blob has become shorter than it was; [`BlobError::NotFound`] when
    /// it was deleted after it was opened, and the store cannot read on; [`BlobError::Overloaded`].
    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, BlobError>;
}
