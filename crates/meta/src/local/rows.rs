//! Rows with their values, for readers on any thread: the index, and the log where a value is only there.

use std::sync::Arc;

use bytes::Bytes;
use tidelock_log::{LogError, LogReader, Place};

use super::index::{Found, Index};
use super::row::Value;
use crate::{Direction, Key, KeyRange, MetaError, Versioned};

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
}

impl Rows {
    pub(super) fn new(index: Arc<Index>, log: LogReader) -> Self {
        Self { index, log }
    }

    /// The rows under `keys`, in their order, from one snapshot.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, MetaError> {
        self.read(|| {
            let found = self.index.get(keys)?;
            Ok(found.into_iter().map(|row| row.map(|row| self.value(row)).transpose()).collect())
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
            let found = self.index.scan(range, limit, direction)?;
            Ok(found.into_iter().map(|(key, row)| Ok((key, self.value(row)?))).collect())
        })
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
                Err(Miss::At(place)) if missed == Some(place) => return Err(rotten(&place)),
                Err(Miss::At(place)) => missed = Some(place),
            }
        }
        Err(MetaError::Unavailable("the value is moved all the time".into()))
    }

    fn value(&self, row: Found) -> Result<Versioned, Miss> {
        let value: Bytes = match row.value {
            Value::Here(value) => value,
            Value::InLog(place) => match self.log.read(&place) {
                Ok(Some(value)) => value,
                Ok(None) => return Err(Miss::At(place)),
                Err(error) => return Err(Miss::Disk(error)),
            },
        };
        Ok(Versioned { version: row.version, value })
    }
}

fn rotten(place: &Place) -> MetaError {
    let Place { segment, offset, .. } = place;
    MetaError::Corrupt(format!("the value at byte {offset} of segment {segment} of the log"))
}
