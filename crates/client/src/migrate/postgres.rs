//! States of Terraform's PostgreSQL backend: one row a workspace, one advisory lock a state. The session
//! is read-only.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use bytes::Bytes;
use tidelock_tfstate::DOCUMENT_BYTES_MAX;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::body::Body;
use super::history::{Event, Past};
use super::key::FolderKeys;
use super::source::{SourceError, SourceState};
use crate::connection::trust::{MachineRoots, tls_config_of};

/// Where the backend keeps its table, unless `schema_name` says otherwise.
pub const POSTGRES_SCHEMA: &str = "terraform_remote_state";
/// What the session is called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "tidelock migrate";
/// A session that cannot write, whatever it is asked for.
const READ_ONLY: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
/// Who has the advisory lock that is named by a row's id; a key of 64 bits is shown in two halves.
const HOLDER: &str = "SELECT coalesce(a.usename, '') || coalesce('@' || host(a.client_addr), '') || \
     ', process ' || l.pid \
     FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
     AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
     AND (l.classid::bigint << 32 | l.objid::bigint) = \
     (SELECT id::bigint FROM {table} WHERE name = $1) LIMIT 1";

/// A schema with states.
pub struct PostgresSource {
    client: tokio_postgres::Client,
    /// Quoted.
    table: String,
    /// Without user and password.
    place: String,
    /// The backend's `key` at the destination.
    key: String,
    keys: FolderKeys,
}

/// A URL, and what the driver does not know of it.
struct Target {
    config: Config,
    root_certificate: Option<PathBuf>,
}

impl PostgresSource {
    /// Connects to the database at `url`. Its workspaces get the keys of `key` among `keys`.
    ///
    /// `password` is for a URL without one. TLS is verified wherever it is used: with the machine's roots,
    /// and `sslrootcert` or `ca_bundle`. Loopback and sockets do without, unless `sslmode` asks for it.
    ///
    /// # Errors
    /// [`SourceError::Postgres`]; [`SourceError::Client`] when the certificates cannot be read.
    pub async fn connect(
        url: &str,
        password: Option<&str>,
        ca_bundle: Option<&Path>,
        schema: &str,
        (keys, key): (FolderKeys, &str),
    ) -> Result<Self, SourceError> {
        let Target { mut config, root_certificate } = Target::parse(url)?;
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        config.application_name(APPLICATION_NAME);
        // A standby does not know who holds a lock.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let place = place(&config, schema);
        let roots = match config.get_ssl_mode() {
            SslMode::Disable => MachineRoots::NotRead,
            _ => MachineRoots::Trusted,
        };
        let tls = tls_config_of(roots, root_certificate.as_deref().or(ca_bundle))?;
        let connected = config.connect(MakeRustlsConnect::new(tls)).await;
        let (client, connection) = connected.map_err(|error| failed(&error))?;
        // It ends with the client; what goes wrong is told by the query that waits for it.
        tokio::spawn(connection);
        client.batch_execute(READ_ONLY).await.map_err(|error| failed(&error))?;
        let table = format!("{}.states", quoted(schema));
        Ok(Self { client, table, place, key: key.to_owned(), keys })
    }

    pub(super) async fn states(&self) -> Result<Vec<SourceState>, SourceError> {
        let query = "SELECT name FROM {table} WHERE name IS NOT NULL ORDER BY name";
        let rows = self.query(query, &[]).await?;
        let state = |row: &Row| {
            let name: String = row.try_get(0).map_err(|error| failed(&error))?;
            let key = self.keys.key(&name, &self.key);
            Ok(SourceState { key, name })
        };
        rows.iter().map(state).collect()
    }

    pub(super) async fn holder(&self, name: &str) -> Result<Option<String>, SourceError> {
        let rows = self.query(HOLDER, &[&name]).await?;
        let holder = rows.first().map(|row| row.try_get(0)).transpose();
        holder.map_err(|error| failed(&error))
    }

