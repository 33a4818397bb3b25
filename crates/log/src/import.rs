//! Writes a log from a copy of it, up to a time: as it was if the process had ended there.

use std::sync::Arc;

use crate::disk::Disk;
use crate::group::{PAGE_BYTES, Trust};
use crate::recovery::damaged;
use crate::segment::{SegmentHeader, name_of, read_group};
use crate::{LogError, Position};

/// Writes segments, oldest first, to a disk that has none.
pub struct Import {
    disk: Arc<dyn Disk>,
    /// In milliseconds since 1970; none: to the end.
    until: Option<u64>,
    next: Option<Position>,
    report: Imported,
    is_over: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Files.
    pub segments: u64,
    /// Groups in them.
    pub groups: u64,
    /// Their bytes, with those of the header pages.
    pub bytes: u64,
    /// The time of the last group, in milliseconds since 1970; 0 if there is none.
    pub time: u64,
}

impl Import {
    /// Writes to `disk` all groups that are not later than `until`.
    pub fn new(disk: Arc<dyn Disk>, until: Option<u64>) -> Self {
        Self { disk, until, next: None, report: Imported::default(), is_over: false }
    }

    /// Writes segment `number`, whose file has these `bytes` up to the end of its last group. False when
    /// a group was later than asked for: then there is no need for another segment.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when the bytes are not those of that segment, or do not follow those before;
    /// what the disk answers.
    pub fn segment(&mut self, number: u64, bytes: &[u8]) -> Result<bool, LogError> {
        if self.is_over {
            return Ok(false);
        }
        let file = self.disk.create(&name_of(number))?;
        file.write_at(bytes, 0)?;
        let Some(header) = SegmentHeader::read(&*file, number)? else {
            return Err(damaged(number, 0, "the header of the segment is not sound"));
        };
        if let Some(Position { segment, offset, sequence }) = self.next {
            let follows =
                segment == number && offset == header.previous_end && sequence == header.sequence;
            if !follows {
                return Err(damaged(number, 0, "the segment does not follow the one before it"));
            }
        }
        let mut at = header.first();
        while (at.offset as usize) < bytes.len() {
            let Some(group) = read_group(&*file, header.epoch, at, Trust::Sound)? else {
                return Err(damaged(number, at.offset, "a group is not sound"));
            };
            if self.until.is_some_and(|until| group.time() > until) {
                self.is_over = true;
                break;
            }
            at = group.end();
            self.report.groups += 1;
            self.report.time = group.time();
        }
        file.set_len(u64::from(at.offset))?;
        file.sync()?;
        self.next = Some(Position { segment: number + 1, ..at });
        self.report.segments += 1;
        self.report.bytes += u64::from(at.offset).max(PAGE_BYTES as u64);
        Ok(!self.is_over)
    }

    /// Makes the names durable, and says what was written.
    ///
    /// # Errors
    ///
    /// What the disk answers.
    pub fn finish(self) -> Result<Imported, LogError> {
        self.disk.sync()?;
        Ok(self.report)
    }
}
