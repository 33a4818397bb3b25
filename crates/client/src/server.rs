//! How a Tidelock server is, as it says itself.

use serde::{Deserialize, Serialize};

use crate::{Client, ClientError};

const SERVER: &str = "/_/api/v1/server";

/// A server at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Which version of the program it is.
    pub version: String,
    /// When it started, ISO 8601.
    pub started: String,
    /// How long ago, in seconds.
    pub uptime_seconds: u64,
    /// `serving`, `read-only` or `unavailable`.
    pub health: String,
    /// Why it does not serve.
    pub health_reason: Option<String>,
    /// Where rows are: `local`, `memory` or `postgres`.
    pub engine: String,
    /// Where bodies too large for a row are: the same, or `object store`.
    pub bodies: String,
    /// Who else has what is acknowledged, in words; none where nobody has.
    pub replication: Option<String>,
    /// Servers that run on the store, this one included.
    pub servers: u64,
    /// The disk that the data is on; none where it is elsewhere.
    pub disk: Option<DiskStatus>,
    /// The certificate; none without TLS.
    pub certificate: Option<CertificateStatus>,
    /// Requests whose answer is not yet sent, the one that asks included.
    pub requests_in_flight: u64,
    /// Connections open.
    pub connections: u64,
    /// Names of the keyring's keys, that of the one that seals first.
    pub keys: Vec<String>,
    /// The last hour, the oldest minute first; the last one is not over yet.
    pub minutes: Vec<MinuteStatus>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// With fewer bytes free, the server takes only what is small, such as locks and deletes.
    pub reserve_bytes: u64,
}

/// A server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    /// When it begins to be valid, ISO 8601.
    pub begins: String,
    /// When it ends, ISO 8601.
    pub ends: String,
}

/// What one server counted in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteStatus {
    /// When it began, ISO 8601.
    pub start: String,
    /// Requests that ended in it.
    pub requests: u64,
    /// Of these, those that the server failed.
    pub failed: u64,
    /// Locks held in guarded buckets.
    pub locks: u64,
}

impl Client {
    /// How the server is that answers.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn server_status(&self) -> Result<ServerStatus, ClientError> {
        self.ask_for(SERVER, &[]).await
    }
}
