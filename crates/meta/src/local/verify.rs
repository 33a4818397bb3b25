//! Whether a stopped store is what was written: every byte of the log, and the index against it. Changes
//! nothing.

use std::path::Path;
use std::sync::Arc;

use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Damage, Group, Record};

use super::OpenError;
use super::against_index::{IndexAtCheckpoint, read_log};
use crate::Clock;

/// What was read, and what of it is not what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Files of the log.
    pub segments: u64,
    /// Groups that are sound.
    pub groups: u64,
    /// Their records.
    pub records: u64,
    /// The bytes of keys and values in them.
    pub bytes: u64,
    /// Rows that the store has by its log.
    pub rows: u64,
    /// Parts of the log that are damaged.
    pub damage: Vec<Damage>,
    /// Rows that the index does not have as the log has them.
    pub index_differences: u64,
    /// The index cannot be read at all, or is missing: it is made again from the log.
    pub index_is_lost: bool,
}

impl Verification {
    /// Whether the store is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.index_differences == 0
    }
}

/// Reads all of the store in directory `path`, which nobody has open.
///
/// # Errors
///
/// [`OpenError::AlreadyOpen`] when a server has it, [`OpenError::FormatTooNew`], and when the directory cannot be
/// read.
pub fn verify(path: &Path, clock: Arc<dyn Clock>) -> Result<Verification, OpenError> {
    let _lock = super::lock_existing(path)?;
    verify_on(&(Arc::new(FileDisk::new(path)) as Arc<dyn Disk>), clock)
}

/// Reads all of the store on `disk`.
pub(super) fn verify_on(
    disk: &Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
) -> Result<Verification, OpenError> {
    let mut verification = Verification::default();
    let index = IndexAtCheckpoint::open(disk, clock)?;
    let mut groups = Verification::default();
    let read = read_log(&**disk, index.as_ref(), &mut |group| count(&mut groups, group))?;
    verification.segments = read.inspected.segments;
    let Verification { groups, records, bytes, .. } = groups;
    (verification.groups, verification.records, verification.bytes) = (groups, records, bytes);
    verification.damage = read.damage;
    verification.index_is_lost = index.is_none() || read.differences.is_none();
    verification.index_differences = read.differences.unwrap_or(0);
    verification.rows = read.rows.len() as u64;
    Ok(verification)
}

fn count(verification: &mut Verification, group: &Group) {
    verification.groups += 1;
    for record in group.records().unwrap_or_default() {
        verification.records += 1;
        verification.bytes += match record {
            Record::Put { key, value, .. } => (key.len() + value.len()) as u64,
            Record::Delete { key, .. } => key.len() as u64,
        };
    }
}
