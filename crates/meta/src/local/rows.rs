//! Rows with their values, for readers on any thread: the index, and the log where a value is only there.

use std::sync::Arc;

use tidelock_log::{LogError, LogReader, Place};

use super::index::Index;
use super::row::Value;
use super::snapshot::Found;
use crate::grouped::{Grouping, Paging};
use crate::{Direction, Group, Key, KeyRange, MetaError, Versioned};

/// How often a read begins again because the cleaning has moved what it was about to read. Each time,
/// a segment has been cleaned meanwhile.
const ATTEMPTS_MAX: usize = 16;

/// Reads rows.
pub(super) struct Rows {
    index: Arc<Index>,
    log: LogReader,
}

/// Why a value was not read.
enum Miss {
    /// It is not at this place of the log, or not any more.
    At(Place),
    Disk(LogError),
    Index(redb::Error),
}

impl Rows {
    pub(super) fn new(index: Arc<Index>, log: LogReader) -> Self {
        Self { index, log }
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, MetaError> {
        self.read(|| {
            let found = self.index.get(keys)?;
            let found = keys.iter().zip(found);
            Ok(found.map(|(key, row)| row.map(|row| self.value(key, row)).transpose()).collect())
        })
    }

    /// At most `limit` rows of `range`, from one snapshot.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        self.read(|| {
            let snapshot = self.index.snapshot_of_first(range, limit, direction);
            Ok(self.values(snapshot.scan(range, limit, direction)?))
        })
    }

    /// The rows of `range` by what they begin with, from one snapshot; see
    /// [`crate::MetaStore::scan_grouped`].
    pub(super) fn scan_grouped(
        &self,
        range: &KeyRange,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
    ) -> Result<Vec<Group>, MetaError> {
        self.read(|| {
            let snapshot = self.index.snapshot(range);
            let mut grouping =
                Grouping::new(range.clone(), (skip, delimiter), limit, Paging::Adaptive);
            while let Some((range, rows)) = grouping.next_page() {
                let found = snapshot.scan(&range, rows, Direction::Forward)?;
                match self.values(found) {
                    Ok(page) => grouping.add(page, rows),
                    Err(miss) => return Ok(Err(miss)),
                }
            }
            Ok(Ok(grouping.finish()))
        })
    }

    fn values(&self, found: Vec<(Key, Found)>) -> Result<Vec<(Key, Versioned)>, Miss> {
        let valued = |(key, row)| {
            let row = self.value(&key, row)?;
            Ok((key, row))
        };
        found.into_iter().map(valued).collect()
    }

    /// Reads until all values of one snapshot were there. One that is not there twice, at the same place,
    /// was not moved: it is rotten.
    fn read<T>(
        &self,
        attempt: impl Fn() -> Result<Result<T, Miss>, redb::Error>,
    ) -> Result<T, MetaError> {
        let mut missed = None;
        for _ in 0..ATTEMPTS_MAX {
            match attempt()? {
                Ok(rows) => return Ok(rows),
                Err(Miss::Disk(error)) => return Err(MetaError::Unavailable(error.to_string())),
                Err(Miss::Index(error)) => return Err(error.into()),
                Err(Miss::At(place)) if missed == Some(place) => return Err(rotten(&place)),
                Err(Miss::At(place)) => missed = Some(place),
            }
        }
        Err(MetaError::Unavailable("the value is moved all the time".into()))
    }

    /// The value of a row. When the cleaning has moved it since the snapshot, it is read where it is now:
    /// a row of the same version has the same value.
    fn value(&self, key: &Key, row: Found) -> Result<Versioned, Miss> {
        let place = match row.value {
            Value::Here(value) => return Ok(Versioned { version: row.version, value }),
            Value::InLog(place) => place,
        };
        if let Some(value) = self.log.read(&place).map_err(Miss::Disk)? {
            return Ok(Versioned { version: row.version, value });
        }
        let now = self.index.get(std::slice::from_ref(key)).map_err(Miss::Index)?.pop().flatten();
        match now {
            Some(Found { version, value: Value::InLog(moved) })
                if version == row.version && moved != place =>
            {
                let value = self.log.read(&moved).map_err(Miss::Disk)?;
                let value = value.ok_or(Miss::At(moved))?;
                Ok(Versioned { version, value })
            }
            _ => Err(Miss::At(place)),
        }
    }
}

fn rotten(place: &Place) -> MetaError {
    let Place { segment, offset, .. } = place;
    MetaError::Corrupt(format!("the value at byte {offset} of segment {segment} of the log"))
}
