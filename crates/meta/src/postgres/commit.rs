//! A commit in one statement, for PostgreSQL itself at READ COMMITTED.
//!
//! Every lock is held to the end of the transaction, so transactions are serializable as long as each
//! looks only at what it has locked. The races, one by one:
//!
//! - *A row that is checked.* It is locked (`FOR SHARE` if only checked, `FOR UPDATE` if written), and at
//!   READ COMMITTED a locked row is read again as it is then, not as the snapshot has it. A row that was
//!   deleted meanwhile is not answered, one that was made anew neither: both fail the check, rightly,
//!   for a version is never given twice.
//! - *A row that must be absent.* Snapshots say nothing about it. The unique index does: an INSERT waits
//!   for whoever inserts the same key, and then fails (`general`: error 23505, all is rolled back) or
//!   does nothing (`fresh`: the rest is not written either).
//! - *A row that is put without a check.* `ON CONFLICT DO UPDATE` finds the row that is there, in the
//!   snapshot or not.
//! - *A row that is deleted without a check.* A DELETE sees only its snapshot, and a row that was made
//!   since would survive beside the other writes of this commit. So it is a second statement in a
//!   transaction with the first: its snapshot is taken when all else is locked. All four messages are sent
//!   at once.
//! - *The version.* It is counted after the rows that exist are locked, so the versions of a row grow.
//! - *The order of locks.* Keys are sorted; what still ends in a deadlock is tried again.
//!
//! The driver answers after ReadyForQuery, that is after the commit; an ERROR before that is a commit that
//! did not happen. Refuses to know of retries and time limits.

use futures_util::future::join4;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::failure::Failure;
use super::pool::Connection;
use super::schema::version_base;
use super::statements::PostgresStatements;
use crate::{Batch, Expect, Version, Write};

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// What the database decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Committed(Version),
    /// This check did not hold.
    Conflict(usize),
    /// Some check did not hold.
    ConflictSomewhere,
}

/// A batch as its statement takes it.
pub(super) enum Shape<'a> {
    /// One row is expected absent and put, nothing deleted.
    Fresh(Single<'a>),
    /// One row is expected at a version and put or deleted, nothing else deleted.
    Rewritten(Single<'a>, Version),
    General(Box<General<'a>>),
}

/// One row that is checked and written, at most one that is only checked, any number that is only put.
pub(super) struct Single<'a> {
    key: &'a [u8],
    check: usize,
    /// None: it is deleted.
    value: Option<&'a [u8]>,
    shared: Option<(usize, &'a [u8], Version)>,
    puts: Puts<'a>,
}

#[derive(Default)]
struct Puts<'a> {
    keys: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Checks<'a> {
    keys: Vec<&'a [u8]>,
    versions: Vec<i64>,
    indexes: Vec<i32>,
}

/// The arrays of the general statement.
#[derive(Default)]
pub(super) struct General<'a> {
    shared: Checks<'a>,
    owned: Checks<'a>,
    /// All that is written and may be there.
    locked: Vec<&'a [u8]>,
    made: Puts<'a>,
    made_indexes: Vec<i32>,
    puts: Puts<'a>,
    deletes: Vec<&'a [u8]>,
    deletes_unchecked: Vec<&'a [u8]>,
}

impl<'a> Shape<'a> {
    /// Finds the cheapest statement that can carry `batch`, which keeps the contract.
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut writes: Vec<&Write> = batch.writes.iter().collect();
        writes.sort_unstable_by_key(|write| write.key());
        match single(batch, &writes) {
            Some((single, Expect::Absent)) => Self::Fresh(single),
            Some((single, Expect::At(version))) => Self::Rewritten(single, version),
            None => Self::General(Box::new(General::of(batch, &writes))),
        }
    }

    /// Runs the commit.
    ///
    /// # Errors
    ///
    /// [`Failure`]; [`Failure::Lost`] leaves open whether it happened.
    pub(super) async fn commit(
        &self,
        connection: &Connection,
        statements: &PostgresStatements,
    ) -> Result<Verdict, Failure> {
        let base = version_base(connection.timeline);
        let verdict = match self {
            Self::Fresh(single) => {
                let row = single.run(connection, &statements.fresh, None, base).await;
                single.verdict_of_fresh(&row.map_err(|error| Failure::of(&error))?)
            }
            Self::Rewritten(single, version) => {
                let statement = match single.value {
                    Some(_) => &statements.rewrite,
                    None => &statements.remove,
                };
                let row = single.run(connection, statement, Some(*version), base).await;
                single.verdict_of_rewritten(&row.map_err(|error| Failure::of(&error))?)
            }
            Self::General(general) => {
                let row = general.run(connection, statements, base).await?;
                verdict_of_general(&row)
            }
        };
        verdict.map_err(|error| Failure::of(&error))
    }
}

