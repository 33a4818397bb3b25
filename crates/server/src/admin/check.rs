//! `tidelock admin config check`: what a start would find, looked at without starting and without
//! changing anything.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tidelock_meta::SystemClock;
use tidelock_meta::postgres::{Topology, inspect};
use tidelock_store::{Keyring, SealingError, read_sealing};

use crate::config::{BlobLocation, Config, MetaLocation, PostgresUrl};
use crate::credentials::{self, ROOT_FILE};
use crate::engine::{
    DataDirectory, Rows, find_shared_rows, open_remote_bodies, postgres_options, read_keyring,
};
use crate::error::ServeError;
use crate::tls::Certificate;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: a setting, or what stands behind it.
    pub check: &'static str,
    /// How it was found.
    pub status: CheckStatus,
    /// What was found, and what to do about it.
    pub detail: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// A server starts, and may not be what was meant.
    Warn,
    /// No server starts.
    Fail,
}

impl CheckStatus {
    /// `ok`, `warn` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Looks at all that `config` names.
pub async fn check(config: &Config) -> Vec<Check> {
    let directory = DataDirectory::new(&config.data);
    let shared = match &config.meta {
        MetaLocation::Local | MetaLocation::Memory => None,
        MetaLocation::Postgres(url) => Some(find(url).await),
    };
    let checks = vec![
        check_tls(config),
        check_listen(config),
        check_data(config, &directory),
        check_meta(config, &directory, shared.as_ref()).await,
        check_blobs(config).await,
        check_keyring(config, &directory, shared.as_ref()).await,
        check_root(config),
    ];
    if let Some(Ok(Some(rows))) = shared {
        (rows.close)().await;
    }
    checks
}

/// The rows that servers share, or that there are none yet.
type Shared = Result<Option<Rows>, ServeError>;

async fn find(url: &PostgresUrl) -> Shared {
    // To see all there is to see; whether it is accepted is judged with the topology.
    find_shared_rows(url, true, Arc::new(SystemClock::new())).await
}

fn check_tls(config: &Config) -> Check {
    let Some(files) = config.tls.clone() else {
        return match config.listen.ip().is_loopback() {
            true => ok("tls", "none, and only this machine reaches the listener"),
            false => warn("tls", "none: anybody on the way can read states"),
        };
    };
    let shown = files.cert.display().to_string();
    match Certificate::load(files) {
        Ok(_) => ok("tls", format!("{shown} and its key load")),
        Err(error) => fail("tls", error),
    }
}

fn check_listen(config: &Config) -> Check {
    match TcpListener::bind(config.listen) {
        Ok(_) => ok("listen", config.listen),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            warn("listen", format!("{} is in use, by the running server perhaps", config.listen))
        }
        Err(error) => fail("listen", format!("{}: {error}", config.listen)),
    }
}

fn check_data(config: &Config, directory: &DataDirectory) -> Check {
    let path = config.data.display();
    if !config.data.exists() {
        return ok("data", format!("{path} is not there; a start makes it"));
    }
    if !config.data.is_dir() {
        return fail("data", format!("{path} is not a directory"));
    }
    match directory.is_locked() {
        Ok(true) => warn("data", format!("{path} is in use by a server")),
        Ok(false) => ok("data", path),
        Err(error) => fail("data", error),
    }
}

async fn check_meta(config: &Config, directory: &DataDirectory, shared: Option<&Shared>) -> Check {
    match &config.meta {
        MetaLocation::Local if directory.meta().exists() => ok("meta", "local"),
        MetaLocation::Local => ok("meta", "local, not made yet"),
        MetaLocation::Memory => warn("meta", "memory: all data is gone when the server ends"),
        MetaLocation::Postgres(url) => {
            let topology = match topology(url).await {
                Ok(topology) => topology,
                Err(error) => return fail("meta", format!("{url}: {error}")),
            };
            let store = match shared {
                Some(Err(error)) => return fail("meta", format!("{url}: {error}")),
                Some(Ok(None)) => "; no store is there yet, a start makes it",
                Some(Ok(Some(_))) | None => "",
            };
            match (&topology.danger, config.accept_unsafe_replication) {
                (None, _) => ok("meta", format!("{topology}{store}")),
                (Some(_), true) => warn("meta", format!("{topology} (accepted){store}")),
                (Some(_), false) => fail(
                    "meta",
                    format!("{topology}; --accept-unsafe-replication serves all the same"),
                ),
            }
        }
    }
}

async fn topology(url: &PostgresUrl) -> Result<Topology, ServeError> {
    let mut options = postgres_options(url)?;
    // To see all there is to see; whether it is accepted is judged above.
    options.accept_unsafe_replication = true;
    Ok(inspect(options).await?)
}

