//! Where rows are: in the data directory, in memory, or in PostgreSQL.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelock_meta::local::{LocalOptions, LocalStore, OpenError};
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::postgres::{PostgresOptions, PostgresStore};
use tidelock_meta::{Clock, MetaStore};
use tidelock_store::{Entropy, SystemEntropy};

use super::{Close, Ownership};
use crate::config::{MetaLocation, PostgresUrl};
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::private_file;

/// Rows, in the data directory.
pub(crate) const META_DIRECTORY: &str = "meta";
/// Bodies too large for a commit, in the data directory.
const BLOB_DIRECTORY: &str = "blobs";
/// The keys that wrap all others, in the data directory.
const KEYRING_FILE: &str = "keyring";
/// Locked while a server has the data directory.
const LOCK_FILE: &str = "lock";
/// In the data directory as long as a restore or a recovery into it has not ended.
const UNFINISHED_FILE: &str = "unfinished";

/// A directory of one server at a time.
pub(crate) struct DataDirectory(PathBuf);

/// Held for as long as the directory is used.
pub(crate) struct DirectoryLock(#[allow(dead_code, reason = "held, not read")] File);

/// Opened rows.
pub(crate) struct Rows {
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) ownership: Ownership,
    pub(crate) close: Close,
}

impl DataDirectory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where its rows are.
    pub(crate) fn meta(&self) -> PathBuf {
        self.0.join(META_DIRECTORY)
    }

    /// Where its keyring is, unless another place is named.
    pub(crate) fn keyring(&self) -> PathBuf {
        self.0.join(KEYRING_FILE)
    }

    /// Where its bodies are.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join(BLOB_DIRECTORY)
    }

    /// Makes the directory and says that what is being put into it is not all there yet: nobody opens it until
    /// [`DataDirectory::finish`].
    pub(crate) fn begin(&self) -> io::Result<()> {
        private_file::create_directory(&self.0)?;
        private_file::create(&self.0.join(UNFINISHED_FILE), "")
    }

    /// Says that all is there, and durable.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let directory = File::open(&self.0)?;
        directory.sync_all()?;
        fs::remove_file(self.0.join(UNFINISHED_FILE))?;
        directory.sync_all()
    }

    /// Refuses one that was begun and never finished.
    pub(crate) fn require_finished(&self) -> Result<(), ServeError> {
        if !self.0.join(UNFINISHED_FILE).try_exists().map_err(data)? {
            return Ok(());
        }
        Err(ServeError::Data(format!(
            "{}: a restore or a recovery into this directory did not end: remove it, and begin again",
            self.0.display()
        )))
    }

    /// Makes the directory and takes it for this process.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, ServeError> {
        private_file::create_directory(&self.0).map_err(data)?;
        let lock = private_file::lock(&self.0.join(LOCK_FILE)).map_err(data)?;
        lock.map(DirectoryLock).ok_or_else(|| self.in_use())
    }

    /// Whether a server has it now; changes nothing.
    pub(crate) fn is_locked(&self) -> Result<bool, ServeError> {
        let path = self.0.join(LOCK_FILE);
        if !path.exists() {
            return Ok(false);
        }
        Ok(private_file::lock(&path).map_err(data)?.is_none())
    }

    fn in_use(&self) -> ServeError {
        ServeError::Data(format!("{} is in use by another server", self.0.display()))
    }
}

/// Opens the rows at `location`, and makes them if there are none.
pub(crate) async fn open_rows(
    location: &MetaLocation,
    directory: &DataDirectory,
    accept_unsafe_replication: bool,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<Rows, ServeError> {
    match location {
        MetaLocation::Local => open_local(directory, clock, metrics).await,
        MetaLocation::Memory => {
            let close: Close = Box::new(|| Box::pin(async {}));
            Ok(Rows { meta: Arc::new(MemoryStore::new()), ownership: Ownership::Sole, close })
        }
        MetaLocation::Postgres(url) => {
            let mut options = postgres_options(url)?;
            options.accept_unsafe_replication = accept_unsafe_replication;
            options.observer = metrics;
            let store = PostgresStore::connect(options, clock).await?;
            tracing::info!(topology = %store.topology(), "connected to PostgreSQL");
            Ok(shared(store))
        }
    }
}

/// Opens the rows in the database at `url` if they are there; makes none.
///
/// # Errors
/// As [`open_rows`]; also when their schema is of an earlier version.
pub(crate) async fn find_shared_rows(
    url: &PostgresUrl,
    accept_unsafe_replication: bool,
    clock: Arc<dyn Clock>,
) -> Result<Option<Rows>, ServeError> {
    let mut options = postgres_options(url)?;
    options.accept_unsafe_replication = accept_unsafe_replication;
    Ok(PostgresStore::open_existing(options, clock).await?.map(shared))
}

fn shared(store: PostgresStore) -> Rows {
    let meta = Arc::new(store);
    let closing = meta.clone();
    let close: Close = Box::new(move || Box::pin(async move { closing.close().await }));
    Rows { meta, ownership: Ownership::Shared, close }
}

/// What a URL that was parsed before says.
pub(crate) fn postgres_options(url: &PostgresUrl) -> Result<PostgresOptions, ServeError> {
    PostgresOptions::parse(url.expose()).map_err(|error| ServeError::Postgres(error.into()))
}

async fn open_local(
    directory: &DataDirectory,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<Rows, ServeError> {
    // Before anything is made in it: of two first starts at once, one is refused here.
    let lock = directory.lock()?;
    directory.require_finished()?;
    let mut options = LocalOptions::new(clock);
    options.observer = metrics;
    let mut log_tag = [0; 8];
    SystemEntropy::new().fill(&mut log_tag);
    options.log_tag = u64::from_be_bytes(log_tag);
    let path = directory.meta();
    let opening = tokio::task::spawn_blocking(move || LocalStore::open(&path, options));
    let store = opening.await.map_err(io::Error::other)?.map_err(|error| match error {
        OpenError::AlreadyOpen => directory.in_use(),
        OpenError::FormatTooNew { .. } | OpenError::Corrupt(_) | OpenError::Io(_) => {
            ServeError::Data(format!("{}: {error}", directory.path().display()))
        }
    })?;
    let meta = Arc::new(store);
    let closing = meta.clone();
    let blocking = move || {
        closing.close();
        drop(lock);
    };
    let close: Close = Box::new(move || {
        Box::pin(async move {
            // A panic of the closing thread has been reported by the hook.
            let _reported = tokio::task::spawn_blocking(blocking).await;
        })
    });
    Ok(Rows { meta, ownership: Ownership::Sole, close })
}

fn data(error: io::Error) -> ServeError {
    ServeError::Data(error.to_string())
}