/// The batch as one checked and written row, and what is expected of that.
fn single<'a>(batch: &'a Batch, sorted: &[&'a Write]) -> Option<(Single<'a>, Expect)> {
    let mut found: Option<(usize, &'a Write, Expect)> = None;
    let mut shared = None;
    for (index, (key, expect)) in batch.checks.iter().enumerate() {
        let write = sorted.binary_search_by_key(&key, |write| write.key());
        match (write, expect) {
            (Ok(at), _) if found.is_none() => found = Some((index, sorted[at], *expect)),
            (Err(_), Expect::At(version)) if shared.is_none() => {
                shared = Some((index, &key[..], *version));
            }
            _ => return None,
        }
    }
    let (check, write, expect) = found?;
    let value = match (write, expect) {
        (Write::Put(_, value), _) => Some(&value[..]),
        (Write::Delete(_), Expect::At(_)) => None,
        (Write::Delete(_), Expect::Absent) => return None,
    };
    let mut puts = Puts::default();
    for other in sorted.iter().filter(|other| other.key() != write.key()) {
        match other {
            Write::Put(key, value) => puts.push(key, value),
            Write::Delete(_) => return None,
        }
    }
    Some((Single { key: write.key(), check, value, shared, puts }, expect))
}

impl<'a> Puts<'a> {
    fn push(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.keys.push(key);
        self.values.push(value);
    }
}

impl<'a> Checks<'a> {
    fn push(&mut self, key: &'a [u8], version: Version, index: usize) {
        self.keys.push(key);
        self.versions.push(bigint(version));
        self.indexes.push(int(index));
    }
}

impl Single<'_> {
    async fn run(
        &self,
        connection: &Connection,
        statement: &Statement,
        version: Option<Version>,
        base: i64,
    ) -> Result<Row, Error> {
        let shared = self.shared.as_ref().map(|(_, key, _)| *key);
        let shared_version = self.shared.as_ref().map(|(_, _, version)| bigint(*version));
        let (keys, values) = (&self.puts.keys, &self.puts.values);
        let client = &connection.client;
        match version.map(bigint) {
            None => {
                let parameters: [Parameter<'_>; 7] =
                    [&shared, &shared_version, &self.key, &self.value, keys, values, &base];
                client.query_one(statement, &parameters).await
            }
            Some(version) => {
                let parameters: [Parameter<'_>; 8] = [
                    &shared,
                    &shared_version,
                    &self.key,
                    &self.value,
                    keys,
                    values,
                    &base,
                    &version,
                ];
                client.query_one(statement, &parameters).await
            }
        }
    }

    /// When the shared check did not hold, what else was wrong was not found out but by the snapshot.
    fn verdict_of_fresh(&self, row: &Row) -> Result<Verdict, Error> {
        let (version, shared_held, present): (Option<i64>, bool, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(version) = version {
            return Ok(committed(version));
        }
        Ok(self.conflict(shared_held, present || shared_held))
    }

    fn verdict_of_rewritten(&self, row: &Row) -> Result<Verdict, Error> {
        let (version, shared_held, moved): (Option<i64>, bool, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(match version {
            Some(version) => committed(version),
            None => self.conflict(shared_held, moved),
        })
    }

    /// The first check that did not hold, of the two there are.
    fn conflict(&self, shared_held: bool, moved: bool) -> Verdict {
        let shared = self.shared.as_ref().filter(|_| !shared_held).map(|(index, ..)| *index);
        let own = moved.then_some(self.check);
        let first = shared.into_iter().chain(own).min();
        first.map_or(Verdict::ConflictSomewhere, Verdict::Conflict)
    }
}

impl<'a> General<'a> {
    fn of(batch: &'a Batch, sorted: &[&'a Write]) -> Self {
        let mut general = Self::default();
        let mut checks: Vec<_> = batch.checks.iter().enumerate().collect();
        checks.sort_unstable_by_key(|(_, (key, _))| key);
        for write in sorted {
            let key = write.key();
            let check = checks.binary_search_by_key(&key, |(_, (key, _))| key);
            let check = check.ok().map(|at| (checks[at].0, checks[at].1.1));
            general.write(write, check);
        }
        for (index, (key, expect)) in checks {
            let is_written = sorted.binary_search_by_key(&key, |write| write.key()).is_ok();
            if let (Expect::At(version), false) = (expect, is_written) {
                general.shared.push(key, *version, index);
            }
        }
        general
    }

    fn write(&mut self, write: &'a Write, check: Option<(usize, Expect)>) {
        let key = write.key();
        if let Some((index, Expect::Absent)) = check {
            // To delete what is not there is to make sure that nobody makes it.
            let value: &[u8] = match write {
                Write::Put(_, value) => value,
                Write::Delete(_) => {
                    self.deletes_unchecked.push(key);
                    b""
                }
            };
            self.made.push(key, value);
            self.made_indexes.push(int(index));
            return;
        }
        self.locked.push(key);
        if let Some((index, Expect::At(version))) = check {
            self.owned.push(key, version, index);
        }
        match write {
            Write::Put(_, value) => self.puts.push(key, value),
            Write::Delete(_) if check.is_some() => self.deletes.push(key),
            Write::Delete(_) => self.deletes_unchecked.push(key),
        }
    }

    async fn run(
        &self,
        connection: &Connection,
        statements: &PostgresStatements,
        base: i64,
    ) -> Result<Row, Failure> {
        let client = &connection.client;
        let (shared, owned) = (&self.shared, &self.owned);
        let parameters: [Parameter<'_>; 14] = [
            &shared.keys,
            &shared.versions,
            &shared.indexes,
            &self.locked,
            &owned.keys,
            &owned.versions,
            &owned.indexes,
            &self.made.keys,
            &self.made.values,
            &self.made_indexes,
            &self.puts.keys,
            &self.puts.values,
            &self.deletes,
            &base,
        ];
        let main = client.query_one(&statements.general, &parameters);
        if self.deletes_unchecked.is_empty() {
            return main.await.map_err(|error| Failure::of(&error));
        }
        // After an error the rest of a transaction is refused, and COMMIT ends it without effect.
        let (begun, row, deleted, ended) = join4(
            client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            main,
            client.execute(&statements.delete_unchecked, &[&self.deletes_unchecked]),
            client.batch_execute("COMMIT"),
        )
        .await;
        let failed = |error: Error| Failure::of(&error);
        begun.map_err(failed)?;
        let row = row.map_err(failed)?;
        deleted.map_err(failed)?;
        ended.map_err(failed)?;
        Ok(row)
    }
}

fn verdict_of_general(row: &Row) -> Result<Verdict, Error> {
    let (version, first): (Option<i64>, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match (version, first) {
        (Some(version), _) => committed(version),
        (None, Some(first)) => Verdict::Conflict(first as usize),
        (None, None) => Verdict::ConflictSomewhere,
    })
}

/// Versions are not negative, see `schema`.
fn committed(version: i64) -> Verdict {
    Verdict::Committed(Version(version.unsigned_abs()))
}

/// One that the database cannot have becomes one that it never has.
pub(super) fn bigint(version: Version) -> i64 {
    i64::try_from(version.0).unwrap_or(-1)
}

/// A batch has at most a hundred checks.
fn int(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}
