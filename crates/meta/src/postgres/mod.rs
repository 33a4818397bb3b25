//! PostgreSQL behind the storage boundary: any number of servers on one database with a synchronous
//! standby. What speaks PostgreSQL's protocol and is consistent by itself is spoken to in plain SQL.
//!
//! ```text
//!            commit.rs | portable.rs     read.rs, grouped.rs     barrier.rs
//!                    \_________ statements.rs, schema.rs _________/
//!   failure.rs (what an error means)          lease.rs (a connection in use)
//!        pool.rs -> primary.rs, watch.rs (who is it) -> session.rs, tls.rs -> url.rs, options.rs
//!                         topology.rs, standby_names.rs (is that safe)
//! ```
//!
//! - Everything is read from and written to the primary. Standbys lag, whatever they promise.
//! - A read at [`ReadLevel::Latest`] is followed by a barrier, see `barrier.rs`, and done again when the
//!   barrier went to another primary than the read.
//! - A commit is one exchange, see `commit.rs`. When its answer is lost, or comes with a warning that the
//!   standby was not waited for, the outcome is [`MetaError::Unknown`].
//! - Every call ends in time, and a connection whose call did not is closed.
//!
//! Refuses to know what the rows mean.

mod barrier;
mod commit;
mod failure;
mod grouped;
mod lease;
mod options;
mod pool;
mod portable;
mod primary;
mod read;
mod schema;
mod session;
mod standby_names;
mod statements;
mod tls;
mod topology;
mod url;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;

use crate::grouped::scan_grouped_by_skipping;
use crate::{
    Batch, Clock, Direction, Epoch, Expect, Group, Health, Key, KeyRange, Limits, MetaError,
    MetaStore, Outcome, ReadLevel, Versioned, contract,
};
use barrier::Barrier;
use commit::{Shape, Verdict};
use failure::Failure;
use grouped::Cut;
use lease::Lease;
use pool::Pool;
use read::Query;
use statements::DialectStatements;

pub use options::{
    ConnectError, Dialect, PostgresObserver, PostgresOptions, RoundTrip, UnobservedPostgres,
};
pub use pool::inspect;
pub use topology::{Database, Topology};
pub use url::InvalidPostgresUrl;

/// Longest wait for the answer to a read; longer than the server's own limit of one statement.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait for the answer to a commit, its wait for the standby included: the server does not limit
/// that.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a read is sent: connections may be broken, and primaries may change.
const READ_ATTEMPTS_MAX: u32 = 4;
/// How often a commit is sent that left nothing behind. At SERIALIZABLE, commits of different keys
/// get in each other's way.
const COMMIT_ATTEMPTS_MAX: u32 = 60;
/// No commit is sent again when this has passed since it was asked for.
const COMMIT_RETRIES_TIMEOUT: Duration = Duration::from_secs(15);
/// Pauses between attempts are drawn from a window that doubles from the first to the last of these.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// A [`MetaStore`] on PostgreSQL.
pub struct PostgresStore {
    pool: Arc<Pool>,
    barrier: Barrier,
    observer: Arc<dyn PostgresObserver>,
    clock: Arc<dyn Clock>,
}

impl PostgresStore {
    /// Finds the primary, checks that acknowledged writes are safe there, brings the schema up to date and
    /// begins to watch.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says what is wrong and, where a setting is, which.
    pub async fn connect(
        options: PostgresOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let pool = Arc::new(Pool::connect(&options, Arc::clone(&clock)).await?);
        if let Err(error) = migrate(&pool, options.schema()).await {
            pool.close().await;
            return Err(error);
        }
        Ok(Self::over(pool, options.observer, clock))
    }

