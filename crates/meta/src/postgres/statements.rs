//! The SQL, and its prepared form on one connection.
//!
//! Two dialects, see [`Dialect`]. The reads are the same in both but for grouping. Why the one-statement
//! commits are as they are: `commit.rs` and docs/decisions/0007. Refuses to know when which is run.

use futures_util::future::{try_join, try_join3, try_join5};
use tokio_postgres::{Client, Error, Statement};

use super::{Database, Dialect};

/// Beside what the session sets: a store that was just filled has no statistics, and a prepared statement
/// is planned once. Every statement here is right with the primary key's index and nested loops.
const PLANNER: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off";

const GET: &str = "SELECT k, version, v FROM kv WHERE k = ANY($1::bytea[])";

/// Ascending; then descending, each with an end and without. Start, limit, end.
const SCANS: [&str; 4] = [
    "SELECT k, version, v FROM kv WHERE k >= $1 AND k < $3 ORDER BY k LIMIT $2",
    "SELECT k, version, v FROM kv WHERE k >= $1 ORDER BY k LIMIT $2",
    "SELECT k, version, v FROM kv WHERE k >= $1 AND k < $3 ORDER BY k DESC LIMIT $2",
    "SELECT k, version, v FROM kv WHERE k >= $1 ORDER BY k DESC LIMIT $2",
];

/// A loose index scan: each step looks up the first row that is no longer in the group before it. Start,
/// limit, skip, delimiter, the delimiter's successor, end. `place` is where the delimiter begins in what
/// follows the skipped bytes, from 1; 0 if there is none.
fn grouped(end: &str) -> String {
    format!(
        "WITH RECURSIVE groups AS (
            (SELECT 1::bigint AS number, kv.k, kv.version, kv.v,
                position($4::bytea IN substring(kv.k FROM $3::int + 1)) AS place
             FROM kv WHERE kv.k >= $1 {end} ORDER BY kv.k LIMIT 1)
            UNION ALL
            SELECT g.number + 1, next.k, next.version, next.v,
                position($4::bytea IN substring(next.k FROM $3::int + 1))
            FROM groups g CROSS JOIN LATERAL (
                SELECT kv.k, kv.version, kv.v FROM kv
                WHERE kv.k >= CASE WHEN g.place = 0 THEN g.k || '\\x00'::bytea
                    ELSE substring(g.k FOR $3::int + g.place - 1) || $5::bytea END
                {end} ORDER BY kv.k LIMIT 1) next
            WHERE g.number < $2)
        SELECT k, version, v, place FROM groups ORDER BY number"
    )
}

/// Locks the rows that are checked but not written, and those under `$5` that exist: what is written
/// without a check still gets its version only when nobody else can write it any more.
const LOCKS: &str = "WITH shared AS MATERIALIZED (
        SELECT FROM kv WHERE k = $1 AND version = $2 FOR SHARE),
    found AS MATERIALIZED (SELECT FROM kv WHERE k = ANY($5::bytea[]) ORDER BY k FOR UPDATE)";

/// The rows that are put without a check: keys `$5`, values `$6`.
const REST: &str = "rest AS (
        INSERT INTO kv (k, version, v)
        SELECT u.k, done.version, u.v FROM done, unnest($5::bytea[], $6::bytea[]) AS u(k, v)
        ON CONFLICT (k) DO UPDATE SET version = excluded.version, v = excluded.v)";

/// A commit that writes nothing has locked rows all the same, and PostgreSQL would have that flushed and
/// acknowledged by the standby, while those in line for the same row wait. Nobody needs it durable: what
/// it saw is, since whoever wrote that kept the lock until it was.
const UNLESS_WRITTEN: &str = "THEN set_config('synchronous_commit', 'off', true) END";

/// One row expected absent (`$3`, its value `$4`), at most one checked but not written (`$1` at version
/// `$2`, or null), any number put. Answers the version, whether the shared check held, and whether the
/// absent row was seen.
fn fresh() -> String {
    format!(
        "{LOCKS}, ticket AS MATERIALIZED (
            SELECT $7::bigint | nextval('kv_version') AS version
            WHERE ($1::bytea IS NULL OR EXISTS (SELECT FROM shared))
                AND (SELECT count(*) FROM found) >= 0),
        done AS (
            INSERT INTO kv (k, version, v) SELECT $3, version, $4 FROM ticket
            ON CONFLICT (k) DO NOTHING RETURNING version),
        {REST}
        SELECT (SELECT version FROM done), EXISTS (SELECT FROM ticket),
            NOT EXISTS (SELECT FROM done) AND EXISTS (SELECT FROM kv WHERE k = $3),
            CASE WHEN NOT EXISTS (SELECT FROM done) {UNLESS_WRITTEN}"
    )
}

