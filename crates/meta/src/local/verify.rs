//! Whether a stopped store is what was written: every byte of the log, and the index against it. Changes
//! nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Damage, Finding, Group, Place, Position, Record, inspect};

use super::OpenError;
use super::backend::IndexFile;
use super::engine::INDEX_NAME;
use super::index::{FORMAT, Held, Index, IndexOptions, stored_error};
use super::row::Row;
use super::syncs::SyncMeter;
use crate::{Clock, Key};

/// Memory for pages of the index.
const CACHE_BYTES: usize = 64 << 20;

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

/// The rows as the log has them: which commit wrote each, and where it is.
pub(super) type LoggedRows = BTreeMap<Key, (u64, Place)>;

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
    verification.index_is_lost = index.is_none();
    let mut pending = index.as_ref();
    let mut rows = LoggedRows::new();
    let inspected = inspect::<OpenError>(&**disk, &mut |finding| {
        let group = match finding {
            Finding::Damage(damage) => {
                verification.damage.push(damage);
                return Ok(());
            }
            Finding::Group(group) => group,
        };
        if let Some(index) = pending.filter(|index| index.is_reached(group.at())) {
            verification.index_differences += index.differences(&rows)?;
            pending = None;
        }
        count(&mut verification, group);
        apply(group, &mut rows);
        Ok(())
    })?;
    verification.segments = inspected.segments;
    if let Some(index) = pending {
        verification.index_differences += index.differences(&rows)?;
    }
    // What is not damage by itself is, if the index was written behind it.
    let position = index.as_ref().map(|index| index.position);
    if let Some(position) = position.filter(|it| Some(it.segment) > inspected.last_sound) {
        let (file, what) = (format!("{:016x}.log", position.segment), "the header is not sound");
        verification.damage.push(Damage { file, offset: 0, end: position.offset, what });
    }
    verification.rows = rows.len() as u64;
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

/// Applies a group to the rows.
pub(super) fn apply(group: &Group, rows: &mut LoggedRows) {
    for record in group.records().unwrap_or_default() {
        match record {
            Record::Put { key, version, place, .. } => {
                rows.insert(Key::copy_from_slice(key), (version, place));
            }
            Record::Delete { key, .. } => drop(rows.remove(key)),
        }
    }
}

/// The index as its last checkpoint left it.
struct IndexAtCheckpoint {
    index: Index,
    position: Position,
}

impl IndexAtCheckpoint {
    /// None when there is none that can be read.
    fn open(disk: &Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Option<Self>, OpenError> {
        let file = match disk.open(INDEX_NAME) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let file = IndexFile::read_only(file, Arc::new(SyncMeter::new(clock, None)))?;
        let held = Held { _lock: None, _released: mpsc::channel().0 };
        let index = match Index::open(Arc::new(file), IndexOptions::new(CACHE_BYTES), held) {
            Err(OpenError::Corrupt(_)) => return Ok(None),
            opened => opened?,
        };
        let format = match index.format() {
            Err(redb::Error::Corrupted(_)) => return Ok(None),
            format => format.map_err(stored_error)?,
        };
        match format {
            Some(found) if found > FORMAT => {
                return Err(OpenError::FormatTooNew { found, known: FORMAT });
            }
            Some(FORMAT) => {}
            _ => return Err(OpenError::Corrupt("a store of format 1 has no log".into())),
        }
        let checkpoint = index.last_checkpoint().map_err(stored_error)?;
        Ok(checkpoint.position.map(|position| Self { index, position }))
    }

    /// Whether the index has nothing of a group at `at`, nor of later ones.
    fn is_reached(&self, at: Position) -> bool {
        (at.segment, at.offset) >= (self.position.segment, self.position.offset)
    }

    /// How many rows are not the same in the index and in `rows`.
    fn differences(&self, rows: &LoggedRows) -> Result<u64, OpenError> {
        let mut differences = 0;
        let mut logged = rows.iter().peekable();
        self.index.each_row(|key, stored| {
            while logged.next_if(|(logged, _)| logged[..] < *key).is_some() {
                differences += 1;
            }
            let same = logged.next_if(|(logged, _)| logged[..] == *key);
            if !same.is_some_and(|(_, row)| is_same(stored, row)) {
                differences += 1;
            }
        })?;
        Ok(differences + logged.count() as u64)
    }
}

fn is_same(stored: &[u8], (version, place): &(u64, Place)) -> bool {
    let Ok(row) = Row::decode(stored) else { return false };
    row.version.0 == *version && row.place == *place && row.value().is_ok()
}
