//! A bounded number of connections to the primary, each with its statements prepared.
//!
//! Waiting is bounded twice: how many may wait, and for how long. While the primary is away the pool
//! goes on looking for it for as long as a call may wait, so that a short fail-over is a slow answer.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::options::{ConnectError, Dialect, PostgresObserver, PostgresOptions};
use super::primary::Cluster;
use super::session::{Held, Session, describe};
use super::statements::Statements;
use super::topology::Topology;
use super::watch::Watch;
use crate::{Clock, Epoch, Health, MetaError, SystemClock};

/// A call waits this long for a connection, fail-over included.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Calls that may wait for a connection.
const WAITERS_MAX: usize = 4096;
/// Pause after a failed attempt, doubled up to [`PAUSE_MAX`], with jitter.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(800);
/// How long closing waits for answers that are still under way.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections to whoever is the primary.
pub(super) struct Pool {
    cluster: Arc<Cluster>,
    connections: managed::Pool<Maker>,
    waiters: AtomicUsize,
    observer: Arc<dyn PostgresObserver>,
    topology_at_start: Arc<Topology>,
    /// None once closed.
    watch: Mutex<Option<Watch>>,
}

/// A connection that goes back to the pool when it is dropped.
pub(super) struct Pooled(Object<Maker>);

/// A connection to the primary with its statements.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Timeline of the primary; 0 where there is none.
    pub(super) timeline: u32,
    /// The incarnation of the database that it was made with.
    pub(super) epoch: Epoch,
    /// Set by any warning of the server: the commit it came with may be on the primary alone.
    pub(super) wait_cancelled: Arc<AtomicBool>,
    _held: Held,
}

/// A connection to the primary without statements, for setting up the schema.
pub(super) struct Bare {
    pub(super) client: Client,
    _held: Held,
}

impl Pool {
    /// Finds the primary, checks that what it acknowledges is safe, and starts to watch it. Prepares
    /// nothing: the schema may not be there yet.
    ///
    /// # Errors
    ///
    /// As [`ConnectError`] says; [`ConnectError::UnsafeReplication`] unless the options accept it.
    pub(super) async fn connect(
        options: &PostgresOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let (cluster, topology_at_start) = locate(options, clock).await?;
        let maker = Maker { cluster: Arc::clone(&cluster) };
        let connections = managed::Pool::builder(maker)
            .max_size(options.connections_max.max(1))
            .build()
            .map_err(|error| ConnectError::Refused(error.to_string()))?;
        Ok(Self {
            watch: Mutex::new(Some(Watch::start(Arc::clone(&cluster)))),
            cluster,
            connections,
            waiters: AtomicUsize::new(0),
            observer: Arc::clone(&options.observer),
            topology_at_start,
        })
    }

    /// A connection of its own, without statements.
    pub(super) async fn bare(&self) -> Result<Bare, ConnectError> {
        let (Session { client, held, .. }, _) = self.cluster.connect().await?;
        Ok(Bare { client, _held: held })
    }

    /// A connection to the primary, of the epoch that is the present one at some moment within this call.
    ///
    /// Epochs only grow, and all loads and stores of theirs have one order. So of connections that were
    /// handed out one after another, none has an earlier epoch than one before it, and none an earlier one
    /// than [`Pool::epoch`] answered before.
    ///
    /// # Errors
    ///
    /// [`MetaError::Unavailable`] when there is no usable primary in time, or replication has become
    /// unsafe, or the pool is closed; [`MetaError::Overloaded`] when too many wait.
    pub(super) async fn get(&self) -> Result<Pooled, MetaError> {
        if let Some(refusal) = self.cluster.refusal() {
            return Err(MetaError::Unavailable(refusal));
        }
        let _waiter = Waiter::enter(&self.waiters)?;
        let began = self.cluster.clock.monotonic();
        let mut last = None;
        let got = timeout(WAIT_MAX, self.search(&mut last)).await;
        self.observer.waited(self.cluster.clock.monotonic().saturating_sub(began));
        let why = match got {
            Ok(result) => return result,
            Err(_) => last.map_or_else(
                || "every connection to the database is busy".to_owned(),
                |error: ConnectError| error.to_string(),
            ),
        };
        Err(MetaError::Unavailable(why))
    }

    /// The present epoch.
    pub(super) fn epoch(&self) -> Epoch {
        self.cluster.epoch()
    }

    /// What the database was when it was last asked.
    pub(super) fn topology(&self) -> Topology {
        Topology::clone(&self.topology_now())
    }

    /// What can be done now.
    pub(super) fn health(&self) -> Health {
        if self.connections.is_closed() {
            return Health::Unavailable("the store is closed".into());
        }
        self.cluster.health()
    }

    /// Whether commits wait for a standby, so that a barrier proves that this primary still is one.
    pub(super) fn uses_barrier(&self) -> bool {
        self.topology_now().waits_for_standby
    }

    /// Which statements the connections have prepared.
    pub(super) fn dialect(&self) -> Dialect {
        self.topology_at_start.dialect
    }