/// One row (`$3`) that is written at a version (`$8`) and at most one checked but not written; `change`
/// says what becomes of it. Answers the version and which of the two checks held.
fn rewritten(change: &str) -> String {
    format!(
        "{LOCKS}, owned AS MATERIALIZED (
            SELECT FROM kv WHERE k = $3 AND version = $8 FOR UPDATE),
        ticket AS MATERIALIZED (
            SELECT $7::bigint | nextval('kv_version') AS version
            WHERE ($1::bytea IS NULL OR EXISTS (SELECT FROM shared)) AND EXISTS (SELECT FROM owned)
                AND (SELECT count(*) FROM found) >= 0),
        done AS ({change} RETURNING ticket.version),
        {REST}
        SELECT (SELECT version FROM done), $1 IS NULL OR EXISTS (SELECT FROM shared),
            NOT EXISTS (SELECT FROM owned),
            CASE WHEN NOT EXISTS (SELECT FROM done) {UNLESS_WRITTEN}"
    )
}

const REWRITE: &str =
    "UPDATE kv SET version = ticket.version, v = $4::bytea FROM ticket WHERE kv.k = $3";
/// `$4` has no use here; it is named so that both have the same parameters.
const REMOVE: &str = "DELETE FROM kv USING ticket WHERE kv.k = $3 AND $4::bytea IS NULL";

/// Any batch. Checked but not written: keys, versions, indexes (1 to 3). To be locked: keys (4). Written at
/// a version: keys, versions, indexes (5 to 7). Expected absent: keys, values, indexes (8 to 10). Put
/// otherwise: keys, values (11, 12). Deleted at a version: keys (13). The base of the version (14).
///
/// Answers the version and the first check that did not hold, and tells [`DELETE_UNCHECKED`] which it was.
fn general() -> String {
    format!(
        "WITH shared AS MATERIALIZED (
            SELECT k, version FROM kv WHERE k = ANY($1::bytea[]) ORDER BY k FOR SHARE),
        owned AS MATERIALIZED (
            SELECT k, version FROM kv WHERE k = ANY($4::bytea[]) ORDER BY k FOR UPDATE),
        failed AS MATERIALIZED (
            SELECT c.n FROM unnest($1, $2::bigint[], $3::int[]) AS c(k, version, n)
            WHERE NOT EXISTS (SELECT FROM shared s WHERE s.k = c.k AND s.version = c.version)
            UNION ALL
            SELECT c.n FROM unnest($5::bytea[], $6::bigint[], $7::int[]) AS c(k, version, n)
            WHERE NOT EXISTS (SELECT FROM owned o WHERE o.k = c.k AND o.version = c.version)
            UNION ALL
            SELECT c.n FROM unnest($8::bytea[], $10::int[]) AS c(k, n)
            WHERE EXISTS (SELECT FROM kv WHERE kv.k = c.k)),
        ticket AS MATERIALIZED (
            SELECT $14::bigint | nextval('kv_version') AS version
            WHERE (SELECT min(n) FROM failed) IS NULL AND (SELECT count(*) FROM owned) >= 0),
        made AS (
            INSERT INTO kv (k, version, v)
            SELECT u.k, ticket.version, u.v FROM ticket, unnest($8, $9::bytea[]) AS u(k, v)),
        rest AS (
            INSERT INTO kv (k, version, v)
            SELECT u.k, ticket.version, u.v FROM ticket, unnest($11::bytea[], $12::bytea[]) AS u(k, v)
            ON CONFLICT (k) DO UPDATE SET version = excluded.version, v = excluded.v),
        gone AS (DELETE FROM kv USING ticket WHERE kv.k = ANY($13::bytea[]))
        SELECT (SELECT version FROM ticket), (SELECT min(n) FROM failed),
            set_config('tidelock.held', (SELECT count(*) FROM ticket)::text, true),
            CASE WHEN NOT EXISTS (SELECT FROM ticket) {UNLESS_WRITTEN}"
    )
}

/// Runs after [`general`] in its transaction, and only if that wrote.
const DELETE_UNCHECKED: &str =
    "DELETE FROM kv WHERE k = ANY($1::bytea[]) AND current_setting('tidelock.held') = '1'";