    /// As [`PostgresStore::connect`], for a store that is there already; none if there is no schema for
    /// it. Changes nothing in the database.
    ///
    /// # Errors
    ///
    /// As connecting to it; [`ConnectError::Refused`] also when the schema has an earlier version.
    pub async fn open_existing(
        options: PostgresOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, ConnectError> {
        let pool = Arc::new(Pool::connect(&options, Arc::clone(&clock)).await?);
        match is_there(&pool, options.schema()).await {
            Ok(true) => Ok(Some(Self::over(pool, options.observer, clock))),
            missing => {
                pool.close().await;
                missing.map(|_| None)
            }
        }
    }

    fn over(pool: Arc<Pool>, observer: Arc<dyn PostgresObserver>, clock: Arc<dyn Clock>) -> Self {
        let barrier = Barrier::start(Arc::clone(&pool), Arc::clone(&observer));
        Self { pool, barrier, observer, clock }
    }

    /// What the database was when it was last asked.
    pub fn topology(&self) -> Topology {
        self.pool.topology()
    }

    /// Answers no more calls, and waits a while for those under way.
    pub async fn close(&self) {
        self.barrier.stop();
        self.pool.close().await;
    }

    /// Asks until there is an answer that is as fresh as `level` wants.
    async fn read(&self, query: Query<'_>, level: ReadLevel) -> Result<Vec<Row>, MetaError> {
        let mut lost = "the primary changes too often".to_owned();
        for _ in 0..READ_ATTEMPTS_MAX {
            let lease = Lease::take(&self.pool).await?;
            let epoch = lease.epoch;
            self.observer.round_trip(query.round_trip());
            let rows = match timeout(READ_TIMEOUT, query.run(&lease)).await {
                Err(_) => return Err(MetaError::Unavailable("no answer in time".to_owned())),
                Ok(Ok(rows)) => rows,
                Ok(Err(error)) => match Failure::of(&error) {
                    Failure::Refused(error) => return Err(error),
                    Failure::Retry(why) | Failure::LostBefore(why) | Failure::Lost(why) => {
                        lost = why;
                        continue;
                    }
                    Failure::Duplicate => continue,
                },
            };
            lease.give_back();
            let needs_proof = level == ReadLevel::Latest && self.pool.uses_barrier();
            if !needs_proof || self.barrier.pass().await? == epoch {
                return Ok(rows);
            }
        }
        Err(MetaError::Unavailable(lost))
    }

    /// Sends a commit once. A connection that is of use afterwards is back in the pool.
    async fn attempt(&self, batch: &Batch) -> Result<Verdict, Failure> {
        let lease = Lease::take(&self.pool).await.map_err(Failure::Refused)?;
        self.observer.round_trip(RoundTrip::Commit);
        let committed = async {
            match &lease.statements.dialect {
                DialectStatements::Postgres(statements) => {
                    Shape::of(batch).commit(&lease, statements).await
                }
                DialectStatements::Portable(statements) => {
                    portable::commit(&lease, statements, batch).await
                }
            }
        };
        let Ok(verdict) = timeout(COMMIT_TIMEOUT, committed).await else {
            return Err(Failure::timed_out());
        };
        match verdict {
            // It is committed here and nobody knows where else.
            Ok(Verdict::Committed(_)) if lease.was_cancelled() => {
                return Err(Failure::Lost("the wait for the standby was cancelled".to_owned()));
            }
            Ok(_) | Err(Failure::Retry(_) | Failure::Duplicate) => lease.give_back(),
            Err(Failure::Refused(_) | Failure::LostBefore(_) | Failure::Lost(_)) => {}
        }
        verdict
    }

    /// The first check of a batch that does not hold now.
    async fn first_broken_check(&self, batch: &Batch) -> Result<Option<usize>, MetaError> {
        let keys: Vec<Key> = batch.checks.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.get(&keys, ReadLevel::Recent).await?;
        let expected = batch.checks.iter().map(|(_, expect)| *expect);
        Ok(expected.zip(rows).position(|(expect, row)| !holds(expect, row.as_ref())))
    }

    /// Lets others go first for a moment; moments differ by batch.
    async fn pause(&self, batch: &Batch, attempt: u32) {
        self.observer.retried();
        let window = PAUSE_MAX.min(PAUSE_MIN * 2_u32.saturating_pow(attempt));
        let draw = batch
            .op_id
            .0
            .iter()
            .fold(attempt, |draw, byte| draw.wrapping_mul(16_777_619) ^ u32::from(*byte));
        sleep(window * (draw % 1024) / 1024).await;
    }
}

#[async_trait]
impl MetaStore for PostgresStore {
    fn limits(&self) -> Limits {
        Limits::COMMON
    }

