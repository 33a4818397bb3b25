//! One server: opened, listening, running until it is told to stop, drained and closed.
//!
//! It can run in any process, a test's included; signals and printing are `serve`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidelock_blob::BlobStore;
use tidelock_meta::{Clock, MetaStore, SystemClock};
use tidelock_s3::{S3Config, S3Service};
use tidelock_store::{
    AuditTurn, BucketName, Entropy, Keyring, ObjectOwnership, ServesAlone, Store, StoreConfig,
    SystemEntropy,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::Api;
use crate::backend_block::{Backend, EndpointKind};
use crate::background;
use crate::bootstrap;
use crate::config::Config;
use crate::console::ConsolePages;
use crate::credentials::{self, KeyPair, Root};
use crate::dispatch::{Connections, Dispatch};
use crate::engine::{Close, Engines, Ownership};
use crate::error::ServeError;
use crate::failpoint;
use crate::forwarded::Proxies;
use crate::listener::{self, Listening};
use crate::metrics::Metrics;
use crate::oidc::Providers;
use crate::room::Room;
use crate::short_day;
use crate::status::Status;
use crate::tfhttp::TfHttp;
use crate::tls::Certificate;
use crate::webhooks::{self, Sender};

/// Requests in work get this long to end once the server drains; supervisors kill after 30 s.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// Connections that the system holds until they are accepted; as many as Tokio and Rust take.
const BACKLOG_CONNECTIONS: u32 = 1024;

/// A server that listens; requests wait until it [runs](Server::run).
pub struct Server {
    config: Config,
    listener: TcpListener,
    local_addr: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    hangup: Signal,
    dispatch: Arc<Dispatch>,
    store: Arc<Store>,
    sender: Arc<Sender>,
    root: Root,
    ownership: Ownership,
    close: Close,
}

/// What a server has before it opens anything: the address, taken but not yet listened on, so that
/// nobody connects to a server that may not start, and the certificate.
struct Ground {
    socket: TcpSocket,
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    /// SIGHUP, which would otherwise end a process that is still starting.
    hangup: Signal,
}

impl Ground {
    fn take(config: &Config) -> Result<Self, ServeError> {
        let hangup = signal(SignalKind::hangup())?;
        let certificate = config.tls.clone().map(Certificate::load).transpose()?;
        let address = config.listen;
        let taken = || {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A port whose last connections still linger may be taken again, as everywhere.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        let socket = taken().map_err(|source| ServeError::Listen { address, source })?;
        Ok(Self { socket, address, certificate, hangup })
    }
}

/// What a server takes instead of reaching for it.
pub struct Surroundings {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Surroundings {
    /// The machine's own clock and randomness, and counters at zero.
    pub fn of_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy::new()),
            metrics: Arc::new(Metrics::new()),
        }
    }
}