/// Its commit waits for the synchronous standby, and writes nothing else. Answers whom commits wait for:
/// nobody, while a fail-over rewrites the setting.
const BARRIER: &str = "SELECT current_setting('synchronous_standby_names'), \
    pg_logical_emit_message(true, 'tidelock', '')";

/// Prepared statements of one connection.
pub(super) struct Statements {
    pub(super) get: Statement,
    /// In the order of [`SCANS`].
    pub(super) scans: [Statement; 4],
    /// Of PostgreSQL, in both dialects; what replicates by consensus has none and needs none.
    pub(super) barrier: Option<Statement>,
    pub(super) dialect: DialectStatements,
}

/// What differs.
pub(super) enum DialectStatements {
    Postgres(Box<PostgresStatements>),
    Portable(Box<PortableStatements>),
}

/// Of [`Dialect::Postgres`].
pub(super) struct PostgresStatements {
    /// With an end, and without.
    pub(super) grouped: [Statement; 2],
    pub(super) fresh: Statement,
    pub(super) rewrite: Statement,
    pub(super) remove: Statement,
    pub(super) general: Statement,
    pub(super) delete_unchecked: Statement,
}

/// Of [`Dialect::Portable`].
pub(super) struct PortableStatements {
    pub(super) lock_shared: Statement,
    pub(super) lock_owned: Statement,
    pub(super) next_version: Statement,
    pub(super) insert: Statement,
    pub(super) put: Statement,
    pub(super) delete: Statement,
}

impl Statements {
    /// Prepares all of a dialect, and settles how PostgreSQL plans them. The schema must be there.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub(super) async fn prepare(
        client: &Client,
        dialect: Dialect,
        database: Database,
    ) -> Result<Self, Error> {
        let dialect = match dialect {
            Dialect::Postgres => {
                client.batch_execute(PLANNER).await?;
                DialectStatements::Postgres(Box::new(PostgresStatements::prepare(client).await?))
            }
            Dialect::Portable => {
                DialectStatements::Portable(Box::new(PortableStatements::prepare(client).await?))
            }
        };
        let (get, ascending, ascending_open, descending, descending_open) = try_join5(
            client.prepare(GET),
            client.prepare(SCANS[0]),
            client.prepare(SCANS[1]),
            client.prepare(SCANS[2]),
            client.prepare(SCANS[3]),
        )
        .await?;
        let scans = [ascending, ascending_open, descending, descending_open];
        let barrier = match database {
            Database::PostgreSql => Some(client.prepare(BARRIER).await?),
            Database::CockroachDb | Database::YugabyteDb => None,
        };
        Ok(Self { get, scans, barrier, dialect })
    }
}

impl PostgresStatements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        let (bounded, unbounded) = (grouped("AND kv.k < $6"), grouped(""));
        let grouped = try_join(client.prepare(&bounded), client.prepare(&unbounded)).await?;
        let (fresh, rewrite) = (fresh(), rewritten(REWRITE));
        let (remove, general) = (rewritten(REMOVE), general());
        let (fresh, rewrite, remove, general, delete_unchecked) = try_join5(
            client.prepare(&fresh),
            client.prepare(&rewrite),
            client.prepare(&remove),
            client.prepare(&general),
            client.prepare(DELETE_UNCHECKED),
        )
        .await?;
        Ok(Self { grouped: grouped.into(), fresh, rewrite, remove, general, delete_unchecked })
    }
}

impl PortableStatements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        let (lock_shared, lock_owned, next_version) = try_join3(
            client.prepare(
                "SELECT k, version FROM kv WHERE k = ANY($1::bytea[]) ORDER BY k FOR SHARE",
            ),
            client.prepare(
                "SELECT k, version FROM kv WHERE k = ANY($1::bytea[]) ORDER BY k FOR UPDATE",
            ),
            client.prepare("SELECT nextval('kv_version')"),
        )
        .await?;
        let (insert, put, delete) = try_join3(
            client.prepare("INSERT INTO kv (k, version, v) VALUES ($1, $2, $3)"),
            client.prepare(
                "INSERT INTO kv (k, version, v) VALUES ($1, $2, $3)
                 ON CONFLICT (k) DO UPDATE SET version = excluded.version, v = excluded.v",
            ),
            client.prepare("DELETE FROM kv WHERE k = $1"),
        )
        .await?;
        Ok(Self { lock_shared, lock_owned, next_version, insert, put, delete })
    }
}
