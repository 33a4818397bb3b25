//! The rows of one moment, as readers see them: what the index had, and over it what was committed since.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use redb::{AccessGuard, ReadOnlyTable, StorageError};

use super::memtable::Recent;
use super::row::{Row, Value};
use crate::{Direction, Key, KeyRange, Version};

/// The table of rows as one transaction has left it.
pub(super) type StoredRows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A row as a snapshot has it; its value may be in the log.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) version: Version,
    pub(super) value: Value<Bytes>,
}

/// The rows of a range.
pub(super) struct Snapshot {
    /// In the order of their keys.
    pub(super) recent: Vec<(Key, Recent)>,
    /// None in an index that has no table yet.
    pub(super) stored: Option<Arc<StoredRows>>,
}

impl Snapshot {
    /// At most `limit` rows of `range`, which must be within the snapshot's.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<(Key, Found)>, redb::Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let recent = self.recent_in(range);
        let stored = self.stored.as_ref().map(|stored| stored.range::<&[u8]>(range.bounds()));
        let stored = stored.transpose()?.into_iter().flatten();
        match direction {
            Direction::Forward => merged(recent.iter(), stored, direction, limit),
            Direction::Backward => merged(recent.iter().rev(), stored.rev(), direction, limit),
        }
    }

    fn recent_in(&self, range: &KeyRange) -> &[(Key, Recent)] {
        let before = |bound: &Key| self.recent.partition_point(|(key, _)| key < bound);
        let end = range.end.as_ref().map_or(self.recent.len(), before);
        let start = before(&range.start).min(end);
        &self.recent[start..end]
    }
}

type StoredRow = (AccessGuard<'static, &'static [u8]>, AccessGuard<'static, &'static [u8]>);

/// The first `limit` rows of both, each in the order of `direction`; a recent row stands for the stored one.
fn merged<'a>(
    recent: impl Iterator<Item = &'a (Key, Recent)>,
    stored: impl Iterator<Item = Result<StoredRow, StorageError>>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(Key, Found)>, redb::Error> {
    let (mut recent, mut stored) = (recent.peekable(), stored.peekable());
    let mut page = Vec::new();
    while page.len() < limit {
        let order = match (recent.peek(), stored.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) | (Some(_), Some(Err(_))) => Ordering::Greater,
            (Some((recent, _)), Some(Ok((stored, _)))) => {
                let order = recent[..].cmp(stored.value());
                if direction == Direction::Forward { order } else { order.reverse() }
            }
        };
        if order.is_ge()
            && let Some(next) = stored.next()
        {
            let (key, row) = next?;
            if order.is_gt() {
                page.push((Bytes::copy_from_slice(key.value()), found(row.value())?));
            }
        }
        if order.is_le()
            && let Some((key, Some(row))) = recent.next()
        {
            page.push((Key::clone(key), found_recent(row)?));
        }
    }
    Ok(page)
}

/// A row of the table.
pub(super) fn found(stored: &[u8]) -> Result<Found, redb::Error> {
    found_with(stored, Bytes::copy_from_slice)
}

/// A row that is in memory: its value is not copied.
pub(super) fn found_recent(stored: &Bytes) -> Result<Found, redb::Error> {
    found_with(stored, |value| stored.slice_ref(value))
}

fn found_with<'a>(
    stored: &'a [u8],
    keep: impl FnOnce(&'a [u8]) -> Bytes,
) -> Result<Found, redb::Error> {
    let row = Row::decode(stored)?;
    let value = match row.value()? {
        Value::Here(value) => Value::Here(keep(value)),
        Value::InLog(place) => Value::InLog(place),
    };
    Ok(Found { version: row.version, value })
}
