//! A commit as a short SERIALIZABLE transaction of plain statements, for whatever speaks the protocol.
//!
//! CockroachDB refuses several data-modifying parts of one statement on one table, so: BEGIN and lock the
//! rows that are checked or may be overwritten; write; COMMIT. Three exchanges, each sent at once. What
//! fails before COMMIT is sent has not happened; a COMMIT without an answer may have. Rows that are only
//! checked are locked, too, so that on PostgreSQL a server with the other dialect can share the store.
//! Refuses to know of retries.

use std::time::Duration;

use futures_util::future::{join, join_all, join4};
use tokio::time::timeout;
use tokio_postgres::{Error, Row};

use super::commit::{Parameter, Verdict, bigint};
use super::failure::Failure;
use super::pool::Connection;
use super::schema::version_base;
use super::statements::PortableStatements;
use crate::{Batch, Expect, MetaError, Version, Write};

/// Longest wait for all before COMMIT; longer than the server's own limits of one statement.
const BEFORE_COMMIT_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the commit. After an error the transaction has ended or the connection is of no more use, but for
/// [`Failure::Retry`] and [`Failure::Duplicate`] it is rolled back here.
///
/// # Errors
///
/// [`Failure`]; only [`Failure::Lost`] leaves open whether the commit happened.
pub(super) async fn commit(
    connection: &Connection,
    statements: &PortableStatements,
    batch: &Batch,
) -> Result<Verdict, Failure> {
    let staged = match timeout(BEFORE_COMMIT_TIMEOUT, stage(connection, statements, batch)).await {
        Ok(staged) => staged.map_err(|error| Failure::of(&error).before_commit()),
        Err(_) => Err(Failure::Refused(MetaError::Unavailable("no answer in time".to_owned()))),
    };
    let version = match staged {
        Ok(Some(version)) => version,
        Ok(None) => {
            rolled_back(connection).await?;
            return Ok(Verdict::ConflictSomewhere);
        }
        Err(failure @ (Failure::Retry(_) | Failure::Duplicate)) => {
            rolled_back(connection).await?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    let committed = connection.client.batch_execute("COMMIT").await;
    committed.map_err(|error| Failure::of(&error))?;
    Ok(Verdict::Committed(version))
}

/// All but the COMMIT; none if a check does not hold.
async fn stage(
    connection: &Connection,
    statements: &PortableStatements,
    batch: &Batch,
) -> Result<Option<Version>, Error> {
    let client = &connection.client;
    let (shared, owned) = keys_to_lock(batch);
    let (shared_keys, owned_keys): ([Parameter<'_>; 1], [Parameter<'_>; 1]) = ([&shared], [&owned]);
    let (begun, shared, owned, number) = join4(
        client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE"),
        client.query(&statements.lock_shared, &shared_keys),
        client.query(&statements.lock_owned, &owned_keys),
        client.query_one(&statements.next_version, &[]),
    )
    .await;
    // In the order they were sent: what follows a failure is refused for its sake only.
    begun?;
    let (shared, owned, number) = (shared?, owned?, number?);
    for (key, expect) in &batch.checks {
        let Expect::At(version) = expect else { continue };
        if !is_locked_at(&shared, key, *version)? && !is_locked_at(&owned, key, *version)? {
            return Ok(None);
        }
    }
    let number: i64 = number.try_get(0)?;
    let version = version_base(connection.timeline) | number;
    let writes =
        batch.writes.iter().map(|write| apply(connection, statements, batch, write, version));
    join_all(writes).await.into_iter().collect::<Result<(), Error>>()?;
    Ok(Some(Version(version.unsigned_abs())))
}

/// The rows that are only checked, and those that are written and may be there; each in order.
fn keys_to_lock(batch: &Batch) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let is_written = |key: &[u8]| batch.writes.iter().any(|write| write.key() == key);
    let is_absent = |key: &[u8]| {
        batch.checks.iter().any(|(checked, expect)| checked == key && *expect == Expect::Absent)
    };
    let checked = batch.checks.iter().map(|(key, _)| &key[..]);
    let mut shared: Vec<&[u8]> = checked.filter(|key| !is_written(key)).collect();
    let written = batch.writes.iter().map(|write| &write.key()[..]);
    let mut owned: Vec<&[u8]> = written.filter(|key| !is_absent(key)).collect();
    shared.sort_unstable();
    owned.sort_unstable();
    (shared, owned)
}

fn is_locked_at(rows: &[Row], key: &[u8], version: Version) -> Result<bool, Error> {
    for row in rows {
        if row.try_get::<_, &[u8]>(0)? == key {
            return Ok(row.try_get::<_, i64>(1)? == bigint(version));
        }
    }
    Ok(false)
}

async fn apply(
    connection: &Connection,
    statements: &PortableStatements,
    batch: &Batch,
    write: &Write,
    version: i64,
) -> Result<(), Error> {
    let client = &connection.client;
    let key = &write.key()[..];
    let is_absent = batch.checks.contains(&(write.key().clone(), Expect::Absent));
    match (write, is_absent) {
        (Write::Put(_, value), true) => {
            client.execute(&statements.insert, &[&key, &version, &&value[..]]).await?;
        }
        (Write::Put(_, value), false) => {
            client.execute(&statements.put, &[&key, &version, &&value[..]]).await?;
        }
        // To delete what is not there is to make sure that nobody makes it.
        (Write::Delete(_), true) => {
            let empty: &[u8] = b"";
            let row: [Parameter<'_>; 3] = [&key, &version, &empty];
            let key_alone: [Parameter<'_>; 1] = [&key];
            let insert = client.execute(&statements.insert, &row);
            let (made, gone) = join(insert, client.execute(&statements.delete, &key_alone)).await;
            made?;
            gone?;
        }
        (Write::Delete(_), false) => {
            client.execute(&statements.delete, &[&key]).await?;
        }
    }
    Ok(())
}

/// Ends the transaction without effect, so that the connection can be used again.
async fn rolled_back(connection: &Connection) -> Result<(), Failure> {
    let ended = timeout(BEFORE_COMMIT_TIMEOUT, connection.client.batch_execute("ROLLBACK")).await;
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::of(&error).before_commit()),
        Err(_) => Err(Failure::LostBefore("no answer in time".to_owned())),
    }
}