    fn health(&self) -> Health {
        self.pool.health()
    }

    fn replication(&self) -> Option<String> {
        Some(self.topology().to_string())
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read(Query::Get(keys), level).await?;
        read::in_order(keys, &rows).map_err(unreadable)
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        if limit == 0 || range.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read(Query::Scan(&range, rows_max(limit), direction), level).await?;
        rows.iter().map(read::keyed).collect::<Result<_, _>>().map_err(unreadable)
    }

    async fn scan_grouped(
        &self,
        range: KeyRange,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
        level: ReadLevel,
    ) -> Result<Vec<Group>, MetaError> {
        let cut = match (self.pool.dialect(), Cut::of(skip, delimiter)) {
            (Dialect::Postgres, Some(cut)) if limit > 0 && !range.is_empty() => cut,
            _ => {
                return scan_grouped_by_skipping(self, range, skip, delimiter, limit, level).await;
            }
        };
        let rows = self.read(Query::Grouped(&range, rows_max(limit), &cut), level).await?;
        rows.iter().map(|row| cut.group(row)).collect::<Result<_, _>>().map_err(unreadable)
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        contract::check(&batch, &self.limits())?;
        let began = self.clock.monotonic();
        let mut why = String::new();
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            if self.clock.monotonic().saturating_sub(began) > COMMIT_RETRIES_TIMEOUT {
                break;
            }
            match self.attempt(&batch).await {
                Ok(Verdict::Committed(version)) => return Ok(Outcome::Committed(version)),
                Ok(Verdict::Conflict(first)) => return Ok(Outcome::Conflict { first }),
                Ok(Verdict::ConflictSomewhere) | Err(Failure::Duplicate) => {
                    // If all hold now, what was in the way is gone again.
                    if let Some(first) = self.first_broken_check(&batch).await? {
                        return Ok(Outcome::Conflict { first });
                    }
                }
                Err(Failure::Retry(what) | Failure::LostBefore(what)) => why = what,
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(what)) => {
                    tracing::warn!(why = %what, "the outcome of a commit is not known");
                    return Err(MetaError::Unknown);
                }
            }
            self.pause(&batch, attempt).await;
        }
        tracing::warn!(%why, "a commit was given up, nothing was written");
        Err(MetaError::Overloaded)
    }

    fn epoch(&self) -> Epoch {
        self.pool.epoch()
    }

    /// A read began after `since` was taken and ended before the barrier is sent, so the epoch of its
    /// connection is between `since` and that of the barrier's, see `pool.rs`.
    async fn confirm(&self, since: Epoch) -> Result<(), MetaError> {
        let proved = match self.pool.uses_barrier() {
            true => self.barrier.pass().await?,
            false => self.pool.epoch(),
        };
        if proved == since {
            return Ok(());
        }
        Err(MetaError::Unavailable("the primary has changed: read again".to_owned()))
    }
}

async fn migrate(pool: &Pool, schema: &str) -> Result<(), ConnectError> {
    let bare = pool.bare().await?;
    schema::migrate(&bare.client, schema, pool.dialect()).await
}

async fn is_there(pool: &Pool, schema: &str) -> Result<bool, ConnectError> {
    let bare = pool.bare().await?;
    schema::is_there(&bare.client, schema).await
}

fn holds(expect: Expect, row: Option<&Versioned>) -> bool {
    match expect {
        Expect::Absent => row.is_none(),
        Expect::At(version) => row.is_some_and(|row| row.version == version),
    }
}

/// A `LIMIT` of PostgreSQL.
fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Columns that are not of the type they were declared as.
fn unreadable(error: tokio_postgres::Error) -> MetaError {
    MetaError::Corrupt(error.to_string())
}
