//! The log of one directory, as its one writer has it: appends groups, syncs them, and lets the oldest
//! segments go.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::fence::Fence;
use crate::group::{
    Group, GroupBuilder, GroupHeader, HEADER_BYTES, PAGE_BYTES, Stamp, Trust, in_pages,
};
use crate::reader::LogReader;
use crate::recovery::{self, End, Headers, damaged};
use crate::segment::{self, SegmentHeader, name_of, read_group};
use crate::spares::{self, Spares};
use crate::{LogError, Position};

/// Room of a segment unless it is said otherwise.
const SEGMENT_BYTES_DEFAULT: u32 = 16 << 20;

/// Most room that is asked for at once.
const RESERVED_BYTES: u32 = 4 << 20;

/// No room is asked for while less than this is free: a file system may give its last, although it is not enough.
const RESERVING_FREE_BYTES_MIN: u64 = 256 << 20;

/// How a log is opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogOptions {
    /// Room of a segment, its header included; a group has to fit into it.
    pub segment_bytes: u32,
    /// Random: keeps what a user stores from looking like a part of the log.
    pub tag: u64,
    /// What is left out, for the simulation, which must find out.
    pub sabotage: Option<Sabotage>,
}

/// What a log can be made to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Groups are not synced.
    Sync,
    /// Checksums are not looked at.
    Checksum,
    /// Nobody asks who may write.
    Epoch,
}

impl LogOptions {
    /// Segments of 16 MiB.
    pub fn new(tag: u64) -> Self {
        Self { segment_bytes: SEGMENT_BYTES_DEFAULT, tag, sabotage: None }
    }

    fn trust(&self) -> Trust {
        if self.sabotage == Some(Sabotage::Checksum) { Trust::All } else { Trust::Sound }
    }
}

/// Whether a file of this name belongs to a log; the one that says who may write to it does not.
pub fn is_file_of_log(name: &str) -> bool {
    segment::number_of(name).is_some() || spares::is_spare(name)
}

/// An open log.
pub struct Log {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    fence: Arc<Fence>,
    reader: LogReader,
    head: Head,
    /// The segments before the head, and where their groups end.
    sealed: BTreeMap<u64, Sealed>,
    /// The sum of those ends: asked for with every group.
    sealed_bytes: u64,
    spares: Spares,
    /// Something was written since the last sync.
    is_dirty: bool,
    /// Memory of the group before.
    memory: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Sealed {
    epoch: u64,
    end: u32,
    first: Position,
}

/// The segment that is written.
struct Head {
    file: Arc<dyn DiskFile>,
    first: Position,
    at: Position,
    version: u64,
    /// Up to where there was asked for room.
    reserved: u32,
}

impl Log {
    /// Opens the log on `disk`, to which `fence` gives the right, hands every group from `from` on to `each`
    /// (none: from the first on), and begins a segment of its own.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when something acknowledged is not there; the log is as it was then. Others as
    /// they say; and what `each` answers.
    pub fn open<E: From<LogError>>(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        fence: Arc<Fence>,
        from: Option<Position>,
        each: &mut dyn FnMut(&Group) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (headers, unfinished) = recovery::headers(&*disk)?;
        let trust = options.trust();
        let end = recovery::replay(&*disk, &headers, from, trust, each)?;
        Ok(Self::begin(disk, options, fence, &headers, unfinished, end)?)
    }

    fn begin(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        fence: Arc<Fence>,
        headers: &Headers,
        unfinished: Option<u64>,
        end: Option<End>,
    ) -> Result<Self, LogError> {
        if let Some(number) = unfinished {
            disk.remove(&name_of(number))?;
        }
        if let Some(header) = headers.values().next_back() {
            recovery::make_durable(&*disk, header, end.as_ref())?;
        }
        let reader = LogReader::new(Arc::clone(&disk), options.trust());
        let End { at, version, .. } = end.unwrap_or(End::OF_NOTHING);
        let mut sealed = BTreeMap::new();
        for (number, header) in headers {
            let next = headers.get(&(number + 1));
            let end = next.map_or(at.offset, |next| next.previous_end);
            sealed.insert(*number, Sealed { epoch: header.epoch, end, first: header.first() });
            reader.add(*number, None);
        }
        let mut spares = Spares::new(&*disk)?;
        fence.check()?;
        let head = Head::start(&*disk, &options, fence.epoch(), &mut spares, at, version)?;
        reader.add(head.at.segment, Some(Arc::clone(&head.file)));
        let (memory, is_dirty) = (Vec::new(), false);
        let sealed_bytes = sealed.values().map(|sealed| u64::from(sealed.end)).sum();
        Ok(Self {
            disk,
            options,
            fence,
            reader,
            head,
            sealed,
            sealed_bytes,
            spares,
            is_dirty,
            memory,
        })
    }

