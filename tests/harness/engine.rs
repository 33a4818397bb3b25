//! Where a server under test keeps its rows and bodies: what `TIDELOCK_TEST_META` says, so that the
//! same lane runs over every engine.

use std::path::Path;

use super::digest::sha256_hex;

/// `local` (also when unset), `memory`, or a `postgres://` URL.
const VARIABLE: &str = "TIDELOCK_TEST_META";
/// Hexadecimal digits in the name of a schema.
const SCHEMA_DIGITS: usize = 24;

/// An engine, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Local,
    Memory,
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL, with or without a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl Engine {
    /// The engine of this run.
    pub fn of_lane() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "local") => Self::Local,
            Ok("memory") => Self::Memory,
            Ok(url) if url.starts_with("postgres") => Self::Postgres(PostgresUrl::new(url)),
            Ok(other) => panic!("{VARIABLE}={other}: not local, memory or postgres://..."),
        }
    }

    /// The flags of a server with this data directory. On PostgreSQL each directory has a schema of its
    /// own unless the URL names one; it is left there, and goes with the cluster.
    pub fn flags(&self, data: &Path) -> Vec<String> {
        let meta = match self {
            // What a server does that is told nothing.
            Self::Local => return Vec::new(),
            Self::Memory => "memory".to_owned(),
            Self::Postgres(url) => url.of_store(data).0,
        };
        vec!["--meta".to_owned(), meta]
    }
}

impl PostgresUrl {
    pub fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The same with one parameter more.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        Self(format!("{}{separator}{name}={value}", self.0))
    }

    /// The same with the schema that belongs to a data directory: the same one after a restart.
    fn of_store(&self, data: &Path) -> Self {
        if self.0.contains("schema=") {
            return self.clone();
        }
        // The name of a directory comes again in a later run, on a cluster that may still be there.
        let name = format!("{}:{}", std::process::id(), data.display());
        let digest = sha256_hex(name.as_bytes());
        self.with("schema", &format!("t{}", &digest[..SCHEMA_DIGITS]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
