//! The rows of one moment, as readers see them: what the index had, and over it what was committed since.

use std::cell::Cell;
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
    recent: Vec<(Key, Recent)>,
    /// None in an index that has no table yet.
    stored: Option<Arc<StoredRows>>,
    /// Where the last scan began in `recent`: the next one mostly begins a little behind it.
    began: Cell<usize>,
}

impl Snapshot {
    /// These recent rows, in the order of their keys, over the stored ones.
    pub(super) fn new(recent: Vec<(Key, Recent)>, stored: Option<Arc<StoredRows>>) -> Self {
        Self { recent, stored, began: Cell::new(0) }
    }

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
        let (mut start, recent) = (self.began.get(), &self.recent[..]);
        if start > 0 && recent[start - 1].0 >= range.start {
            start = 0;
        }
        start += leading(&recent[start..], &range.start);
        self.began.set(start);
        let rows = &recent[start..];
        &rows[..range.end.as_ref().map_or(rows.len(), |end| leading(rows, end))]
    }
}

/// How many of `rows` are before `bound`. Likely few: what is looked at doubles from the first row on.
fn leading(rows: &[(Key, Recent)], bound: &Key) -> usize {
    let mut looked_at = 1;
    while looked_at <= rows.len() && rows[looked_at - 1].0 < *bound {
        looked_at *= 2;
    }
    let (known, most) = (looked_at / 2, looked_at.min(rows.len()));
    known + rows[known..most].partition_point(|(key, _)| key < bound)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_rows_of_a_range_are_found_wherever_the_last_one_was() {
        let key = |number: usize| Key::from(vec![number as u8]);
        let recent = (0..100).step_by(2).map(|number| (key(number), None)).collect();
        let snapshot = Snapshot::new(recent, None);
        let ends = [0, 1, 2, 3, 7, 50, 51, 98, 99, 120];
        for (start, end) in ends.into_iter().flat_map(|start| ends.map(|end| (start, end))) {
            let range = KeyRange { start: key(start), end: Some(key(end.max(start))) };
            let found = snapshot.recent_in(&range).iter().map(|(key, _)| usize::from(key[0]));
            let expected = (start..end.max(start)).filter(|it| it % 2 == 0 && *it < 100);
            assert!(found.eq(expected), "{start} {end}");
            let all = KeyRange { start: key(start), end: None };
            let count = snapshot.recent_in(&all).len();
            assert_eq!(count, (start..100).filter(|it| it % 2 == 0).count(), "{start}");
        }
    }
}