impl Server {
    /// Opens the engines of `config`, generates what a first start needs, and takes the address.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way. What is wrong with the settings, the certificate or
    /// the address is found before anything is made.
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        let around = Surroundings::of_machine();
        let ground = Ground::take(&config)?;
        let (clock, entropy) = (around.clock.clone(), around.entropy.clone());
        let engines = Engines::open(&config, clock, entropy, around.metrics.clone()).await?;
        Self::assemble(config, around, engines, ground).await
    }

    /// The same over engines of the caller's choice; the data directory only keeps credentials.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind_over(
        config: Config,
        around: Surroundings,
        engines: Engines,
    ) -> Result<Self, ServeError> {
        let ground = Ground::take(&config)?;
        Self::assemble(config, around, engines, ground).await
    }

    async fn assemble(
        config: Config,
        around: Surroundings,
        engines: Engines,
        ground: Ground,
    ) -> Result<Self, ServeError> {
        let Engines { meta, blobs, keyring, ownership, close } = engines;
        let home = credentials::Home {
            data: &config.data,
            shared: match ownership {
                Ownership::Sole => None,
                Ownership::Shared => Some((&*meta, &keyring)),
            },
        };
        let root = match credentials::root(config.root.clone(), home, &*around.entropy).await {
            Ok(root) => root,
            Err(error) => {
                close().await;
                return Err(error);
            }
        };
        let store = Arc::new(open_store(&config, &root, &around, meta.clone(), (blobs, keyring)));
        let sender = Arc::new(Sender::new(around.clock.clone()));
        let address = ground.address;
        let listen = |source| ServeError::Listen { address, source };
        let listener = ground.socket.listen(BACKLOG_CONNECTIONS).map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        let endpoint = endpoint_for_clients(&config, local_addr);
        let root_key = root.credentials.access_key.as_str();
        let of_store = (&store, endpoint);
        let certificate = ground.certificate.clone();
        let status = Status::new(&config, (meta.clone(), store.clone()), &around, certificate);
        let dispatch = open_dispatch(&config, of_store, root_key, &around, (meta, status), &sender);
        let dispatch = Arc::new(dispatch);
        Ok(Self {
            config,
            listener,
            local_addr,
            certificate: ground.certificate,
            hangup: ground.hangup,
            dispatch,
            store,
            sender,
            root,
            ownership,
            close,
        })
    }

    /// The address it listens on, with the port that the system gave for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Root's key pair, and where it was stored if this start generated it.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Where it listens, as a URL: `http://127.0.0.1:9000`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.config.scheme(), self.local_addr)
    }

    /// Makes `bucket` ready for Terraform, if it is not, with a user and key pair of its own.
    ///
    /// # Errors
    /// [`ServeError::Bootstrap`] when the bucket is another user's, or the store fails.
    pub async fn bootstrap(&self, bucket: &BucketName) -> Result<(Backend, KeyPair), ServeError> {
        let pair =
            bootstrap::bootstrap(&self.store, bucket, self.ownership, &self.config.data).await?;
        let backend = Backend {
            bucket: bucket.as_str().to_owned(),
            ..backend(&self.config, endpoint_for_clients(&self.config, self.local_addr))
        };
        Ok((backend, pair))
    }

    /// Serves until `shutdown` is done; then takes nothing new, lets requests end for up to 25 s,
    /// and closes the store.
    ///
    /// # Errors
    /// The system refused something a server cannot be without. The store is closed even then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (drain, draining) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let (metrics, store) = (self.dispatch.metrics.clone(), self.store.clone());
        match self.ownership {
            Ownership::Sole => tasks.spawn(background::sweep(store, draining.clone())),
            Ownership::Shared => {
                tasks.spawn(background::announce(store.clone(), draining.clone()));
                let metrics = metrics.clone();
                tasks.spawn(background::sweep_in_turn(store, metrics, draining.clone()))
            }
        };
        let counted = self.dispatch.metrics.clone();
        let clock = self.dispatch.clock.clone();
        let watched = background::watch_locks(self.store.clone(), counted, clock, draining.clone());
        tasks.spawn(watched);
        tasks.spawn(background::flush_audit(self.store.clone(), draining.clone()));
        tasks.spawn(background::flush_key_uses(self.store.clone(), draining.clone()));
        let (store, kept) = (self.store.clone(), metrics.clone());
        let turn = match self.ownership {
            Ownership::Sole => AuditTurn::alone(ServesAlone),
            Ownership::Shared => AuditTurn::default(),
        };
        tasks.spawn(background::keep_audit(store, kept, turn, draining.clone()));
        let (store, clock) = (self.store.clone(), self.dispatch.clock.clone());
        tasks.spawn(webhooks::deliver(store, self.sender, clock, turn, draining.clone()));
        let tls = match &self.certificate {
            Some(certificate) => {
                let watched = certificate.clone();
                let hangup = self.hangup;
                tasks.spawn(background::watch_certificate(
                    watched,
                    metrics,
                    hangup,
                    draining.clone(),
                ));
                Some(TlsAcceptor::from(certificate.server_config()?))
            }
            None => {
                tasks.spawn(background::ignore_hangup(self.hangup, draining.clone()));
                None
            }
        };
        let (dispatch, limits) = (self.dispatch.clone(), self.config.limits);
        let listening = Listening { dispatch, tls, limits, draining };
        // Before the first connection is taken: whoever is answered at all is told "ready".
        self.dispatch.ready.store(true, Ordering::SeqCst);
        let accepting = tokio::spawn(listener::accept(self.listener, listening));

        shutdown.await;
        tracing::info!("draining");
        self.dispatch.ready.store(false, Ordering::SeqCst);
        drain.send_replace(true);
        let connections = accepting.await.map_err(std::io::Error::other)?;
        drain_connections(connections).await;
        while let Some(ended) = tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::error!(error = %error, "a background task had failed");
            }
        }
        write_what_waits(&self.store).await;
        if self.ownership == Ownership::Shared
            && let Err(error) = self.store.withdraw_server().await
        {
            tracing::warn!(error = %error, "the others will find out by themselves");
        }
        (self.close)().await;
        tracing::info!("closed");
        Ok(())
    }
}

