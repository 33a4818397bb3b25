//! Why a blob operation fails; the kinds differ by what the caller does next.

use std::io;

/// Why a blob operation has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no such blob")]
    NotFound,
    /// The id exists or is being written: choose another.
    #[error("the blob id is taken")]
    AlreadyExists,
    /// The disk, or the quota on it, is full: refuse writes until there is room.
    #[error("there is no space left for blobs")]
    NoSpace,
    /// Busy: the same may succeed a moment later.
    #[error("the blob store is overloaded: {0}")]
    Overloaded(String),
    /// The disk, the system or the service behind the store failed, or did not answer.
    #[error("the blob store failed: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io(error),
        }
    }
}
