//! Where bodies too large for a commit are: in the data directory, in memory, beside the rows, or in
//! an object store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidelock_blob::BlobStore;
use tidelock_blob::fs::FsBlobStore;
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_blob::object_store::ObjectStoreBlobs;
use tidelock_meta::MetaStore;
use tidelock_store::{Entropy, RowBlobStore};

use super::DataDirectory;
use crate::config::{BlobLocation, ObjectStoreUrl, ObjectStoreVariables};
use crate::error::ServeError;

/// How long a start waits for an object store's first answer.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Opens the bodies at `location`, beside the rows of `meta`.
pub(crate) async fn open_bodies(
    location: &BlobLocation,
    directory: &DataDirectory,
    meta: &Arc<dyn MetaStore>,
    entropy: Arc<dyn Entropy>,
    variables: &ObjectStoreVariables,
) -> Result<Arc<dyn BlobStore>, ServeError> {
    match location {
        BlobLocation::Local => {
            let path = directory.blobs();
            let opening = tokio::task::spawn_blocking(move || FsBlobStore::open(&path));
            let opened = opening.await.map_err(io::Error::other)?;
            Ok(Arc::new(opened.map_err(|error| ServeError::Data(error.to_string()))?))
        }
        BlobLocation::Memory => Ok(Arc::new(MemoryBlobStore::new())),
        BlobLocation::Postgres => Ok(Arc::new(RowBlobStore::new(meta.clone(), entropy))),
        BlobLocation::ObjectStore(url) => open_remote_bodies(url, variables),
    }
}

/// Opens an object store, or a directory that servers share.
pub(crate) fn open_remote_bodies(
    url: &ObjectStoreUrl,
    variables: &ObjectStoreVariables,
) -> Result<Arc<dyn BlobStore>, ServeError> {
    let opened = ObjectStoreBlobs::open(url.expose(), variables.expose());
    let store = opened.map_err(|error| ServeError::Blobs(format!("{url}: {error}")))?;
    Ok(Arc::new(store))
}

/// Warns where bodies cannot be reached now. Not a reason to stay away: states are rows, and an
/// object store may come back.
pub(super) async fn look_at(blobs: &dyn BlobStore, location: &BlobLocation) {
    let why = match tokio::time::timeout(LOOK_MAX, blobs.list(None, 1)).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::warn!(
        blobs = %location,
        error = why,
        "large bodies can neither be read nor written until their store answers"
    );
}
