//! Reads a log that another process may be writing, without its help and without changing anything: piece by
//! piece, each group checked, for those who copy it elsewhere.
//!
//! A group that is sound by number, epoch, sequence and checksum is what was written, whatever happens to the
//! file meanwhile; one that is not may be on its way, or stand in a file that is being used again, so it is
//! looked at twice before it is called damage.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::group::{Group, Trust};
use crate::recovery::damaged;
use crate::segment::{SegmentHeader, is_followed, name_of, number_of, read_group};
use crate::{LogError, Position};

/// How far a log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Where the next group begins; byte 0 where not even the header of the segment was read.
    pub at: Position,
    /// The epoch of the segment, for its bytes 0 and up; that of the segment before it at byte 0.
    pub epoch: u64,
}

/// Some bytes of one segment: whole groups, and the header page before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Number of the segment.
    pub segment: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Where in its file the bytes begin.
    pub start: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// No later segment was there when the reading began: this is the end of the log, for now.
    pub is_tail: bool,
}

/// What comes next in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Bytes behind those that were read before.
    Piece(Piece),
    /// Groups that were read were never acknowledged, and the log went on without them: the segment
    /// where the cursor was ends at its byte `end`.
    Cut {
        /// Number of the segment.
        segment: u64,
        /// Its last byte and one.
        end: u32,
    },
    /// Nothing more now.
    End,
    /// The segment was let go before it was read.
    Gone,
    /// What stands there does not go on from what was read: it is another log.
    Diverged,
}

/// Reads a log piece by piece.
pub struct Follower {
    disk: Arc<dyn Disk>,
    cursor: Option<Cursor>,
}

impl Follower {
    /// Reads on from `cursor`; none: from the oldest segment that is there.
    pub fn new(disk: Arc<dyn Disk>, cursor: Option<Cursor>) -> Self {
        Self { disk, cursor }
    }

    /// How far it has read; none before the first piece.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The next bytes of the log, at most to the end of a segment; hands their groups to `each`.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when what stands there is not what was written, [`LogError::FormatTooNew`], and
    /// what the disk answers.
    pub fn next(&mut self, each: &mut dyn FnMut(&Group)) -> Result<Followed, LogError> {
        let Some(Cursor { mut at, mut epoch }) = self.start()? else { return Ok(Followed::End) };
        let mut next = self.header(at.segment + 1)?;
        if at.offset > 0
            && let Some(header) = next
        {
            if at.offset > header.previous_end {
                if !is_cut(at, epoch, &header) || !self.is_epoch_of(at.segment, epoch)? {
                    return Ok(Followed::Diverged);
                }
                at = Position { offset: header.previous_end, sequence: header.sequence, ..at };
                self.cursor = Some(Cursor { at, epoch });
                return Ok(Followed::Cut { segment: at.segment, end: at.offset });
            }
            if at.offset == header.previous_end {
                if at.sequence != header.sequence || !self.is_epoch_of(at.segment, epoch)? {
                    return Ok(Followed::Diverged);
                }
                at = Position { segment: header.number, offset: 0, sequence: header.sequence };
                epoch = header.epoch;
                next = self.header(at.segment + 1)?;
            }
        }
        self.read(at, epoch, next, each)
    }

    /// Where it begins.
    fn start(&self) -> Result<Option<Cursor>, LogError> {
        if self.cursor.is_some() {
            return Ok(self.cursor);
        }
        let oldest = self.numbers()?.into_iter().min();
        Ok(oldest
            .map(|segment| Cursor { at: Position { segment, offset: 0, sequence: 0 }, epoch: 0 }))
    }

