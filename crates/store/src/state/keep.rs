//! Where the index of a state is kept: in the commit of the state itself if it is small, otherwise as a
//! blob that was written before, under an intent. Sealed like any body.

use std::collections::VecDeque;

use bytes::Bytes;
use tidelock_meta::Batch;
use tidelock_meta::record::BucketId;
use tidelock_meta::record::guard::StateIndex;
use tidelock_meta::record::version::VersionId;

use super::codec::damaged;
use super::facts::place;
use super::index::{INDEX_BYTES_MAX, Index};
use crate::Store;
use crate::body::read::{OpenError, Segment};
use crate::body::seal::CHUNK_BYTES;
use crate::body::write::WrittenBody;
use crate::error::StorageError;
use crate::name::ObjectKey;

/// Largest index that rides in the commit of its state: two chunks. The batch has the chunks of the
/// state's own body too, of the body it replaces, and of the index it replaces.
pub(crate) const INLINE_INDEX_BYTES_MAX: usize = 2 * CHUNK_BYTES;

impl Store {
    /// Seals an index and writes it. Nothing refers to it until [`Store::keep_index`].
    pub(crate) async fn write_index(&self, index: &Index) -> Result<WrittenBody, StorageError> {
        self.write_bytes(&index.encode(), INLINE_INDEX_BYTES_MAX).await
    }

    /// Adds to `batch` what makes a written index permanent, and answers what the guard's row says of
    /// it: it is that of the version `id`.
    pub(crate) fn keep_index(
        &self,
        batch: &mut Batch,
        written: &WrittenBody,
        bucket: BucketId,
        key: &ObjectKey,
        id: VersionId,
    ) -> StateIndex {
        written.keep(batch);
        let place = place(b"index\0", bucket, key, id);
        StateIndex {
            version: id,
            size: written.size,
            body: written.body.clone(),
            wrapped_key: self.keyring.wrap(&*written.data_key, &place, &*self.entropy),
        }
    }

    /// Adds to `batch` that nobody needs an index any more.
    pub(crate) fn discard_index(&self, batch: &mut Batch, index: &StateIndex) {
        self.discard(batch, &index.body);
    }

    /// Reads the index that a guard's row names; none if its bytes are gone: the state was written or
    /// deleted since the row was read.
    pub(crate) async fn read_index(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        index: &StateIndex,
    ) -> Result<Option<Index>, StorageError> {
        self.open_index(bucket, key, index, None).await
    }

    /// The same, where `rows` of it may have been read already.
    pub(super) async fn open_index(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        index: &StateIndex,
        rows: Option<VecDeque<Bytes>>,
    ) -> Result<Option<Index>, StorageError> {
        if index.size > INDEX_BYTES_MAX {
            return Err(damaged("it is larger than any"));
        }
        let place = place(b"index\0", bucket, key, index.version);
        let data_key = self.unwrap_key(&index.wrapped_key, &place)?;
        let (body, size) = (index.body.clone(), index.size);
        let segment = Segment { body, size, data_key, wanted: 0..size };
        let opened = match rows {
            Some(rows) => segment.with_rows(rows),
            None => self.open_segment(segment).await,
        };
        let mut open = match opened {
            Ok(open) => open,
            Err(OpenError::Gone) => return Ok(None),
            Err(error) => return Err(error.of_known_body()),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = open.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Index::decode(&bytes).map(Some)
    }
}