    /// Gives out no more connections, stops the watch, and waits a while for answers under way.
    pub(super) async fn close(&self) {
        self.connections.close();
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watch) = watch {
            watch.stop().await;
        }
        if timeout(CLOSE_WAIT_MAX, self.cluster.drain()).await.is_err() {
            tracing::warn!("connections to the database still wait for answers");
        }
    }

    fn topology_now(&self) -> Arc<Topology> {
        let now = self.cluster.topology();
        now.unwrap_or_else(|| Arc::clone(&self.topology_at_start))
    }

    /// Tries until there is a connection, or an error that trying again does not cure.
    async fn search(&self, last: &mut Option<ConnectError>) -> Result<Pooled, MetaError> {
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.connections.get().await {
                Ok(object) if object.epoch == self.cluster.epoch() => return Ok(Pooled(object)),
                Ok(outdated) => {
                    drop(Object::take(outdated));
                    ConnectError::Unreachable("the primary changes too often".into())
                }
                Err(PoolError::Backend(error)) => error,
                Err(error) => return Err(MetaError::Unavailable(closed(&error))),
            };
            if error.is_permanent() {
                return Err(MetaError::Unavailable(error.to_string()));
            }
            if let Some(refusal) = self.cluster.refusal() {
                return Err(MetaError::Unavailable(refusal));
            }
            *last = Some(error);
            sleep(jittered(pause, self.cluster.clock.monotonic())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// What the database of `options` is and whether it is safe, for a check before a start; changes
/// nothing in it.
///
/// # Errors
///
/// As connecting to it.
pub async fn inspect(options: PostgresOptions) -> Result<Topology, ConnectError> {
    let (_, topology) = locate(&options, Arc::new(SystemClock::new())).await?;
    Ok(Topology::clone(&topology))
}

/// The hosts of `options` and what they are, if that is safe or accepted.
async fn locate(
    options: &PostgresOptions,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Cluster>, Arc<Topology>), ConnectError> {
    let cluster = Cluster::new(options.clone(), clock)?;
    cluster.connect().await?;
    let none = || ConnectError::Unreachable("nothing is known of the hosts".into());
    let topology = cluster.topology().ok_or_else(none)?;
    match &topology.danger {
        Some(danger) if !options.accept_unsafe_replication => {
            Err(ConnectError::UnsafeReplication(danger.clone()))
        }
        _ => Ok((Arc::new(cluster), topology)),
    }
}

impl Pooled {
    /// Closes the connection instead of giving it back: after an answer that was lost or late, and
    /// when the server takes no writes any more. What it still waits for is awaited in the background,
    /// for a bounded time and within a bounded number.
    pub(super) fn discard(self) {
        drop(Object::take(self.0));
    }
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// Makes the connections of the pool.
struct Maker {
    cluster: Arc<Cluster>,
}

impl Manager for Maker {
    type Type = Connection;
    type Error = ConnectError;

    async fn create(&self) -> Result<Connection, ConnectError> {
        let (session, epoch) = self.cluster.connect().await?;
        let Session { client, facts, wait_cancelled, held } = session;
        let dialect = self.cluster.connector.dialect(facts.database);
        let limit = self.cluster.connector.target.connect_timeout;
        let statements =
            match timeout(limit, Statements::prepare(&client, dialect, facts.database)).await {
                Ok(Ok(statements)) => statements,
                // It may have gone away in between; without the tables it stays so.
                Ok(Err(error)) if error.code().is_none() => {
                    return Err(ConnectError::Unreachable(describe(&error)));
                }
                Ok(Err(error)) => return Err(ConnectError::Refused(describe(&error))),
                Err(_) => return Err(ConnectError::Unreachable("no answer in time".into())),
            };
        let timeline = facts.timeline;
        Ok(Connection { client, statements, timeline, epoch, wait_cancelled, _held: held })
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _metrics: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        if connection.epoch != self.cluster.epoch() {
            return Err(RecycleError::message("another primary was adopted"));
        }
        if connection.wait_cancelled.load(Ordering::SeqCst) {
            return Err(RecycleError::message("the server warned"));
        }
        Ok(())
    }
}

/// Counts as waiting while it lives.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enter(waiters: &'a AtomicUsize) -> Result<Self, MetaError> {
        let waiter = Self(waiters);
        if waiters.fetch_add(1, Ordering::SeqCst) >= WAITERS_MAX {
            return Err(MetaError::Overloaded);
        }
        Ok(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn closed(error: &PoolError<ConnectError>) -> String {
    match error {
        PoolError::Closed => "the store is closed".to_owned(),
        other => other.to_string(),
    }
}

/// Half of `pause` and a part of the other half, by the lowest digits of the clock: callers that
/// failed together do not come back together.
pub(super) fn jittered(pause: Duration, now: Duration) -> Duration {
    let parts = now.subsec_nanos() % 1024;
    pause / 2 + pause / 2 * parts / 1024
}
