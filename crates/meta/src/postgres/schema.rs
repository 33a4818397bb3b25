//! The tables: what each version of the schema added, and how a store gets there.
//!
//! | table | |
//! |---|---|
//! | `kv` | the rows of the store: key, version of the last write, value |
//! | `kv_version` | sequence: the number of the last commit, see `version_base` |
//! | `schema_version` | one row: how far the migrations have come |
//!
//! Refuses to know what the rows mean.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::session::describe;
use super::{ConnectError, Dialect};

/// Bits of a version that count commits; those above hold the timeline of the primary that counted.
const COMMIT_NUMBER_BITS: u32 = 43;
/// How often a start tries again that met another one's.
const ATTEMPTS_MAX: usize = 20;
/// Any number, the same for all: one migration at a time in a database.
const ADVISORY_LOCK: i64 = 0x7469_6465_6C6F_636B;

/// Statements that lead from one version of the schema to the next; only ever appended to. Each leaves
/// alone what is there already, so that a database without transactions for such statements can go
/// through them again.
const MIGRATIONS: &[Migration] = &[Migration {
    all: &[
        "CREATE TABLE IF NOT EXISTS kv (k bytea PRIMARY KEY, version bigint NOT NULL, v bytea NOT NULL)",
        "CREATE SEQUENCE IF NOT EXISTS kv_version",
    ],
    // Values are mostly sealed and do not compress. Heads are rewritten often: room beside them keeps
    // the index as it is. Bodies come and go: their space is wanted back soon.
    postgres: &[
        "ALTER TABLE kv ALTER COLUMN v SET STORAGE EXTERNAL",
        "ALTER TABLE kv SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, \
         autovacuum_analyze_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.02)",
        "ALTER SEQUENCE kv_version MAXVALUE 8796093022207",
    ],
}];

struct Migration {
    all: &'static [&'static str],
    /// Only where the dialect is PostgreSQL's.
    postgres: &'static [&'static str],
}

/// What is added to the number of a commit to make its version: numbers that a primary handed out
/// shortly before it was replaced, and that its successor hands out again, are other versions.
pub(super) fn version_base(timeline: u32) -> i64 {
    i64::from(timeline) << COMMIT_NUMBER_BITS
}

/// Brings the schema named `schema` to the version that this program knows, from nothing if need be. Any
/// number of servers may do so at once.
///
/// # Errors
///
/// [`ConnectError::SchemaTooNew`]; [`ConnectError::Refused`] with what the database answered.
pub(super) async fn migrate(
    client: &Client,
    schema: &str,
    dialect: Dialect,
) -> Result<(), ConnectError> {
    let known = MIGRATIONS.len() as i64;
    for attempt in 1.. {
        match version(client, schema).await.map_err(|error| refused(&error))? {
            found if found > known => return Err(ConnectError::SchemaTooNew { found, known }),
            found if found == known => return Ok(()),
            _ => {}
        }
        match advance(client, schema, dialect).await {
            Err(error) if is_race(&error) && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(refused(&error)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether the schema is there, in the version that this program knows. Changes nothing.
///
/// # Errors
///
/// [`ConnectError::SchemaTooNew`]; [`ConnectError::Refused`] for an earlier version, and with what the
/// database answered.
pub(super) async fn is_there(client: &Client, schema: &str) -> Result<bool, ConnectError> {
    let known = MIGRATIONS.len() as i64;
    match version(client, schema).await.map_err(|error| refused(&error))? {
        0 => Ok(false),
        found if found == known => Ok(true),
        found if found > known => Err(ConnectError::SchemaTooNew { found, known }),
        found => Err(ConnectError::Refused(format!(
            "the schema has version {found}; a server of this Tidelock brings it to {known}"
        ))),
    }
}

/// The version of the schema; 0 if there is none.
///
/// # Errors
///
/// What the database answers.
async fn version(client: &Client, schema: &str) -> Result<i64, Error> {
    let found =
        client.query(&format!("SELECT version FROM {}.schema_version", quoted(schema)), &[]).await;
    match found {
        Ok(rows) => rows.first().map_or(Ok(0), |row| row.try_get(0)),
        Err(error) if is_missing(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Goes through all migrations that are missing.
async fn advance(client: &Client, schema: &str, dialect: Dialect) -> Result<(), Error> {
    if dialect == Dialect::Portable {
        return run_missing(client, schema, dialect).await;
    }
    client.batch_execute("BEGIN").await?;
    let lock = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
    let advanced = match client.batch_execute(&lock).await {
        Ok(()) => run_missing(client, schema, dialect).await,
        Err(error) => Err(error),
    };
    client.batch_execute(if advanced.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    advanced
}

async fn run_missing(client: &Client, schema: &str, dialect: Dialect) -> Result<(), Error> {
    make_version_table(client, schema).await?;
    // Another server may have been here while this one waited for the lock.
    let found = usize::try_from(version(client, schema).await?).unwrap_or(usize::MAX);
    for (number, migration) in (1_i64..).zip(MIGRATIONS).skip(found) {
        for statement in migration.all {
            client.batch_execute(statement).await?;
        }
        if dialect == Dialect::Postgres {
            for statement in migration.postgres {
                client.batch_execute(statement).await?;
            }
        }
        let done = format!(
            "INSERT INTO schema_version (singleton, version) VALUES (true, {number})
             ON CONFLICT (singleton) DO UPDATE SET version = excluded.version"
        );
        client.batch_execute(&done).await?;
    }
    Ok(())
}

/// A user who may not create schemas may be given one.
async fn make_version_table(client: &Client, schema: &str) -> Result<(), Error> {
    let wanted = "SELECT schema_name::text FROM information_schema.schemata WHERE schema_name = $1";
    if client.query(wanted, &[&schema]).await?.is_empty() {
        client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema))).await?;
    }
    client.batch_execute(&format!("SET search_path = {}", quoted(schema))).await?;
    let table = "CREATE TABLE IF NOT EXISTS schema_version (singleton bool PRIMARY KEY, version bigint NOT NULL)";
    client.batch_execute(table).await
}

/// A name that begins with a digit, or means something in SQL, is a name all the same.
fn quoted(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

fn is_missing(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
    })
}

/// Two starts at once: `IF NOT EXISTS` looks first and creates later.
fn is_race(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

fn refused(error: &Error) -> ConnectError {
    ConnectError::Refused(describe(error))
}