    /// Begins a group that will have at most `payload_bytes` of records.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`] when there is no room for another segment, and [`LogError::TooManyFiles`] when its file cannot be
    /// opened; the log goes on. The others end it.
    pub fn begin_group(&mut self, payload_bytes: usize) -> Result<GroupBuilder, LogError> {
        let pages = in_pages(HEADER_BYTES + payload_bytes);
        if pages > self.options.segment_bytes as usize - PAGE_BYTES {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "larger than a segment");
            return Err(LogError::Io(error));
        }
        if self.head.at.offset as usize + pages > self.options.segment_bytes as usize {
            self.seal()?;
        }
        Ok(GroupBuilder::new(self.head.at, std::mem::take(&mut self.memory)))
    }

    /// Most bytes of records of a group.
    pub fn payload_bytes_max(&self) -> usize {
        self.options.segment_bytes as usize - PAGE_BYTES - HEADER_BYTES
    }

    /// Most bytes of records of a group that still fits into the segment that is written.
    pub fn room_bytes(&self) -> usize {
        let left = self.options.segment_bytes.saturating_sub(self.head.at.offset) as usize;
        left.saturating_sub(HEADER_BYTES)
    }

    /// Writes `group`, which [`Log::begin_group`] has given last.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`] when there is no room: nothing is written, and the log goes on.
    pub fn append(&mut self, group: GroupBuilder, stamp: Stamp) -> Result<(), LogError> {
        let Position { segment, offset, sequence } = self.head.at;
        debug_assert_eq!(group.at(), self.head.at);
        let bytes = group.finish(self.fence.epoch(), sequence, stamp);
        self.fence.check()?;
        self.is_dirty = true;
        self.reserve(offset + bytes.len() as u32);
        let written = self.head.file.write_at(&bytes, u64::from(offset));
        let pages = bytes.len() as u32;
        self.memory = bytes;
        if let Err(error) = written.map_err(LogError::from) {
            self.take_back(offset)?;
            return Err(error);
        }
        self.head.version = stamp.version;
        self.head.at = Position { segment, offset: offset + pages, sequence: sequence + 1 };
        Ok(())
    }

    /// Asks for room for what is written up to `end`, and for what comes next: a sync of bytes that have none changes
    /// the file system's maps too, and writes 20 KiB to the journal of an ext4 instead of 12. For no more than is
    /// written: a segment that is never filled, as each start of a server begins one, does not take a disk.
    fn reserve(&mut self, end: u32) {
        let (from, segment_bytes) = (self.head.reserved, self.options.segment_bytes);
        if end <= from {
            return;
        }
        let until = end.saturating_add(end.min(RESERVED_BYTES)).min(segment_bytes);
        self.head.reserved = until;
        if self.disk.free_bytes().is_ok_and(|free| free >= RESERVING_FREE_BYTES_MIN) {
            self.head.file.reserve(from.into(), (until - from).into());
        }
    }

    /// Forgets a group that [`Log::begin_group`] has given last.
    pub fn discard(&mut self, group: GroupBuilder) {
        self.memory = group.into_memory();
    }

    /// Sees that a group that did not find room is none: all that counts may have been written.
    fn take_back(&self, offset: u32) -> Result<(), LogError> {
        let (file, offset) = (&self.head.file, u64::from(offset));
        let Err(error) = file.write_at(&[0; HEADER_BYTES], offset) else {
            return file.sync().map_err(LogError::of_sync);
        };
        // If not even its beginning has found room, there is nothing to take back.
        let mut header = [0; HEADER_BYTES];
        match file.read_at(&mut header, offset) {
            Ok(()) if GroupHeader::decode(&header).is_none() => Ok(()),
            Ok(()) | Err(_) => Err(LogError::of_sync(error)),
        }
    }

    /// Makes all groups durable that were written, and sees that this process may still write.
    ///
    /// # Errors
    ///
    /// The log must not be used again after one: a second sync would not tell what the first has lost.
    pub fn sync(&mut self) -> Result<(), LogError> {
        if self.is_dirty && self.options.sabotage != Some(Sabotage::Sync) {
            self.head.file.sync().map_err(LogError::of_sync)?;
        }
        self.is_dirty = false;
        self.fence.check()
    }

    /// Where the next group begins.
    pub fn position(&self) -> Position {
        self.head.at
    }

    /// Reads values, on any thread.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Bytes from the beginning of each segment to the end of its last group, together.
    pub fn used_bytes(&self) -> u64 {
        self.sealed_bytes + u64::from(self.head.at.offset)
    }