async fn check_blobs(config: &Config) -> Check {
    let url = match &config.blobs {
        BlobLocation::Local => return ok("blobs", "local"),
        BlobLocation::Memory => return warn("blobs", "memory: gone when the server ends"),
        BlobLocation::Postgres => return ok("blobs", "postgres, beside the rows"),
        BlobLocation::ObjectStore(url) => url,
    };
    let directory = url.expose().strip_prefix("file://").map(Path::new);
    if directory.is_some_and(|directory| !directory.exists()) {
        return ok("blobs", format!("{url} is not there; a start makes it"));
    }
    let opened = match open_remote_bodies(url, &config.object_store_variables) {
        Ok(opened) => opened,
        Err(error) => return fail("blobs", error),
    };
    match opened.list(None, 1).await {
        Ok(_) => ok("blobs", format!("{url} answers")),
        Err(error) => fail("blobs", format!("{url}: {error}")),
    }
}

async fn check_keyring(
    config: &Config,
    directory: &DataDirectory,
    shared: Option<&Shared>,
) -> Check {
    let path = config.keyring.display();
    match (read_keyring(&config.keyring), &config.meta) {
        (_, MetaLocation::Memory) => ok("keyring", "none: what is sealed is gone with the server"),
        (Err(error), _) => fail("keyring", error),
        (Ok(keyring), MetaLocation::Postgres(_)) => {
            check_shared_keyring(&config.keyring, keyring, shared).await
        }
        (Ok(Some(_)), MetaLocation::Local) => ok("keyring", path),
        (Ok(None), MetaLocation::Local) if directory.meta().exists() => {
            fail("keyring", format!("{path} is missing, and there is data sealed with it"))
        }
        (Ok(None), MetaLocation::Local) => {
            ok("keyring", format!("{path} is not there; a start makes it"))
        }
    }
}

/// The keyring of a store that servers share, which must be the same for all of them.
async fn check_shared_keyring(
    path: &Path,
    keyring: Option<Keyring>,
    shared: Option<&Shared>,
) -> Check {
    let path = path.display();
    let copied = "copy the keyring here from a server that uses this store";
    let rows = match (shared, &keyring) {
        (Some(Ok(Some(rows))), _) => rows,
        (Some(Ok(None)), Some(_)) => return ok("keyring", format!("{path}; seals a new store")),
        (Some(Ok(None)), None) => {
            return ok("keyring", format!("{path} is not there; a start makes it"));
        }
        (Some(Err(_)) | None, Some(_)) => {
            return warn("keyring", format!("{path}; not compared with the store"));
        }
        (Some(Err(_)) | None, None) => {
            let made = "a start makes it if the store is empty, else it must be copied";
            return warn("keyring", format!("{path} is not there; {made}"));
        }
    };
    let Some(keyring) = keyring else {
        return match read_sealing(&*rows.meta).await {
            Ok(None) => ok("keyring", format!("{path} is not there; a start makes it")),
            Ok(Some(_)) => {
                fail("keyring", format!("{path} is missing, and the store is sealed; {copied}"))
            }
            Err(error) => fail("keyring", error),
        };
    };
    match tidelock_store::check_keyring(&*rows.meta, &keyring).await {
        Ok(()) => ok("keyring", format!("{path}, and it opens the store")),
        Err(SealingError::BeingCopied) => fail("keyring", SealingError::BeingCopied),
        Err(SealingError::Storage(error)) => fail("keyring", error),
        Err(SealingError::KeyMissing { name, uses: Some(uses) }) => {
            let needed =
                format!("lacks the key '{name}', which {uses} stored keys and secrets need");
            fail("keyring", format!("{path} {needed}; put its line back"))
        }
        Err(error @ (SealingError::KeyMissing { .. } | SealingError::KeyDiffers { .. })) => {
            fail("keyring", format!("{path}: {error}; {copied}"))
        }
    }
}

fn check_root(config: &Config) -> Check {
    if let Some(root) = &config.root {
        return ok("root", format!("{}, configured", root.access_key));
    }
    let path = config.data.join(ROOT_FILE);
    match credentials::read(&path) {
        Ok(Some(pair)) => ok("root", format!("{}, in {}", pair.access_key, path.display())),
        Ok(None) => ok("root", "made by the first start, or known to the store"),
        Err(error) => fail("root", error),
    }
}

fn ok(check: &'static str, detail: impl ToString) -> Check {
    Check { check, status: CheckStatus::Ok, detail: detail.to_string() }
}

fn warn(check: &'static str, detail: impl ToString) -> Check {
    Check { check, status: CheckStatus::Warn, detail: detail.to_string() }
}

fn fail(check: &'static str, detail: impl ToString) -> Check {
    Check { check, status: CheckStatus::Fail, detail: detail.to_string() }
}
