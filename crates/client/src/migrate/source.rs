//! Where states come from. A source lists what may be a state, says who holds it, and gives its versions;
//! it changes nothing.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use super::history::{Event, Past};
use super::{FileSource, PostgresSource, S3Source};
use crate::{ClientError, ErrorKind};

/// A place with states.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a run has one of them")]
pub enum Source {
    /// Local files.
    Files(FileSource),
    /// A bucket of an S3 endpoint.
    S3(S3Source),
    /// Terraform's PostgreSQL backend.
    Postgres(PostgresSource),
}

/// Something at a source that may be a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// Its key at the destination.
    pub key: String,
    /// Its name at the source: a path, a key, a workspace.
    pub name: String,
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The S3 endpoint.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file or a directory.
    #[error("{}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The database; never with its password.
    #[error("PostgreSQL: {0}")]
    Postgres(String),
    /// The table with the locks, by name.
    #[error("the lock table {0}: {1}")]
    LockTable(String, ClientError),
    /// The endpoint does not say which of its versions is older.
    #[error("{0}: the endpoint lists its versions in an order that cannot be told")]
    Unordered(String),
}

impl Source {
    pub(super) async fn states(&self) -> Result<Vec<SourceState>, SourceError> {
        match self {
            Self::Files(files) => files.states().await,
            Self::S3(bucket) => bucket.states().await,
            Self::Postgres(table) => table.states().await,
        }
    }

    /// Who holds the lock of the state, in words.
    pub(super) async fn holder(&self, state: &SourceState) -> Result<Option<String>, SourceError> {
        match self {
            Self::Files(files) => files.holder(&state.name).await,
            Self::S3(bucket) => bucket.holder(&state.name).await,
            Self::Postgres(table) => table.holder(&state.name).await,
        }
    }

    pub(super) async fn past(&self, state: &SourceState) -> Result<Past, SourceError> {
        match self {
            Self::Files(files) => files.past(&state.name).await,
            Self::S3(bucket) => bucket.past(&state.name).await,
            Self::Postgres(table) => table.past(&state.name).await,
        }
    }

    /// Whether `past` still is all that the source has.
    pub(super) async fn is_still(
        &self,
        state: &SourceState,
        past: &Past,
    ) -> Result<bool, SourceError> {
        match self {
            Self::S3(bucket) if !past.listed.is_empty() => {
                Ok(bucket.versions(&state.name).await?.is_some_and(|now| now == past.listed))
            }
            Self::Files(_) | Self::S3(_) | Self::Postgres(_) => {
                Ok(self.past(state).await?.is_like(past))
            }
        }
    }

    /// The body of a version.
    pub(super) async fn read(
        &self,
        state: &SourceState,
        event: &Event,
    ) -> Result<Bytes, SourceError> {
        match self {
            Self::Files(files) => files.read(&state.name).await,
            Self::S3(bucket) => bucket.read(&state.name, event.version_id.as_deref()).await,
            Self::Postgres(table) => table.read(&state.name).await,
        }
    }
}

/// Names the place; the same in every run.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => files.fmt(f),
            Self::S3(bucket) => bucket.fmt(f),
            Self::Postgres(table) => table.fmt(f),
        }
    }
}

impl SourceError {
    /// Whether other states may be read nevertheless.
    pub(super) fn is_of_one_state(&self) -> bool {
        match self {
            Self::Client(error) => match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::Denied
                | ErrorKind::Conflict
                | ErrorKind::Other => true,
                ErrorKind::Unavailable | ErrorKind::Interrupted => false,
            },
            Self::File { .. } | Self::Unordered(_) => true,
            Self::Postgres(_) | Self::LockTable(..) => false,
        }
    }
}