/// How people's tools reach the store; the bucket is theirs to choose.
fn backend(config: &Config, endpoint: String) -> Backend {
    let (bucket, region) = (String::new(), config.region.clone());
    Backend { bucket, region, endpoint, kind: EndpointKind::Tidelock }
}

/// A URL that clients can use where the listening address is not one: the first domain stands
/// for "every address", and the certificate knows names, not addresses.
fn endpoint_for_clients(config: &Config, address: SocketAddr) -> String {
    let (port, scheme) = (address.port(), config.scheme());
    let unspecified = address.ip().is_unspecified();
    match config.domains.first() {
        Some(domain) if unspecified || config.tls.is_some() => {
            format!("{scheme}://{domain}:{port}")
        }
        _ if unspecified => format!("{scheme}://127.0.0.1:{port}"),
        _ => format!("{scheme}://{address}"),
    }
}

fn open_store(
    config: &Config,
    root: &Root,
    around: &Surroundings,
    meta: Arc<dyn MetaStore>,
    (blobs, keyring): (Arc<dyn BlobStore>, Keyring),
) -> Store {
    let (clock, entropy) = (around.clock.clone(), around.entropy.clone());
    let secret = zeroize::Zeroizing::new(root.credentials.secret_key.expose().to_owned());
    let defaults = StoreConfig::for_engine(&meta.limits());
    let settings = StoreConfig {
        // Whoever waits for a lock leaves room for whoever gives it back.
        lock_waits_max: defaults.lock_waits_max.min(config.limits.requests_max / 4),
        audit_retention: config.audit.retention,
        audit_bytes_max: config.audit.bytes_max,
        lifecycle_day: short_day::from_environment().unwrap_or(defaults.lifecycle_day),
        failpoint: failpoint::from_environment(),
        ..defaults
    };
    Store::new(meta, blobs, keyring, clock, entropy, settings)
        .with_root(&root.credentials.access_key, secret)
}

fn open_dispatch(
    config: &Config,
    (store, endpoint): (&Arc<Store>, String),
    root_access_key: &str,
    around: &Surroundings,
    (meta, status): (Arc<dyn MetaStore>, Status),
    sender: &Arc<Sender>,
) -> Dispatch {
    let s3_config = S3Config {
        region: config.region.clone(),
        domains: config.domains.clone(),
        strict_aws_conditions: config.strict_aws_conditions,
        object_ownership: match config.enable_acls {
            true => ObjectOwnership::ObjectWriter,
            false => ObjectOwnership::BucketOwnerEnforced,
        },
        allow_signature_v2: config.allow_signature_v2,
        body_idle_timeout: config.limits.body_timeout,
    };
    let providers = Providers::new(&config.token_issuers(), around.clock.clone());
    let s3 = S3Service::new(store.clone(), around.clock.clone(), s3_config)
        .with_identities(Arc::new(providers));
    Dispatch {
        api: Api::new(
            store.clone(),
            (s3.authenticator(), s3.authorizer()),
            sender.clone(),
            status,
            config.limits.body_timeout,
        ),
        tfhttp: TfHttp::new(
            store.clone(),
            (s3.authenticator(), s3.authorizer()),
            config.limits.body_timeout,
        ),
        console: ConsolePages::new(
            backend(config, endpoint),
            config.console_oidc.clone(),
            store.clone(),
            (around.clock.clone(), around.entropy.clone()),
            config.limits.body_timeout,
        ),
        s3,
        store: store.clone(),
        clock: around.clock.clone(),
        metrics: around.metrics.clone(),
        metrics_token: config.metrics_token.clone(),
        domains: config.domains.clone(),
        room: Room::new(&config.limits, root_access_key),
        proxies: Proxies::new(config.trusted_proxies.clone()),
        ready: AtomicBool::new(false),
        connections: Connections::new(&*around.entropy),
        meta,
    }
}

/// Writes what a server keeps in memory while it runs.
async fn write_what_waits(store: &Store) {
    if let Err(error) = store.flush_key_uses().await {
        tracing::warn!(error = %error, "the last uses of access keys are lost");
    }
    if let Err(error) = store.flush_audit().await {
        tracing::error!(error = %error, "the last entries of the audit log are lost");
    }
}

async fn drain_connections(mut connections: JoinSet<()>) {
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests are cut off");
        connections.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
