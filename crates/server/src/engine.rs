//! The engines in the data directory: rows, bodies, and the keyring that both are sealed with.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tidelock_blob::BlobStore;
use tidelock_blob::fs::FsBlobStore;
use tidelock_meta::local::{LocalOptions, LocalStore, OpenError};
use tidelock_meta::{Clock, MetaStore};
use tidelock_store::{Entropy, Keyring};

use crate::config::Config;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::private_file;

/// Rows, in the data directory.
const META_DIRECTORY: &str = "meta";
/// Bodies too large for a commit, in the data directory.
const BLOB_DIRECTORY: &str = "blobs";
/// Locked while a server has the data directory.
const LOCK_FILE: &str = "lock";
/// Name of the first key of a new keyring.
const FIRST_KEY: &str = "1";

/// What the store of one server stands on.
pub struct Engines {
    /// Rows.
    pub meta: Arc<dyn MetaStore>,
    /// Bodies.
    pub blobs: Arc<dyn BlobStore>,
    /// Keys that wrap all data keys.
    pub keyring: Keyring,
    /// Whether commits are taken; readiness tells it.
    pub is_writable: Box<dyn Fn() -> bool + Send + Sync>,
    /// Run once after the last request: a blocking call that releases what is held.
    pub close: Box<dyn FnOnce() + Send>,
}

impl Engines {
    /// Opens the engines that `config` names, and makes them on the first start.
    ///
    /// # Errors
    /// [`ServeError::Data`] when the directory is in use, damaged or not writable;
    /// [`ServeError::Keyring`] when data is there and its keys are not.
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        private_file::create_directory(&config.data).map_err(data)?;
        // Before the keyring: of two first starts at once, the slower one would replace the keys
        // that the faster one has already sealed with.
        let lock = private_file::lock(&config.data.join(LOCK_FILE)).map_err(data)?;
        let Some(lock) = lock else { return Err(in_use(config)) };
        let meta_path = config.data.join(META_DIRECTORY);
        let keyring = open_keyring(&config.keyring, meta_path.exists(), entropy)?;
        let mut options = LocalOptions::new(clock);
        options.observer = metrics;
        let opening = tokio::task::spawn_blocking(move || LocalStore::open(&meta_path, options));
        let meta = opening.await.map_err(io::Error::other)?.map_err(|error| match error {
            OpenError::AlreadyOpen => in_use(config),
            OpenError::FormatTooNew { .. } | OpenError::Corrupt(_) | OpenError::Io(_) => {
                ServeError::Data(format!("{}: {error}", config.data.display()))
            }
        })?;
        let meta = Arc::new(meta);
        let path = config.data.join(BLOB_DIRECTORY);
        let opening = tokio::task::spawn_blocking(move || FsBlobStore::open(&path));
        let blobs = opening.await.map_err(io::Error::other)?.map_err(data)?;
        let (asked, closing) = (meta.clone(), meta.clone());
        Ok(Self {
            meta,
            blobs: Arc::new(blobs),
            keyring,
            is_writable: Box::new(move || asked.is_writable()),
            close: Box::new(move || {
                closing.close();
                drop(lock);
            }),
        })
    }
}

/// The keyring at `path`; a new one where nothing has been sealed yet.
fn open_keyring(
    path: &Path,
    data_exists: bool,
    entropy: &dyn Entropy,
) -> Result<Keyring, ServeError> {
    let refused = |reason: String| ServeError::Keyring { path: path.to_owned(), reason };
    let text = match private_file::read(path).map_err(|error| refused(error.to_string()))? {
        Some(text) => zeroize::Zeroizing::new(text),
        None if data_exists => {
            // A new one would lock everybody out of what the old one sealed, for good.
            let reason = "is missing, and the data directory has data sealed with it; put it back";
            return Err(refused(reason.to_owned()));
        }
        None => {
            let text = Keyring::generate(FIRST_KEY, entropy);
            private_file::write(path, &text).map_err(|error| refused(error.to_string()))?;
            tracing::warn!(
                keyring = %path.display(),
                "made a keyring: without it nothing that is stored can be read; back it up, apart \
                 from the data"
            );
            text
        }
    };
    Keyring::parse(&text).map_err(|error| refused(error.to_string()))
}

fn in_use(config: &Config) -> ServeError {
    ServeError::Data(format!("{} is in use by another server", config.data.display()))
}

fn data(error: io::Error) -> ServeError {
    ServeError::Data(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_first_starts_at_once_make_one_keyring() {
        let directory = tempfile::tempdir().unwrap();
        let args = crate::args::ServeArgs {
            data: Some(directory.path().to_owned()),
            ..crate::args::ServeArgs::default()
        };
        let config = Config::resolve(args, &|_| None).unwrap();
        let entropy = tidelock_store::SystemEntropy::new();
        let open = || async {
            let clock = Arc::new(tidelock_meta::SystemClock::new());
            Engines::open(&config, clock, &entropy, Arc::new(Metrics::new())).await
        };
        // The other one has come as far as the lock.
        let other = private_file::lock(&directory.path().join(LOCK_FILE)).unwrap().unwrap();
        let refused = open().await.err().unwrap();
        assert!(refused.to_string().contains("in use by another server"), "{refused}");
        assert!(!config.keyring.exists());
        drop(other);
        (open().await.unwrap().close)();
        assert!(config.keyring.exists());
    }

    #[test]
    fn a_lost_keyring_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keyring");
        let entropy = tidelock_store::SystemEntropy::new();
        let lost = open_keyring(&path, true, &entropy).err().unwrap();
        assert!(lost.to_string().contains("put it back"), "{lost}");
        assert!(!path.exists());
        open_keyring(&path, false, &entropy).unwrap();
        let made = std::fs::read(&path).unwrap();
        open_keyring(&path, true, &entropy).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), made);
    }
}