    pub(super) async fn past(&self, name: &str) -> Result<Past, SourceError> {
        Ok(Past::of([Event {
            body: Some(Body::of(&self.read(name).await?)),
            version_id: None,
            written: String::new(),
            migrated_from: None,
            etag: None,
        }]))
    }

    pub(super) async fn read(&self, name: &str) -> Result<Bytes, SourceError> {
        let query = "SELECT CASE WHEN octet_length(data) <= $2 THEN data END FROM {table} \
                     WHERE name = $1 AND data IS NOT NULL";
        let limit = i32::try_from(DOCUMENT_BYTES_MAX).unwrap_or(i32::MAX);
        let rows = self.query(query, &[&name, &limit]).await?;
        let Some(row) = rows.first() else { return Ok(Bytes::new()) };
        let data: Option<String> = row.try_get(0).map_err(|error| failed(&error))?;
        let too_large = || SourceError::Postgres(format!("{name}: {}", super::body::too_large()));
        data.map(Bytes::from).ok_or_else(too_large)
    }

    async fn query(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, SourceError> {
        let query = query.replace("{table}", &self.table);
        self.client.query(&query, parameters).await.map_err(|error| failed(&error))
    }
}

impl fmt::Display for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSource").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Target {
    fn parse(url: &str) -> Result<Self, SourceError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut root_certificate, mut has_mode, mut kept) = (None, false, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslrootcert", path)) => {
                    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
                    root_certificate = Some(PathBuf::from(path.into_owned()));
                }
                // Here TLS is verified whenever it is used.
                Some(("sslmode", "verify-ca" | "verify-full")) => {
                    has_mode = true;
                    kept.push("sslmode=require");
                }
                Some(("sslmode", _)) => {
                    has_mode = true;
                    kept.push(pair);
                }
                _ => kept.push(pair),
            }
        }
        let rest = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let parsed = Config::from_str(&format!("{base}{rest}"));
        // The driver's words may repeat what stands in the URL.
        let mut config =
            parsed.map_err(|_| SourceError::Postgres("the URL cannot be understood".to_owned()))?;
        if !has_mode && config.get_hosts().iter().all(is_this_machine) {
            config.ssl_mode(SslMode::Disable);
        }
        Ok(Self { config, root_certificate })
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

fn place(config: &Config, schema: &str) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    let (hosts, ports) = (hosts.join(","), ports.join(","));
    format!("postgres://{hosts}:{ports}/{}, {schema}", config.get_dbname().unwrap_or_default())
}

/// An identifier, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the database says; of the driver's errors the innermost.
fn failed(error: &tokio_postgres::Error) -> SourceError {
    if let Some(said) = error.as_db_error() {
        return SourceError::Postgres(said.message().to_owned());
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    SourceError::Postgres(innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_libpqs() {
        let rows = [
            ("postgres://u:p@127.0.0.1:5433/d", SslMode::Disable, None),
            ("postgres://u@localhost/d", SslMode::Disable, None),
            ("postgres://u@[::1]/d?sslmode=require", SslMode::Require, None),
            ("postgres://u@db.example/d", SslMode::Prefer, None),
            (
                "postgres://u@db.example/d?sslmode=verify-full&sslrootcert=%2Fca",
                SslMode::Require,
                Some("/ca"),
            ),
            ("postgres://u@db.example/d?sslmode=disable", SslMode::Disable, None),
        ];
        for (url, mode, root) in rows {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.config.get_ssl_mode(), mode, "{url}");
            assert_eq!(target.root_certificate.as_deref(), root.map(Path::new), "{url}");
        }
        let refused = Target::parse("postgres://u:secret@h/d?nonsense=1").err().unwrap();
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }

    #[test]
    fn a_place_has_no_password_and_a_schema_no_end() {
        let target = Target::parse("postgres://u:secret@db:5433/d").unwrap();
        assert_eq!(place(&target.config, "s"), "postgres://db:5433/d, s");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
