//! All of the log of a stopped store, read against the index: what of it is not there any more is told even where the log
//! alone looks as if it had ended there. Changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use tidelock_log::disk::Disk;
use tidelock_log::{
    Damage, Finding, Group, Inspected, PAGE_BYTES, Place, Position, Record, inspect,
};

use super::OpenError;
use super::backend::IndexFile;
use super::engine::INDEX_NAME;
use super::index::{FORMAT, Held, Index, IndexOptions, stored_error};
use super::row::Row;
use super::syncs::SyncMeter;
use crate::{Clock, Key};

/// Memory for pages of the index.
const CACHE_BYTES: usize = 64 << 20;

const MISSING: &str = "the segment is missing";

/// The rows as the log has them: which commit wrote each, and where it is.
pub(super) type LoggedRows = BTreeMap<Key, (u64, Place)>;

/// What the log has, and what it does not have any more.
pub(super) struct Read {
    pub(super) rows: LoggedRows,
    pub(super) inspected: Inspected,
    pub(super) damage: Vec<Damage>,
    /// Rows that the index has otherwise; none without an index that can be read.
    pub(super) differences: Option<u64>,
}

impl Read {
    /// All that is damaged for those who read rows from the log alone: also that rows are missing which nobody can say where
    /// they were.
    pub(super) fn all_damage(self) -> (LoggedRows, Vec<Damage>) {
        let Self { rows, mut damage, differences, .. } = self;
        if damage.is_empty() && differences.is_some_and(|rows| rows > 0) {
            let what = "it has rows that the log does not have so";
            damage.push(Damage { file: INDEX_NAME.to_owned(), offset: 0, end: 0, what });
        }
        (rows, damage)
    }
}

/// Reads the log on `disk`, and hands each sound group to `each`.
pub(super) fn read_log(
    disk: &dyn Disk,
    index: Option<&IndexAtCheckpoint>,
    each: &mut dyn FnMut(&Group),
) -> Result<Read, OpenError> {
    let (mut rows, mut damage) = (LoggedRows::new(), Vec::new());
    let (mut compared, mut reached) = (None, PAGE_BYTES as u32);
    let inspected = inspect::<OpenError>(disk, &mut |finding| {
        let group = match finding {
            Finding::Damage(found) => {
                damage.push(found);
                return Ok(());
            }
            Finding::Group(group) => group,
        };
        if let Some(index) = index {
            if compared.is_none() && index.is_reached(group.at()) {
                compared = Some(index.compare(&rows)?);
            }
            if group.at().segment == index.position.segment {
                reached = reached.max(group.end().offset);
            }
        }
        each(group);
        apply(group, &mut rows);
        Ok(())
    })?;
    let Some(index) = index else {
        return Ok(Read { rows, inspected, damage, differences: None });
    };
    let compared = match compared {
        Some(compared) => compared,
        None => index.compare(&rows)?,
    };
    index.add_missing(&inspected, reached, compared.first_segment, &mut damage);
    Ok(Read { rows, inspected, damage, differences: compared.differences })
}

/// Applies a group to the rows.
fn apply(group: &Group, rows: &mut LoggedRows) {
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
pub(super) struct IndexAtCheckpoint {
    index: Index,
    position: Position,
}

/// What the index says of the log up to its checkpoint.
struct Compared {
    /// Rows that are not the same in both; none when the index cannot be read to its end.
    differences: Option<u64>,
    /// The first segment in which one of its rows is.
    first_segment: Option<u64>,
}

impl IndexAtCheckpoint {
    /// None when there is none that can be read.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, OpenError> {
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
        let format = match index.format().map_err(stored_error) {
            Err(OpenError::Corrupt(_)) | Ok(None) => return Ok(None),
            format => format?,
        };
        match format {
            Some(found) if found > FORMAT => {
                return Err(OpenError::FormatTooNew { found, known: FORMAT });
            }
            Some(FORMAT) => {}
            _ => return Err(OpenError::Corrupt("a store of format 1 has no log".into())),
        }
        let checkpoint = match index.last_checkpoint().map_err(stored_error) {
            Err(OpenError::Corrupt(_)) => return Ok(None),
            checkpoint => checkpoint?,
        };
        Ok(checkpoint.position.map(|position| Self { index, position }))
    }

    /// For those who save what the log has: an index that cannot be read tells nothing.
    pub(super) fn open_if_readable(disk: &Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Option<Self> {
        Self::open(disk, clock).ok().flatten()
    }

    /// Whether the index has nothing of a group at `at`, nor of later ones.
    fn is_reached(&self, at: Position) -> bool {
        (at.segment, at.offset) >= (self.position.segment, self.position.offset)
    }

    fn compare(&self, rows: &LoggedRows) -> Result<Compared, OpenError> {
        let (mut differences, mut first_segment) = (0, None::<u64>);
        let mut logged = rows.iter().peekable();
        let read = self.index.each_row(|key, stored| {
            while logged.next_if(|(logged, _)| logged[..] < *key).is_some() {
                differences += 1;
            }
            let same = logged.next_if(|(logged, _)| logged[..] == *key);
            let row = Row::decode(stored).ok();
            if let Some(segment) = row.as_ref().map(|row| row.place.segment) {
                first_segment = Some(first_segment.map_or(segment, |first| first.min(segment)));
            }
            if !same.zip(row).is_some_and(|((_, logged), row)| is_same(&row, logged)) {
                differences += 1;
            }
        });
        match read {
            Ok(()) => {
                let differences = Some(differences + logged.count() as u64);
                Ok(Compared { differences, first_segment })
            }
            Err(OpenError::Corrupt(_)) => Ok(Compared { differences: None, first_segment: None }),
            Err(error) => Err(error),
        }
    }

    /// What is no damage to the log by itself, because a log may begin and end anywhere, but is where the index was
    /// written behind it or names what was before. `reached` is where groups end in the segment of its checkpoint.
    fn add_missing(
        &self,
        inspected: &Inspected,
        reached: u32,
        first_segment: Option<u64>,
        damage: &mut Vec<Damage>,
    ) {
        let Position { segment, offset, .. } = self.position;
        let of = |number: u64, offset, end, what| Damage {
            file: format!("{number:016x}.log"),
            offset,
            end,
            what,
        };
        let first_named = first_segment.unwrap_or(segment).min(segment);
        let (first, last) = match inspected.range {
            Some((first, last)) => (first, last),
            None => (segment + 1, segment),
        };
        let missing = (first_named..first).chain(last + 1..=segment);
        damage.extend(missing.map(|number| of(number, 0, 0, MISSING)));
        if (first..=last).contains(&segment) && Some(segment) > inspected.last_sound {
            damage.push(of(segment, 0, offset, "the header is not sound"));
        }
        let file = format!("{segment:016x}.log");
        let is_named = damage.iter().any(|known| known.file == file);
        if (first..=last).contains(&segment) && reached < offset && !is_named {
            let what = "groups that the index was made of are not there";
            damage.push(of(segment, reached, offset, what));
        }
    }
}

fn is_same(row: &Row<'_>, (version, place): &(u64, Place)) -> bool {
    row.version.0 == *version && row.place == *place && row.value().is_ok()
}
