//! Reads: one statement each, which is one snapshot.
//!
//! Refuses to know how fresh an answer must be; `mod.rs` sees to that.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::{Error, Row};

use super::RoundTrip;
use super::commit::Parameter;
use super::pool::Connection;
use super::statements::DialectStatements;
use crate::{Direction, Key, KeyRange, Version, Versioned};

/// What to read.
pub(super) enum Query<'a> {
    Get(&'a [Key]),
    Scan(&'a KeyRange, i64, Direction),
    Grouped(&'a KeyRange, i64, &'a super::grouped::Cut<'a>),
}

impl Query<'_> {
    pub(super) fn round_trip(&self) -> RoundTrip {
        match self {
            Self::Get(_) => RoundTrip::Get,
            Self::Scan(..) => RoundTrip::Scan,
            Self::Grouped(..) => RoundTrip::ScanGrouped,
        }
    }

    /// Asks the database.
    ///
    /// # Errors
    ///
    /// What it answers.
    pub(super) async fn run(&self, connection: &Connection) -> Result<Vec<Row>, Error> {
        let statements = &connection.statements;
        let client = &connection.client;
        match self {
            Self::Get(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
                client.query(&statements.get, &[&keys]).await
            }
            Self::Scan(range, limit, direction) => {
                let [ascending, ascending_open, descending, descending_open] = &statements.scans;
                let [bounded, unbounded] = match direction {
                    Direction::Forward => [ascending, ascending_open],
                    Direction::Backward => [descending, descending_open],
                };
                let start = &range.start[..];
                match &range.end {
                    Some(end) => client.query(bounded, &[&start, limit, &&end[..]]).await,
                    None => client.query(unbounded, &[&start, limit]).await,
                }
            }
            Self::Grouped(range, limit, cut) => {
                let DialectStatements::Postgres(statements) = &statements.dialect else {
                    // Not asked of the other dialect, see `mod.rs`.
                    return Ok(Vec::new());
                };
                let [bounded, unbounded] = &statements.grouped;
                let start = &range.start[..];
                let head: [Parameter<'_>; 5] =
                    [&start, limit, &cut.skip, &cut.delimiter, &cut.successor];
                match range.end.as_deref() {
                    Some(end) => {
                        let mut all = head.to_vec();
                        all.push(&end);
                        client.query(bounded, &all).await
                    }
                    None => client.query(unbounded, &head).await,
                }
            }
        }
    }
}

/// The rows under `keys`, in that order, each as often as it is asked for.
pub(super) fn in_order(keys: &[Key], rows: &[Row]) -> Result<Vec<Option<Versioned>>, Error> {
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let (key, versioned) = keyed(row)?;
        found.insert(key, versioned);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

/// Key, version and value: the first three columns.
pub(super) fn keyed(row: &Row) -> Result<(Key, Versioned), Error> {
    let key = Bytes::copy_from_slice(row.try_get(0)?);
    let version: i64 = row.try_get(1)?;
    let value = Bytes::copy_from_slice(row.try_get(2)?);
    Ok((key, Versioned { version: Version(version.unsigned_abs()), value }))
}
