//! What a PostgreSQL store is opened with, who counts what it does, and why it does not open.
//!
//! Refuses to know how a URL is written (`url`) and what makes a set-up safe (`topology`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::url::{InvalidPostgresUrl, Target};

/// Connections to the primary when nothing else is said.
const CONNECTIONS_DEFAULT: usize = 16;

/// What a PostgreSQL store is opened with. Displays as its URL without the password.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) target: Target,
    /// Serve although an acknowledged write may live on one machine only, or although a listed
    /// standby may not have it. For storage that is replicated below PostgreSQL, and for trying out.
    pub accept_unsafe_replication: bool,
    /// Connections to the primary, at least one. The database allows `max_connections` to all.
    pub connections_max: usize,
    /// Hears of round trips, reconnects and waits.
    pub observer: Arc<dyn PostgresObserver>,
}

impl PostgresOptions {
    /// Options for `postgres://user:password@host:5432,host2:5432/database?parameter=value`, with
    /// defaults for what the URL does not say.
    ///
    /// | parameter | default | |
    /// |---|---|---|
    /// | `sslmode` | `disable` for loopback and sockets, else `verify-full` | `disable`, `prefer`, `require`, `verify-ca`, `verify-full`; wherever TLS is used, certificate and host name are verified |
    /// | `sslrootcert` | the machine's roots | PEM file with the roots to trust instead |
    /// | `schema` | `tidelock` | `[a-z0-9_]`, 63 at most: several stores in one database |
    /// | `dialect` | `auto` | `auto`, `postgres`, `portable` |
    /// | `connect_timeout` | 5 | seconds for one host, 1 to 60 |
    /// | `application_name` | `tidelock` | as shown in `pg_stat_activity` |
    /// | `target_session_attrs` | | `read-write` or `primary`, which is what happens anyway |
    /// | `host` | | directory of a Unix socket, when the URL names no host |
    ///
    /// # Errors
    ///
    /// [`InvalidPostgresUrl`] names the part that is wrong; never the password.
    pub fn parse(url: &str) -> Result<Self, InvalidPostgresUrl> {
        Ok(Self {
            target: Target::parse(url)?,
            accept_unsafe_replication: false,
            connections_max: CONNECTIONS_DEFAULT,
            observer: Arc::new(UnobservedPostgres),
        })
    }

    /// The schema that holds the store's tables.
    pub fn schema(&self) -> &str {
        &self.target.schema
    }
}

impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("target", &self.target)
            .field("accept_unsafe_replication", &self.accept_unsafe_replication)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// Which statements the database understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A commit is one statement with several parts, at READ COMMITTED: PostgreSQL itself.
    Postgres,
    /// A commit is a short transaction of plain statements, at SERIALIZABLE: all that speak the protocol.
    Portable,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Portable => "portable",
        })
    }
}

/// What one exchange with the database was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoundTrip {
    /// Rows by key.
    Get,
    /// Rows of a range.
    Scan,
    /// Groups of a range.
    ScanGrouped,
    /// A commit or a step of one.
    Commit,
    /// Proof that what was read is replicated.
    Barrier,
    /// Settings and facts of a connection.
    Session,
}

/// Hears what the engine does: for metrics and for tests. Must not block.
pub trait PostgresObserver: Send + Sync {
    /// The database was asked once and answered, or did not.
    fn round_trip(&self, _kind: RoundTrip) {}

    /// A commit failed in a way that leaves nothing behind, and is tried again.
    fn retried(&self) {}

    /// A connection to the primary was made, the first ones included.
    fn connected(&self) {}

    /// The primary was not where it was last seen, and another was found.
    fn primary_changed(&self) {}

    /// A call waited this long for a connection.
    fn waited(&self, _duration: Duration) {}
}

/// Hears nothing.
#[derive(Debug)]
pub struct UnobservedPostgres;

impl PostgresObserver for UnobservedPostgres {}

/// Why there is no connection to a usable primary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL says nothing usable.
    #[error(transparent)]
    Url(#[from] InvalidPostgresUrl),
    /// No host answered, or not in time; says what each said.
    #[error("no host of the database can be reached: {0}")]
    Unreachable(String),
    /// A host refuses the user or the password, or the database does not exist.
    #[error("the database refuses the connection: {0}")]
    Authentication(String),
    /// The certificate is not to be trusted, or the host has no TLS.
    #[error("TLS to the database failed: {0}")]
    Tls(String),
    /// Hosts answered, but none of them takes writes; says what each is.
    #[error("no host of the database is a primary: {0}")]
    NoPrimary(String),
    /// Two servers claim to be the primary and neither is ahead: somebody must decide.
    #[error("two primaries on one timeline: {0}; stop the wrong one")]
    TwoPrimaries(String),
    /// Another database cluster answers than the one this process began with.
    #[error("another database cluster answers than before: {0}")]
    OtherCluster(String),
    /// An acknowledged write could be lost; says what is wrong and what to set.
    #[error("replication is not safe: {0}")]
    UnsafeReplication(String),
    /// The schema was written by a later Tidelock.
    #[error("the schema has version {found}, this Tidelock knows {known}: use a later one")]
    SchemaTooNew {
        /// Version in the database.
        found: i64,
        /// Latest version known here.
        known: i64,
    },
    /// The database refuses a statement of the start: missing rights, for example.
    #[error("the database refuses to be set up: {0}")]
    Refused(String),
}

impl ConnectError {
    /// Whether only a person can change this, so that trying again is pointless.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NoPrimary(_) | Self::TwoPrimaries(_) => false,
            Self::Url(_)
            | Self::Authentication(_)
            | Self::Tls(_)
            | Self::OtherCluster(_)
            | Self::UnsafeReplication(_)
            | Self::SchemaTooNew { .. }
            | Self::Refused(_) => true,
        }
    }
}
