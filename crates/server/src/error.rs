//! Why a server does not start, or stops.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tidelock_meta::postgres::ConnectError;

use crate::config::ConfigError;
use crate::telemetry::TelemetryError;
use crate::tls::TlsError;

/// Why a server does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings make no configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs cannot be written as asked.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("data directory: {0}")]
    Data(String),
    /// There is no PostgreSQL that can be used.
    #[error("{}", told(.0))]
    Postgres(#[from] ConnectError),
    /// The store of bodies cannot be opened.
    #[error("blobs: {0}")]
    Blobs(String),
    /// A copy into the store was begun and has not ended.
    #[error(
        "a copy into this store is not finished: run the same `tidelock admin copy` again, which \
         starts it over"
    )]
    Unfinished,
    /// The keyring is missing or cannot be used.
    #[error("keyring {}: {reason}", path.display())]
    Keyring {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of credentials cannot be read or written.
    #[error("credentials: {0}")]
    Credentials(io::Error),
    /// The bucket and user of `--bootstrap` could not be made.
    #[error("bootstrap: {0}")]
    Bootstrap(String),
    /// The system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What whoever started a server can do about its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Change the settings, or the files they name.
    Settings,
    /// Look for what is not there.
    NotFound,
    /// Make room, or stop who uses it.
    Exists,
    /// Try again: what the server needs is not there now.
    Unavailable,
    /// Look at the message.
    Other,
}

/// With the flag that only this layer knows of.
fn told(error: &ConnectError) -> String {
    let flag = match error {
        ConnectError::UnsafeReplication(_) => " (--accept-unsafe-replication)",
        _ => "",
    };
    format!("PostgreSQL: {error}{flag}")
}

impl ServeError {
    /// What to do about it.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Config(_) | Self::Tls(_) | Self::Keyring { .. } | Self::Blobs(_) => {
                FailureKind::Settings
            }
            Self::Postgres(error) => match error {
                ConnectError::Url(_)
                | ConnectError::Authentication(_)
                | ConnectError::Tls(_)
                | ConnectError::UnsafeReplication(_)
                | ConnectError::SchemaTooNew { .. }
                | ConnectError::OtherCluster(_)
                | ConnectError::Refused(_) => FailureKind::Settings,
                ConnectError::Unreachable(_)
                | ConnectError::NoPrimary(_)
                | ConnectError::TwoPrimaries(_) => FailureKind::Unavailable,
            },
            Self::Telemetry(_)
            | Self::Listen { .. }
            | Self::Data(_)
            | Self::Unfinished
            | Self::Credentials(_)
            | Self::Bootstrap(_)
            | Self::Io(_) => FailureKind::Other,
        }
    }
}