    /// The same of the segments before number `segment`, without the one that is written.
    pub fn used_bytes_before(&self, segment: u64) -> u64 {
        self.sealed.range(..segment).map(|(_, sealed)| u64::from(sealed.end)).sum()
    }

    /// How many segments there are.
    pub fn segments(&self) -> u64 {
        self.sealed.len() as u64 + 1
    }

    /// The oldest segment, if it is not the one that is written: where its first group begins.
    pub fn oldest(&self) -> Option<Position> {
        self.sealed.values().next().map(|sealed| sealed.first)
    }

    /// As [`Log::oldest`], of the segment after number `segment`.
    pub fn next_after(&self, segment: u64) -> Option<Position> {
        self.sealed.get(&(segment + 1)).map(|sealed| sealed.first)
    }

    /// The group at `at` in a segment before the one that is written; none at its end.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when there must be one and it is not sound.
    pub fn group(&self, at: Position) -> Result<Option<Group>, LogError> {
        let (Some(sealed), Some(file)) =
            (self.sealed.get(&at.segment), self.reader.file(at.segment)?)
        else {
            return Err(damaged(at.segment, at.offset, "there is no such segment"));
        };
        if at.offset >= sealed.end {
            return Ok(None);
        }
        match read_group(&*file, sealed.epoch, at, self.options.trust())? {
            Some(group) => Ok(Some(group)),
            None => Err(damaged(at.segment, at.offset, "a group is not sound")),
        }
    }

    /// Whether all groups of a segment before the one that is written are before `at`.
    pub fn is_end(&self, at: Position) -> bool {
        self.sealed.get(&at.segment).is_some_and(|sealed| at.offset >= sealed.end)
    }

    /// Lets the segments before number `segment` go, but not the one that is written: nothing in them is needed
    /// by any index that may be read again. One sync of names for all of them.
    ///
    /// # Errors
    ///
    /// What the disk answers. The log must not be used again then: some of their files may have other names.
    pub fn drop_before(&mut self, segment: u64) -> Result<(), LogError> {
        let kept = self.sealed.split_off(&segment);
        let dropped = std::mem::replace(&mut self.sealed, kept);
        if dropped.is_empty() {
            return Ok(());
        }
        // The oldest first: names change in this order, and what is left after a power cut has no gap.
        for (&number, sealed) in &dropped {
            self.fence.check()?;
            self.spares.keep(&*self.disk, number, sealed.epoch == self.fence.epoch())?;
        }
        // Before one of the files is written again: under its old name it would be a rotten segment.
        self.disk.sync().map_err(LogError::of_sync)?;
        for (number, sealed) in dropped {
            self.reader.remove(number);
            self.sealed_bytes -= u64::from(sealed.end);
        }
        Ok(())
    }

    /// Ends the segment that is written and begins the next one. All of the one is durable before the other is
    /// there, and its header and name are before anything stands in it or refers to it.
    fn seal(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let (epoch, spares) = (self.fence.epoch(), &mut self.spares);
        let Head { first, at, version, .. } = self.head;
        let next = Head::start(&*self.disk, &self.options, epoch, spares, at, version)?;
        self.reader.add(next.at.segment, Some(Arc::clone(&next.file)));
        self.sealed.insert(first.segment, Sealed { epoch, end: at.offset, first });
        self.sealed_bytes += u64::from(at.offset);
        self.head = next;
        Ok(())
    }
}

impl Head {
    /// Begins the segment after the one in which the groups so far end `at`, durably.
    fn start(
        disk: &dyn Disk,
        options: &LogOptions,
        epoch: u64,
        spares: &mut Spares,
        at: Position,
        version: u64,
    ) -> Result<Self, LogError> {
        let header = SegmentHeader {
            segment_bytes: options.segment_bytes,
            number: at.segment + 1,
            epoch,
            sequence: at.sequence,
            version,
            previous_end: at.offset,
        };
        let name = name_of(header.number);
        let file = spares.take(disk, &name)?;
        let begun = file
            .set_len(u64::from(options.segment_bytes))
            .and_then(|()| file.write_at(&header.encode(), 0));
        if let Err(error) = begun {
            // Its header may be whole, and would end the log where it is now.
            disk.remove(&name).and_then(|()| disk.sync()).map_err(LogError::of_sync)?;
            return Err(error.into());
        }
        file.sync().and_then(|()| disk.sync()).map_err(LogError::of_sync)?;
        Ok(Self { file, first: header.first(), at: header.first(), version, reserved: 0 })
    }
}
