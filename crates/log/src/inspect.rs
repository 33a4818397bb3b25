//! All that a log has, damaged or not: for those who verify it, and for those who save what can be saved.
//! Changes nothing, and goes on behind what it cannot read.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::group::{Group, GroupHeader, PAGE_BYTES};
use crate::segment::{SegmentHeader, group_at, name_of, number_of};
use crate::{LogError, Position};

/// What an inspection comes upon, in the order of the log.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A sound group.
    Group(&'a Group),
    /// A part that is not what was written.
    Damage(Damage),
}

/// A part of a log that is not what was written. Changes that stood there are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Name of the file in the log's directory.
    pub file: String,
    /// Its first byte.
    pub offset: u32,
    /// The byte behind it.
    pub end: u32,
    /// What was found there.
    pub what: &'static str,
}

/// What there is to inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Files of segments.
    pub segments: u64,
    /// Numbers of the first and the last of them.
    pub range: Option<(u64, u64)>,
    /// The last segment whose header is sound.
    pub last_sound: Option<u64>,
}

/// A file of the log, as far as it can be told.
struct Segment {
    number: u64,
    header: Option<SegmentHeader>,
}

/// Hands every sound group and every damage to `each`, and says what segments there are. A torn tail is no damage,
/// nor is a last segment that has neither a sound header nor a group: it may never have been finished.
///
/// # Errors
///
/// When the directory cannot be listed, a later version wrote it, and what `each` answers.
pub fn inspect<E: From<LogError>>(
    disk: &dyn Disk,
    each: &mut dyn FnMut(Finding<'_>) -> Result<(), E>,
) -> Result<Inspected, E> {
    let segments = segments(disk)?;
    let mut expected = None;
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1);
        if let Some(missing) = expected.filter(|expected| *expected != segment.number) {
            let damage = damage(missing, 0, 0, "the segment is missing");
            each(Finding::Damage(damage))?;
        }
        expected = Some(segment.number + 1);
        inspect_segment(disk, segment, next, each)?;
    }
    let sound = segments.iter().rev().find(|segment| segment.header.is_some());
    let last_sound = sound.map(|segment| segment.number);
    let number = |segment: &Segment| segment.number;
    let range = segments.first().map(number).zip(segments.last().map(number));
    Ok(Inspected { segments: segments.len() as u64, range, last_sound })
}

fn segments(disk: &dyn Disk) -> Result<Vec<Segment>, LogError> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let (mut segments, mut newer) = (Vec::with_capacity(numbers.len()), None);
    for number in numbers {
        let read = disk
            .open(&name_of(number))
            .map_err(LogError::from)
            .and_then(|file| SegmentHeader::read(&*file, number));
        let header = match read {
            Err(LogError::FormatTooNew { found, known }) => {
                newer = Some(LogError::FormatTooNew { found, known });
                None
            }
            read => readable(read)?.flatten(),
        };
        segments.push(Segment { number, header });
    }
    // Where other segments are of a known format, one bit was flipped.
    match newer.filter(|_| segments.iter().all(|segment| segment.header.is_none())) {
        Some(newer) => Err(newer),
        None => Ok(segments),
    }
}

fn inspect_segment<E: From<LogError>>(
    disk: &dyn Disk,
    segment: &Segment,
    next: Option<&Segment>,
    each: &mut dyn FnMut(Finding<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let number = segment.number;
    let Ok(file) = disk.open(&name_of(number)) else {
        let damage = damage(number, 0, 0, "the file cannot be opened");
        return each(Finding::Damage(damage));
    };
    let end = next.and_then(|next| next.header.as_ref()).map(|header| header.previous_end);
    let mut scan = Scan::new(&*file, segment, end)?;
    let mut last_sound = PAGE_BYTES as u32;
    let mut found = false;
    while let Some(group) = scan.next_group()? {
        if group.at().offset > last_sound {
            let what = "a group is not sound";
            each(Finding::Damage(damage(number, last_sound, group.at().offset, what)))?;
        }
        last_sound = group.end().offset;
        found = true;
        if group.records().is_none() {
            let what = "a group has other records than it says";
            each(Finding::Damage(damage(number, group.at().offset, last_sound, what)))?;
        } else {
            each(Finding::Group(&group))?;
        }
    }
    if let Some(end) = end.filter(|end| *end > last_sound) {
        let what = "groups that the next segment tells of are not there";
        each(Finding::Damage(damage(number, last_sound, end, what)))?;
    }
    // The last of all may never have been finished: then it holds nothing.
    if segment.header.is_none() && (found || next.is_some()) {
        let what = "the header of the segment is not sound";
        each(Finding::Damage(damage(number, 0, PAGE_BYTES as u32, what)))?;
    }
    Ok(())
}

/// Looks for groups of one segment, page by page.
struct Scan<'a> {
    file: &'a dyn DiskFile,
    at: Position,
    /// None: of any.
    epoch: Option<u64>,
    end: u64,
}

impl<'a> Scan<'a> {
    fn new(file: &'a dyn DiskFile, segment: &Segment, end: Option<u32>) -> Result<Self, LogError> {
        let at = Position {
            segment: segment.number,
            offset: PAGE_BYTES as u32,
            sequence: segment.header.as_ref().map_or(0, |header| header.sequence),
        };
        let size = file.size()?;
        let end = end.map_or(size, |end| size.min(u64::from(end)));
        Ok(Self { file, at, epoch: segment.header.as_ref().map(|header| header.epoch), end })
    }

    /// The next sound group at or behind the place where the scan is.
    fn next_group(&mut self) -> Result<Option<Group>, LogError> {
        while u64::from(self.at.offset) < self.end {
            let (epoch, sequence) = (self.epoch, self.at.sequence);
            let belongs = |header: &GroupHeader| {
                epoch.is_none_or(|epoch| header.epoch == epoch) && header.sequence >= sequence
            };
            if let Some(group) = readable(group_at(self.file, self.at, belongs))?.flatten() {
                self.at = group.end();
                return Ok(Some(group));
            }
            self.at.offset += PAGE_BYTES as u32;
        }
        Ok(None)
    }
}

/// None where the disk does not read: that is damage, too.
fn readable<T>(read: Result<T, LogError>) -> Result<Option<T>, LogError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(LogError::Io(error)) if error.kind() != io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

fn damage(number: u64, offset: u32, end: u32, what: &'static str) -> Damage {
    Damage { file: name_of(number), offset, end, what }
}
