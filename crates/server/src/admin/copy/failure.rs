//! Why a store was not copied.

use tidelock_blob::{BlobError, BlobId};
use tidelock_meta::MetaError;
use tidelock_meta::record::DecodeError;

use crate::config::ConfigError;
use crate::error::{FailureKind, ServeError};

/// Why a store was not copied. The source is as it was; what has come of the destination is served
/// by nobody.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Both are one.
    #[error("source and destination are the same store")]
    Same,
    /// The settings of one of the two go not together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// One of the two cannot be opened.
    #[error("{place}: {error}")]
    Open {
        /// Which.
        place: String,
        /// Why.
        error: ServeError,
    },
    /// There is nothing to copy.
    #[error("{0}: there is no store")]
    NoStore(String),
    /// The source is itself an unfinished copy.
    #[error("{0}: the source is a copy that was not finished")]
    SourceUnfinished(String),
    /// Servers run on it.
    #[error("{place}: {servers} server(s) run on it; stop them first")]
    Running {
        /// Which store.
        place: String,
        /// How many have announced themselves.
        servers: usize,
    },
    /// The destination has something in it that this copy has not put there.
    #[error("{0}: the destination is not empty")]
    NotEmpty(String),
    /// Another copy to the same destination has begun since.
    #[error("another copy to the same destination has begun; this one has stopped")]
    TakenOver,
    /// What was read again is not what was written.
    #[error("{copied} rows were copied and {found} found, or their contents differ")]
    RowsDiffer {
        /// Written.
        copied: u64,
        /// Read again.
        found: u64,
    },
    /// A body that was read again is not what was written.
    #[error("body {0} differs after it was copied")]
    BodyDiffers(BlobId),
    /// An engine failed.
    #[error("rows: {0}")]
    Meta(#[from] MetaError),
    /// A row is not what it must be.
    #[error("rows: {0}")]
    Decode(#[from] DecodeError),
    /// Rows name bodies that the source does not have where it was told to have them.
    #[error(
        "{} bodies that rows name are missing at the destination (--from-blobs, --to-blobs?): {}",
        .0.len(), .0.join(", ")
    )]
    BodiesMissing(Vec<String>),
    /// A store of bodies failed.
    #[error("bodies: {0}")]
    Blob(#[from] BlobError),
}

impl CopyError {
    /// What to do about it.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Same | Self::Config(_) => FailureKind::Settings,
            Self::Open { error, .. } => error.kind(),
            Self::NoStore(_) => FailureKind::NotFound,
            Self::Running { .. } | Self::NotEmpty(_) | Self::TakenOver => FailureKind::Exists,
            Self::Meta(error) => match error {
                MetaError::Unknown
                | MetaError::Unavailable(_)
                | MetaError::Overloaded
                | MetaError::Fenced => FailureKind::Unavailable,
                MetaError::TooLarge(_) | MetaError::Corrupt(_) => FailureKind::Other,
            },
            Self::SourceUnfinished(_)
            | Self::RowsDiffer { .. }
            | Self::BodyDiffers(_)
            | Self::BodiesMissing(_)
            | Self::Decode(_)
            | Self::Blob(_) => FailureKind::Other,
        }
    }
}
