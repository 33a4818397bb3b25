//! Why there is no backup, or none that can be restored.

use std::io;

use tidelock_blob::object_store::OpenError as ArchiveError;
use tidelock_blob::{BlobError, BlobId};
use tidelock_meta::MetaError;
use tidelock_meta::local::{LogError, OpenError};
use tidelock_meta::record::DecodeError;

use crate::error::{FailureKind, ServeError};

/// Why there is no backup, or none that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place for backups is none.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It cannot be read or written.
    #[error("backups: {0}")]
    Place(BlobError),
    /// Another backup has ended or is under way there.
    #[error("another backup is written to the same place: try again when it has ended")]
    Busy,
    /// There is none.
    #[error("{0}: there is no backup")]
    NoBackup(String),
    /// There is nothing to back up.
    #[error("{0}: there is no store")]
    NoStore(String),
    /// A later version wrote them.
    #[error("these backups have format {found}, but this version knows formats up to {known}")]
    TooNew {
        /// Their format.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// A file of the backup is not what was written.
    #[error("{0} of the backup is damaged")]
    Damaged(String),
    /// A file of the backup is gone.
    #[error("{0} of the backup is missing")]
    Missing(String),
    /// A blob of the same id is there already, with other bytes.
    #[error(
        "blob {0} is in that place already, with other bytes than in this store: choose another place or \
         prefix, or remove it there if no backup names it"
    )]
    BlobDiffers(BlobId),
    /// They are of another store.
    #[error(
        "the backups there are of another store ({found}, and this is {own}): choose another place or prefix"
    )]
    OtherStore {
        /// Id of the store that was backed up.
        found: String,
        /// Id of this one.
        own: String,
    },
    /// The store and its backups have gone different ways.
    #[error(
        "this store does not go on from the last backup there, as after a restore: choose a new place or \
         prefix for its backups, and keep the old ones as they are"
    )]
    Diverged,
    /// The log is let go before it is read.
    #[error(
        "the log is cleaned faster than it can be copied: try again when the server has less to do"
    )]
    TooFast,
    /// The time is not in any backup.
    #[error("the backups do not say what the store was then; they do for {possible}")]
    NoSuchTime {
        /// The times that can be restored.
        possible: String,
    },
    /// The data directory is there already.
    #[error("{0} is not empty: restore into a new directory")]
    NotEmpty(String),
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(OpenError),
    /// A row makes no sense.
    #[error("a row of the store: {0}")]
    Row(#[from] DecodeError),
    /// The restored rows cannot be read.
    #[error("rows: {0}")]
    Rows(#[from] MetaError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] ServeError),
    /// The system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl BackupError {
    /// What can be done about it.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Archive(_)
            | Self::OtherStore { .. }
            | Self::Diverged
            | Self::NoSuchTime { .. } => FailureKind::Settings,
            Self::NoBackup(_) | Self::NoStore(_) => FailureKind::NotFound,
            Self::Busy | Self::NotEmpty(_) => FailureKind::Exists,
            Self::TooFast | Self::Place(BlobError::Overloaded(_)) => FailureKind::Unavailable,
            Self::Directory(error) => error.kind(),
            Self::Place(_)
            | Self::TooNew { .. }
            | Self::Damaged(_)
            | Self::Missing(_)
            | Self::BlobDiffers(_)
            | Self::Store(_)
            | Self::Row(_)
            | Self::Rows(_)
            | Self::Io(_) => FailureKind::Other,
        }
    }
}

impl From<BlobError> for BackupError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::AlreadyExists => Self::Busy,
            error => Self::Place(error),
        }
    }
}

impl From<LogError> for BackupError {
    fn from(error: LogError) -> Self {
        Self::Store(error.into())
    }
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> Self {
        Self::Store(error)
    }
}
