//! Blobs as objects under a prefix of a bucket.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use super::error::failure;
use super::reader::RemoteReader;
use super::writer::{PART_BYTES, RemoteWriter, UPLOADS_GIVEN_UP_MAX};
use crate::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};

/// A [`BlobStore`] over a client of some object store.
#[derive(Debug)]
pub(super) struct RemoteBlobs {
    client: Arc<dyn ObjectStore>,
    prefix: Path,
    part_bytes: usize,
    being_written: Arc<BeingWritten>,
    /// One permit for each upload that was dropped and is being aborted.
    giving_up: Arc<Semaphore>,
}

impl RemoteBlobs {
    pub(super) fn new(client: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self {
            client,
            prefix,
            part_bytes: PART_BYTES,
            being_written: Arc::default(),
            giving_up: Arc::new(Semaphore::new(UPLOADS_GIVEN_UP_MAX)),
        }
    }

    fn path(&self, id: BlobId) -> Path {
        let [first, rest @ ..] = id.0;
        self.prefix.clone().join(format!("{first:02x}")).join(hex::encode(rest))
    }

    /// The id of an object under the prefix; none if it is no blob.
    fn id(&self, path: &Path) -> Option<BlobId> {
        let mut parts = path.prefix_match(&self.prefix)?;
        let (fan_out, rest) = (parts.next()?, parts.next()?);
        let is_blob = parts.next().is_none() && fan_out.as_ref().len() == 2;
        format!("{}{}", fan_out.as_ref(), rest.as_ref()).parse().ok().filter(|_| is_blob)
    }

    /// What a 404 means: that there is no such blob, if the bucket answers; else that all are missing,
    /// which must never look like the lack of one.
    async fn missing(&self) -> BlobError {
        match self.list(None, 1).await {
            Ok(_) => BlobError::NotFound,
            Err(error) => error,
        }
    }
}

#[async_trait]
impl BlobStore for RemoteBlobs {
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let taken = BeingWritten::take(&self.being_written, id).ok_or(BlobError::AlreadyExists)?;
        let path = self.path(id);
        match self.client.head(&path).await {
            Ok(_) => Err(BlobError::AlreadyExists),
            Err(object_store::Error::NotFound { .. }) => {
                let (client, giving_up) = (Arc::clone(&self.client), Arc::clone(&self.giving_up));
                let writer = RemoteWriter::new(client, path, taken, self.part_bytes, giving_up);
                Ok(Box::new(writer))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        let path = self.path(id);
        match self.client.head(&path).await {
            Ok(found) => {
                let reader = RemoteReader::new(Arc::clone(&self.client), path, found.size);
                Ok(Box::new(reader))
            }
            Err(object_store::Error::NotFound { .. }) => Err(self.missing().await),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        match self.client.delete(&self.path(id)).await {
            Ok(()) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => match self.missing().await {
                BlobError::NotFound => Ok(()),
                error => Err(error),
            },
            Err(error) => Err(failure(&error)),
        }
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let found = match after {
            Some(after) => self.client.list_with_offset(prefix, &self.path(after)),
            None => self.client.list(prefix),
        };
        let ids = found
            .try_filter_map(|object| std::future::ready(Ok(self.id(&object.location))))
            .take(limit)
            .try_collect::<Vec<_>>();
        let ids = ids.await.map_err(|error| failure(&error))?;
        // Pages end where the next one begins: out of order, blobs would be passed over.
        let follow = ids.first().is_none_or(|first| after < Some(*first));
        if !follow || !ids.is_sorted_by(|one, next| one < next) {
            let what = "the object store does not list keys in their order";
            return Err(BlobError::Io(std::io::Error::other(what)));
        }
        Ok(ids)
    }
}

/// The ids that this process writes.
#[derive(Debug, Default)]
pub(super) struct BeingWritten(Mutex<BTreeSet<BlobId>>);

impl BeingWritten {
    fn take(all: &Arc<Self>, id: BlobId) -> Option<Taken> {
        all.locked().insert(id).then(|| Taken { all: Arc::clone(all), id })
    }

    fn locked(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that is being written, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    all: Arc<BeingWritten>,
    pub(super) id: BlobId,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.all.locked().remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
