//! Why a server does not start, or stops.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
