//! A store as its log has it, read without writing anything: for those who need one value of a store that does not
//! open. Around what is damaged, the last record of a key holds. The index, if it can be read, only tells what
//! the log has lost.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Damage, Place, read_value};

use super::OpenError;
use super::against_index::{IndexAtCheckpoint, LoggedRows, read_log};
use crate::{
    Batch, Clock, Direction, Health, Key, KeyRange, Limits, MetaError, MetaStore, Outcome,
    ReadLevel, Version, Versioned,
};

const READ_ONLY: &str = "it is only read";

/// A [`MetaStore`] that refuses every commit. Keeps all keys in memory, and no value.
pub struct LoggedStore {
    disk: Arc<dyn Disk>,
    rows: LoggedRows,
    damage: Vec<Damage>,
    _lock: Option<File>,
}

impl LoggedStore {
    /// Reads the log of the store in directory `path`, which nobody has open.
    ///
    /// # Errors
    ///
    /// [`OpenError::AlreadyOpen`] when a server has it, [`OpenError::FormatTooNew`], and when the directory cannot
    /// be read.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let lock = match super::lock_existing(path) {
            // Of a directory that was put together by hand.
            Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            locked => Some(locked?),
        };
        let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(path));
        let index = IndexAtCheckpoint::open_if_readable(&disk, clock);
        let read = read_log(&*disk, index.as_ref(), &mut |_| ())?;
        let (rows, damage) = read.all_damage();
        Ok(Self { disk, rows, damage, _lock: lock })
    }

    /// Parts of the log that are damaged: what was changed there is not seen.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    fn value(&self, (version, place): &(u64, Place)) -> Result<Versioned, MetaError> {
        let read = read_value(&*self.disk, place);
        match read.map_err(|error| MetaError::Unavailable(error.to_string()))? {
            Some(value) => Ok(Versioned { version: Version(*version), value }),
            None => Err(MetaError::Corrupt("a value of the log was not read again".to_owned())),
        }
    }
}

#[async_trait]
impl MetaStore for LoggedStore {
    fn limits(&self) -> Limits {
        Limits::COMMON
    }

    fn health(&self) -> Health {
        Health::ReadOnly(READ_ONLY.to_owned())
    }

    async fn get(
        &self,
        keys: &[Key],
        _level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        let row = |key: &Key| self.rows.get(key).map(|row| self.value(row)).transpose();
        keys.iter().map(row).collect()
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        _level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        // A map panics on a range that ends before it starts.
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows.range::<[u8], _>(range.bounds());
        let found = |(key, row)| Ok((Key::clone(key), self.value(row)?));
        match direction {
            Direction::Forward => rows.take(limit).map(found).collect(),
            Direction::Backward => rows.rev().take(limit).map(found).collect(),
        }
    }

    async fn commit(&self, _batch: Batch) -> Result<Outcome, MetaError> {
        Err(MetaError::Unavailable(READ_ONLY.to_owned()))
    }
}
