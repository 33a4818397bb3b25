//! What can be saved of a damaged store, into a new directory. The damaged one is left as it is.

use std::path::Path;
use std::sync::Arc;

use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Damage, LogOptions, Place, Stamp, read_value};

use super::OpenError;
use super::against_index::{IndexAtCheckpoint, read_log};
use super::engine::{mark, unmark};
use super::row_log::RowLog;
use crate::{Clock, Version};

/// What was saved, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Rows that were saved.
    pub rows: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// Parts of the log that are damaged. What was changed there is lost: rows are as they were before.
    pub damage: Vec<Damage>,
}

/// Writes all rows that the log of the store in directory `from` has to a new store in `into`, which must
/// be empty or missing. Of the index, if it can be read, only what the log has lost is learnt. `log_tag` is random.
///
/// # Errors
///
/// [`OpenError::AlreadyOpen`] when a server has `from`, [`OpenError::Io`] when `into` is not empty or cannot be
/// written.
pub fn recover(
    from: &Path,
    into: &Path,
    log_tag: u64,
    clock: Arc<dyn Clock>,
) -> Result<Recovery, OpenError> {
    let _lock = super::lock_existing(from)?;
    let _new_lock = super::make_directory(into)?;
    let new: Arc<dyn Disk> = Arc::new(FileDisk::new(into));
    super::require_empty(&*new)?;
    mark(&*new)?;
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(from));
    let mut last = Stamp::default();
    let index = IndexAtCheckpoint::open_if_readable(&disk, clock);
    let read = read_log(&*disk, index.as_ref(), &mut |group| {
        last.version = last.version.max(group.version());
        last.time = last.time.max(group.time());
    })?;
    let (rows, damage) = read.all_damage();
    let mut recovery = Recovery { damage, ..Recovery::default() };
    let mut log = RowLog::create(&new, LogOptions::new(log_tag), last.time)?;
    for (key, (version, place)) in &rows {
        // It was sound just now; a disk that fails may not read it twice.
        let Ok(Some(value)) = read_value(&*disk, place) else {
            recovery.damage.push(unread(place));
            continue;
        };
        log.put(key, Version(*version), &value)?;
        recovery.rows += 1;
        recovery.bytes += (key.len() + value.len()) as u64;
    }
    log.finish(last.version)?;
    unmark(&*new)?;
    Ok(recovery)
}

fn unread(place: &Place) -> Damage {
    let Place { segment, offset, len, .. } = *place;
    let file = format!("{segment:016x}.log");
    Damage { file, offset, end: offset.saturating_add(len), what: "a value was not read again" }
}
