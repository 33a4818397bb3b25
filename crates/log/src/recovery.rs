//! What stands in a directory when it is opened: which segments, and every group from a position on.
//! Drops a torn tail, and nothing else: what was acknowledged and is not there is an error.

use std::collections::BTreeMap;

use crate::disk::{Disk, DiskFile};
use crate::group::{Group, PAGE_BYTES, Trust};
use crate::segment::{SegmentHeader, is_followed, name_of, number_of, read_group};
use crate::{LogError, Position};

/// The segments of a log, by number.
pub(crate) type Headers = BTreeMap<u64, SegmentHeader>;

/// Reads the headers of all segments, and says which file was never finished and holds nothing.
pub(crate) fn headers(disk: &dyn Disk) -> Result<(Headers, Option<u64>), LogError> {
    let names = disk.list()?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let mut headers = Headers::new();
    let mut unfinished = None;
    for &number in &numbers {
        let file = disk.open(&name_of(number))?;
        match SegmentHeader::read(&*file, number)? {
            Some(header) => drop(headers.insert(number, header)),
            // Its name came before its header, and it was to be the next.
            None if Some(&number) == numbers.last() && holds_nothing(&*file, number)? => {
                unfinished = Some(number);
            }
            None => return Err(damaged(number, 0, "the header of the segment is not sound")),
        }
    }
    for (this, next) in headers.keys().zip(headers.keys().skip(1)) {
        if this + 1 != *next {
            return Err(damaged(this + 1, 0, "the segment is missing"));
        }
    }
    Ok((headers, unfinished))
}

/// Whether no group stands in the segment `number`, whose header does not tell its epoch.
fn holds_nothing(file: &dyn DiskFile, number: u64) -> Result<bool, LogError> {
    let at = Position { segment: number, offset: PAGE_BYTES as u32, sequence: 0 };
    Ok(!is_followed(file, None, at)?)
}

/// Where the log ends, and its last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Position,
    pub(crate) version: u64,
    /// The last group that was read.
    pub(crate) last: Option<Position>,
}

impl End {
    /// Before the first segment.
    pub(crate) const OF_NOTHING: Self =
        Self { at: Position { segment: 0, offset: 0, sequence: 1 }, version: 0, last: None };
}

/// Hands every group from `from` on to `each`, oldest first, and says where they end.
pub(crate) fn replay<E: From<LogError>>(
    disk: &dyn Disk,
    headers: &Headers,
    from: Option<Position>,
    trust: Trust,
    each: &mut dyn FnMut(&Group) -> Result<(), E>,
) -> Result<Option<End>, E> {
    let Some(oldest) = headers.values().next() else {
        return match from {
            None => Ok(None),
            Some(from) => Err(missing(from).into()),
        };
    };
    let from = from.unwrap_or_else(|| oldest.first());
    if !headers.contains_key(&from.segment) {
        return Err(missing(from).into());
    }
    let mut end = None;
    for header in headers.range(from.segment..).map(|(_, header)| header) {
        let start = if header.number == from.segment { from } else { header.first() };
        if let Some(End { at, .. }) = end {
            check_joint(at, header)?;
        }
        let before = end.unwrap_or(End { version: header.version, ..End::OF_NOTHING });
        let known_end = headers.get(&(header.number + 1)).map(|next| next.previous_end);
        let segment = Segment { header, known_end, trust };
        end = Some(segment.replay(disk, End { at: start, ..before }, each)?);
    }
    Ok(end)
}

/// A segment begins with the group after the last of the segment before it.
fn check_joint(end: Position, next: &SegmentHeader) -> Result<(), LogError> {
    if end.sequence == next.sequence && end.offset == next.previous_end {
        return Ok(());
    }
    Err(damaged(end.segment, end.offset, "groups that the next segment tells of are not there"))
}

/// A segment that is read again.
struct Segment<'a> {
    header: &'a SegmentHeader,
    /// Where the next segment says that it ends. What stands behind that was never acknowledged: it is of
    /// a process that had been replaced.
    known_end: Option<u32>,
    trust: Trust,
}

impl Segment<'_> {
    fn replay<E: From<LogError>>(
        &self,
        disk: &dyn Disk,
        mut end: End,
        each: &mut dyn FnMut(&Group) -> Result<(), E>,
    ) -> Result<End, E> {
        let SegmentHeader { number, epoch, .. } = *self.header;
        let file = disk.open(&name_of(number)).map_err(LogError::from)?;
        while self.known_end.is_none_or(|known| end.at.offset < known) {
            let Some(group) = read_group(&*file, epoch, end.at, self.trust)? else { break };
            each(&group)?;
            end = End { at: group.end(), version: group.version(), last: Some(end.at) };
        }
        if self.known_end.is_none() && is_followed(&*file, Some(epoch), end.at)? {
            let what = "a group is not sound, and others follow it";
            return Err(damaged(number, end.at.offset, what).into());
        }
        Ok(end)
    }
}

/// Makes durable what was read: a process that was killed, or whose sync failed, may have left it in the
/// memory of the system alone, where it counts as written. So the pages are written again: those of
/// the last group, for all before it were acknowledged, and the header.
pub(crate) fn make_durable(
    disk: &dyn Disk,
    header: &SegmentHeader,
    end: Option<&End>,
) -> Result<(), LogError> {
    let file = disk.open(&name_of(header.number))?;
    file.write_at(&header.encode(), 0)?;
    if let Some(End { at, last: Some(last), .. }) = end
        && last.segment == header.number
    {
        let mut pages = vec![0; (at.offset - last.offset) as usize];
        let there = file.size()?.saturating_sub(u64::from(last.offset)) as usize;
        let len = pages.len().min(there);
        file.read_at(&mut pages[..len], u64::from(last.offset))?;
        file.write_at(&pages, u64::from(last.offset))?;
    }
    file.sync().and_then(|()| disk.sync()).map_err(LogError::of_sync)
}

pub(crate) fn damaged(number: u64, offset: u32, what: &'static str) -> LogError {
    LogError::Damaged { file: name_of(number), offset, what }
}

fn missing(from: Position) -> LogError {
    damaged(from.segment, from.offset, "the log does not reach to where the index was written")
}
