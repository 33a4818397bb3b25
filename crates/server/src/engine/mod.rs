//! The engines a server stands on: rows, bodies, and the keyring that both are sealed with.
//!
//! ```text
//! rows.rs      where rows are: the data directory, memory, PostgreSQL
//! bodies.rs    where bodies too large for a commit are
//! keyring.rs   the keys, and whether they are those of this store
//! patience.rs  how long a start waits for a database that is not there yet
//! ```
//!
//! The only place that knows which engine goes with which setting; nobody above knows more than the
//! traits.

mod bodies;
mod keyring;
mod patience;
mod rows;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tidelock_blob::BlobStore;
use tidelock_meta::{Clock, MetaStore};
use tidelock_store::{Entropy, Keyring};

pub(crate) use bodies::{open_bodies, open_remote_bodies};
pub(crate) use keyring::{open_keyring, read_keyring};
pub(crate) use rows::{DataDirectory, Rows, find_shared_rows, open_rows, postgres_options};

use crate::config::{BlobLocation, Config, MetaLocation};
use crate::error::ServeError;
use crate::metrics::Metrics;

/// Releases what an engine holds, once the last request is over.
pub type Close = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// What the store of one server stands on.
pub struct Engines {
    /// Rows.
    pub meta: Arc<dyn MetaStore>,
    /// Bodies.
    pub blobs: Arc<dyn BlobStore>,
    /// Keys that wrap all data keys.
    pub keyring: Keyring,
    /// Who else uses them.
    pub ownership: Ownership,
    /// Run once after the last request.
    pub close: Close,
}

/// Who uses a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// One process at a time: what others had begun is dead.
    Sole,
    /// Any number of servers at once.
    Shared,
}

impl Engines {
    /// Opens the engines that `config` names, and makes them on the first start.
    ///
    /// # Errors
    /// [`ServeError::Data`] when the directory is in use, damaged or not writable;
    /// [`ServeError::Postgres`] when there is no PostgreSQL that can be used, after a wait where that
    /// may change; [`ServeError::Blobs`]; [`ServeError::Keyring`] when data is there and its keys are
    /// not.
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        let directory = DataDirectory::new(&config.data);
        // A URL that is none is found before anything is made.
        let remote = match &config.blobs {
            BlobLocation::ObjectStore(url) => {
                Some(open_remote_bodies(url, &config.object_store_variables)?)
            }
            BlobLocation::Local | BlobLocation::Memory | BlobLocation::Postgres => None,
        };
        let accepted = config.accept_unsafe_replication;
        let open = || open_rows(&config.meta, &directory, accepted, clock.clone(), metrics.clone());
        let rows = patience::wait_to_open(open).await?;
        match open_above(config, &directory, &rows, remote, entropy).await {
            Ok((blobs, keyring)) => {
                let Rows { meta, ownership, close } = rows;
                Ok(Self { meta, blobs, keyring, ownership, close })
            }
            Err(error) => {
                (rows.close)().await;
                Err(error)
            }
        }
    }

    /// Engines of the caller's choice, used by nobody else and with nothing to close.
    pub fn over(meta: Arc<dyn MetaStore>, blobs: Arc<dyn BlobStore>, keyring: Keyring) -> Self {
        let close: Close = Box::new(|| Box::pin(async {}));
        Self { meta, blobs, keyring, ownership: Ownership::Sole, close }
    }
}

async fn open_above(
    config: &Config,
    directory: &DataDirectory,
    rows: &Rows,
    remote: Option<Arc<dyn BlobStore>>,
    entropy: Arc<dyn Entropy>,
) -> Result<(Arc<dyn BlobStore>, Keyring), ServeError> {
    let keyring = match config.meta {
        // Where no file says otherwise, sealed with a key that is gone as soon as the rows are.
        MetaLocation::Memory => keyring::passing(&config.keyring, &*entropy)?,
        MetaLocation::Local | MetaLocation::Postgres(_) => {
            open_keyring(&config.keyring, &config.meta, &*rows.meta, &*entropy).await?
        }
    };
    let blobs = match remote {
        Some(blobs) => {
            bodies::look_at(&*blobs, &config.blobs).await;
            blobs
        }
        None => {
            let variables = &config.object_store_variables;
            open_bodies(&config.blobs, directory, &rows.meta, entropy, variables).await?
        }
    };
    Ok((blobs, keyring))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ServeArgs;

    #[tokio::test]
    async fn two_first_starts_at_once_make_one_keyring() {
        let directory = tempfile::tempdir().unwrap();
        let args = ServeArgs { data: Some(directory.path().to_owned()), ..ServeArgs::default() };
        let config = Config::resolve(args, &|_| None).unwrap();
        let open = || async {
            let clock = Arc::new(tidelock_meta::SystemClock::new());
            let entropy = Arc::new(tidelock_store::SystemEntropy::new());
            Engines::open(&config, clock, entropy, Arc::new(Metrics::new())).await
        };
        // The other one has come as far as the lock.
        let other = DataDirectory::new(directory.path()).lock().unwrap();
        let refused = open().await.err().unwrap();
        assert!(refused.to_string().contains("in use by another server"), "{refused}");
        assert!(!config.keyring.exists());
        drop(other);
        (open().await.unwrap().close)().await;
        assert!(config.keyring.exists());
    }

    #[tokio::test]
    async fn a_wrong_url_of_bodies_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        for blobs in ["s3://", "file://relative", "s3://bucket?regoin=x"] {
            let args = ServeArgs {
                data: Some(data.clone()),
                blobs: Some(blobs.to_owned()),
                ..ServeArgs::default()
            };
            let config = Config::resolve(args, &|_| None).unwrap();
            let around = crate::Surroundings::of_machine();
            let opened = Engines::open(&config, around.clock, around.entropy, around.metrics).await;
            assert!(matches!(opened, Err(ServeError::Blobs(_))), "{blobs}");
            assert!(!data.exists(), "{blobs}");
        }
    }

    #[tokio::test]
    async fn memory_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let args = ServeArgs {
            data: Some(data.clone()),
            meta: Some("memory".to_owned()),
            ..ServeArgs::default()
        };
        let config = Config::resolve(args, &|_| None).unwrap();
        let around = crate::Surroundings::of_machine();
        let engines =
            Engines::open(&config, around.clock, around.entropy, around.metrics).await.unwrap();
        (engines.close)().await;
        assert!(!data.exists());
    }
}
