//! What a server tells its operators of itself: engine, disk, certificate, keys, and the last hour. Names and
//! numbers only; no key, no password of a URL.

use std::path::PathBuf;
use std::sync::Arc;

use tidelock_meta::local::{DiskSpace, FreeSpace as _, Space};
use tidelock_meta::{Clock, Health, MetaStore, UnixMillis};
use tidelock_store::{StorageError, Store};

use crate::certificate_facts::CertificateFacts;
use crate::config::{BlobLocation, Config, MetaLocation};
use crate::history::Minute;
use crate::metrics::Metrics;
use crate::server::Surroundings;
use crate::tls::Certificate;

/// Where the facts are found.
pub(crate) struct Status {
    engine: &'static str,
    bodies: &'static str,
    /// Where this server's disk is what fills up; none where the data is elsewhere.
    data: Option<PathBuf>,
    certificate: Option<Arc<Certificate>>,
    started_ms: UnixMillis,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    meta: Arc<dyn MetaStore>,
    store: Arc<Store>,
}

/// The facts of one moment.
pub(crate) struct Facts {
    pub(crate) started_ms: UnixMillis,
    pub(crate) now_ms: UnixMillis,
    pub(crate) health: Health,
    pub(crate) engine: &'static str,
    pub(crate) bodies: &'static str,
    pub(crate) replication: Option<String>,
    /// Servers that run on the store, this one included.
    pub(crate) servers: usize,
    pub(crate) disk: Option<Space>,
    pub(crate) certificate: Option<CertificateFacts>,
    pub(crate) requests_in_flight: i64,
    pub(crate) connections: i64,
    /// Names of the keyring's keys, that of the one that wraps first.
    pub(crate) keys: Vec<String>,
    pub(crate) minutes: Vec<Minute>,
}

impl Status {
    /// That of a server which starts now.
    pub(crate) fn new(
        config: &Config,
        (meta, store): (Arc<dyn MetaStore>, Arc<Store>),
        around: &Surroundings,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        let is_local = config.meta == MetaLocation::Local || config.blobs == BlobLocation::Local;
        Self {
            engine: match config.meta {
                MetaLocation::Local => "local",
                MetaLocation::Memory => "memory",
                MetaLocation::Postgres(_) => "postgres",
            },
            bodies: match config.blobs {
                BlobLocation::Local => "local",
                BlobLocation::Memory => "memory",
                BlobLocation::Postgres => "postgres",
                BlobLocation::ObjectStore(_) => "object store",
            },
            data: is_local.then(|| config.data.clone()),
            certificate,
            started_ms: around.clock.now(),
            clock: around.clock.clone(),
            metrics: around.metrics.clone(),
            meta,
            store,
        }
    }

    /// What there is to tell now.
    ///
    /// # Errors
    /// When the store does not say which servers it has.
    pub(crate) async fn facts(&self) -> Result<Facts, StorageError> {
        let now_ms = self.clock.now();
        // One that is alone does not announce itself.
        let servers = self.store.servers().await?.len().max(1);
        Ok(Facts {
            started_ms: self.started_ms,
            now_ms,
            health: self.meta.health(),
            engine: self.engine,
            bodies: self.bodies,
            replication: self.meta.replication(),
            servers,
            disk: self.data.as_deref().and_then(|data| DiskSpace.space(data).ok()),
            certificate: self.certificate.as_ref().and_then(|certificate| certificate.facts()),
            requests_in_flight: self.metrics.requests_in_flight.get(),
            connections: self.metrics.connections.get(),
            keys: self.store.keyring().names().map(str::to_owned).collect(),
            minutes: self.metrics.history.minutes(now_ms),
        })
    }
}
