//! Why the log does not answer.

use std::io;

use rustix::io::Errno;

/// Why the log does not answer.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full. Nothing was written, and the log goes on.
    #[error("the disk is full: make room")]
    Full,
    /// The process, or the machine, has as many files open as it may. Nothing was written, and the log goes on.
    #[error("too many files are open: raise the limit (`ulimit -n`, `LimitNOFILE=`)")]
    TooManyFiles,
    /// The disk failed. Whether what was being written is durable is not known.
    #[error("the disk failed: {0}")]
    Io(io::Error),
    /// Somebody else has opened the log since. What was being written was not acknowledged.
    #[error("another process has taken over the log")]
    Fenced,
    /// What is stored is not what was written, and it is not the end of the log.
    #[error("{file} is damaged at byte {offset}: {what}")]
    Damaged {
        /// Name of the file in the log's directory.
        file: String,
        /// Where in the file.
        offset: u32,
        /// What was found there.
        what: &'static str,
    },
    /// A later version wrote it.
    #[error("the log has format {found}, but this version knows formats up to {known}")]
    FormatTooNew {
        /// The format on disk.
        found: u8,
        /// The newest format this version knows.
        known: u8,
    },
}

impl LogError {
    /// What a failed sync is: never [`LogError::Full`], for what it has lost is not known.
    pub(crate) fn of_sync(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) {
            return Self::TooManyFiles;
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}