    /// Reads the segment of `at` from there on.
    fn read(
        &mut self,
        at: Position,
        epoch: u64,
        next: Option<SegmentHeader>,
        each: &mut dyn FnMut(&Group),
    ) -> Result<Followed, LogError> {
        let Some(file) = self.open(at.segment)? else { return self.missing(at) };
        let Some(header) = SegmentHeader::read(&*file, at.segment)? else {
            // Its header is written after its name.
            let is_begun = next.is_none() && at.offset == 0;
            return if is_begun { Ok(Followed::End) } else { self.unsound(at) };
        };
        let is_other = at.offset > 0 && header.epoch != epoch;
        if is_other || (at.offset == 0 && at.sequence > 0 && header.sequence != at.sequence) {
            return Ok(Followed::Diverged);
        }
        let end = next.map(|next| next.previous_end);
        let mut copy = Copy { at, bytes: Vec::new() };
        if at.offset == 0 {
            copy.bytes = header.encode();
            copy.at = header.first();
        }
        copy.read_groups(&*file, header.epoch, end, each)?;
        if end.is_some_and(|end| copy.at.offset != end) {
            return self.unsound(copy.at);
        }
        // A segment without a group may not even be durable.
        let is_begun = end.is_some() || copy.at.offset > header.first().offset;
        if copy.bytes.is_empty() || !is_begun {
            return Ok(Followed::End);
        }
        self.cursor = Some(Cursor { at: copy.at, epoch: header.epoch });
        Ok(Followed::Piece(Piece {
            segment: at.segment,
            epoch: header.epoch,
            start: at.offset,
            bytes: copy.bytes,
            is_tail: end.is_none(),
        }))
    }

    /// What to make of a segment that has no file.
    fn missing(&self, at: Position) -> Result<Followed, LogError> {
        let newest = self.numbers()?.into_iter().max();
        // Behind the newest there is nothing; a log that ends before it was read to is another one.
        Ok(match newest {
            Some(newest) if newest >= at.segment => Followed::Gone,
            Some(_) | None => Followed::Diverged,
        })
    }

    /// What to make of a place where there must be something: the file may have been let go meanwhile.
    fn unsound(&self, at: Position) -> Result<Followed, LogError> {
        if self.header(at.segment)?.is_none() && !self.numbers()?.contains(&at.segment) {
            return Ok(Followed::Gone);
        }
        Err(damaged(at.segment, at.offset, "a group is not sound"))
    }

    fn is_epoch_of(&self, segment: u64, epoch: u64) -> Result<bool, LogError> {
        // A segment that was let go tells nothing any more; the sequence that follows does.
        Ok(self.header(segment)?.is_none_or(|header| header.epoch == epoch))
    }

    fn header(&self, number: u64) -> Result<Option<SegmentHeader>, LogError> {
        match self.open(number)? {
            Some(file) => SegmentHeader::read(&*file, number),
            None => Ok(None),
        }
    }

    fn open(&self, number: u64) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
        match self.disk.open(&name_of(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    fn numbers(&self) -> Result<Vec<u64>, LogError> {
        Ok(self.disk.list()?.iter().filter_map(|name| number_of(name)).collect())
    }
}

/// Whether a segment that was begun by a later opening leaves out what was read last: a group that was written and
/// not acknowledged. There is at most one, as a group is written when the one before it is durable.
fn is_cut(read: Position, epoch: u64, next: &SegmentHeader) -> bool {
    next.epoch != epoch && next.sequence + 1 == read.sequence
}

/// What was read of a segment.
struct Copy {
    at: Position,
    bytes: Vec<u8>,
}

impl Copy {
    fn read_groups(
        &mut self,
        file: &dyn DiskFile,
        epoch: u64,
        end: Option<u32>,
        each: &mut dyn FnMut(&Group),
    ) -> Result<(), LogError> {
        while end.is_none_or(|end| self.at.offset < end) {
            let Some(group) = self.group(file, epoch)? else { return Ok(()) };
            if group.records().is_none() {
                let what = "a group has other records than it says";
                return Err(damaged(self.at.segment, self.at.offset, what));
            }
            each(&group);
            self.bytes.extend_from_slice(&group.bytes);
            self.at = group.end();
        }
        Ok(())
    }

    /// The group at the place where the copy is. Where there is none and another follows, it is either rotten or was
    /// written just now.
    fn group(&self, file: &dyn DiskFile, epoch: u64) -> Result<Option<Group>, LogError> {
        let found = read_group(file, epoch, self.at, Trust::Sound)?;
        if found.is_some() || !is_followed(file, Some(epoch), self.at)? {
            return Ok(found);
        }
        match read_group(file, epoch, self.at, Trust::Sound)? {
            Some(group) => Ok(Some(group)),
            None if SegmentHeader::read(file, self.at.segment)?.is_none() => Ok(None),
            None => {
                let what = "a group is not sound, and others follow it";
                Err(damaged(self.at.segment, self.at.offset, what))
            }
        }
    }
}
