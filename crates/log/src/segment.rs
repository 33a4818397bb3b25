//! A file of the log: a header page, then groups. Reads them one by one and tells where they end.
//!
//! ```text
//! header   magic "TIDELOG" 1:8 | crc:u32 | segment bytes:u32 | number:u64 | epoch:u64 | sequence:u64
//!          | version:u64 | previous end:u32 | zeros up to the next page
//! ```
//!
//! `crc` covers what is behind it up to `previous end`. `sequence` is that of the first group, `version`
//! the last commit before it, and `previous end` where the groups of the segment before end: 0 in the
//! first of all. The last byte of the magic is the format.

use std::io;

use crate::codec::{Reader, checksum};
use crate::disk::DiskFile;
use crate::group::{Group, GroupHeader, HEADER_BYTES, PAGE_BYTES, Trust};
use crate::{LogError, Position};

/// The newest format this version writes and reads.
pub const FORMAT: u8 = 1;

const MAGIC: [u8; 7] = *b"TIDELOG";
const SUFFIX: &str = ".log";
const HEADER_END: usize = 52;
const UNCOVERED_BYTES: usize = 12;

/// How much is read at once where nothing valid is expected.
const SEARCH_BYTES: usize = 256 << 10;

/// The name of segment `number`.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:016x}{SUFFIX}")
}

/// The number of the segment that has this name.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (name_of(number) == name).then_some(number)
}

/// Says what a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment_bytes: u32,
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) version: u64,
    pub(crate) previous_end: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.extend_from_slice(&MAGIC);
        page.push(FORMAT);
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&self.segment_bytes.to_be_bytes());
        for number in [self.number, self.epoch, self.sequence, self.version] {
            page.extend_from_slice(&number.to_be_bytes());
        }
        page.extend_from_slice(&self.previous_end.to_be_bytes());
        let crc = checksum(&page[UNCOVERED_BYTES..]);
        page[8..UNCOVERED_BYTES].copy_from_slice(&crc.to_be_bytes());
        page.resize(PAGE_BYTES, 0);
        page
    }

    /// None when the page is not the header of segment `number`: it was never finished, or is rotten.
    fn decode(page: &[u8], number: u64) -> Result<Option<Self>, LogError> {
        let mut reader = Reader(page);
        if reader.array() != Some(MAGIC) {
            return Ok(None);
        }
        match reader.u8() {
            Some(format) if format > FORMAT => {
                return Err(LogError::FormatTooNew { found: format, known: FORMAT });
            }
            _ => {}
        }
        let covered = page.get(UNCOVERED_BYTES..HEADER_END);
        if reader.u32() != covered.map(checksum) {
            return Ok(None);
        }
        Ok(Self::fields(&mut reader).filter(|header| header.number == number))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            segment_bytes: reader.u32()?,
            number: reader.u64()?,
            epoch: reader.u64()?,
            sequence: reader.u64()?,
            version: reader.u64()?,
            previous_end: reader.u32()?,
        })
    }

    /// Reads the header of segment `number` from its file.
    pub(crate) fn read(file: &dyn DiskFile, number: u64) -> Result<Option<Self>, LogError> {
        let mut page = vec![0; PAGE_BYTES];
        match file.read_at(&mut page, 0) {
            Ok(()) => Self::decode(&page, number),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where its first group begins.
    pub(crate) fn first(&self) -> Position {
        Position { segment: self.number, offset: PAGE_BYTES as u32, sequence: self.sequence }
    }
}

/// The group at `at`; none when there is none that is whole and sound and follows the one before.
pub(crate) fn read_group(
    file: &dyn DiskFile,
    epoch: u64,
    at: Position,
    trust: Trust,
) -> Result<Option<Group>, LogError> {
    let follows = |header: &GroupHeader| header.epoch == epoch && header.sequence == at.sequence;
    let mut bytes = vec![0; HEADER_BYTES];
    if !read_if_there(file, &mut bytes, at.offset)? {
        return Ok(None);
    }
    group_of(file, at, bytes, trust, follows)
}

/// The sound group of this segment at `at` whose header `belongs`.
pub(crate) fn group_at(
    file: &dyn DiskFile,
    at: Position,
    belongs: impl Fn(&GroupHeader) -> bool,
) -> Result<Option<Group>, LogError> {
    let mut bytes = vec![0; HEADER_BYTES];
    if !read_if_there(file, &mut bytes, at.offset)? {
        return Ok(None);
    }
    let group = group_of(file, at, bytes, Trust::Sound, belongs)?;
    Ok(group.map(|group| {
        let sequence = group.header.sequence;
        Group { at: Position { sequence, ..at }, ..group }
    }))
}

/// The group at `at` whose header is in `bytes`, if it is sound.
fn group_of(
    file: &dyn DiskFile,
    at: Position,
    mut bytes: Vec<u8>,
    trust: Trust,
    follows: impl Fn(&GroupHeader) -> bool,
) -> Result<Option<Group>, LogError> {
    let Some(header) = GroupHeader::decode(&bytes) else { return Ok(None) };
    if header.segment != at.segment || !follows(&header) {
        return Ok(None);
    }
    let end = u64::from(at.offset) + header.group_bytes() as u64;
    if end > file.size()? {
        return Ok(None);
    }
    bytes.resize(header.group_bytes(), 0);
    file.read_at(&mut bytes[HEADER_BYTES..], u64::from(at.offset) + HEADER_BYTES as u64)?;
    Ok(trust.takes_group(&bytes).then_some(Group { header, at, bytes }))
}

/// Whether a valid group of this segment (of `epoch`, or any) stands behind `at`, where there is none. Then
/// what is at `at` was acknowledged once, for a group is written only when the one before is durable.
pub(crate) fn is_followed(
    file: &dyn DiskFile,
    epoch: Option<u64>,
    at: Position,
) -> Result<bool, LogError> {
    let len = file.size()?;
    let mut start = u64::from(at.offset);
    let mut read = Vec::new();
    while start < len {
        read.resize(SEARCH_BYTES.min((len - start) as usize), 0);
        file.read_at(&mut read, start)?;
        for (page, bytes) in read.chunks(PAGE_BYTES).enumerate() {
            let Some(head) = bytes.get(..HEADER_BYTES) else { continue };
            let offset = start as u32 + (page * PAGE_BYTES) as u32;
            let there = Position { offset, ..at };
            let later = |header: &GroupHeader| {
                epoch.is_none_or(|epoch| header.epoch == epoch) && header.sequence > at.sequence
            };
            if group_of(file, there, head.to_vec(), Trust::Sound, later)?.is_some() {
                return Ok(true);
            }
        }
        start += read.len() as u64;
    }
    Ok(false)
}

fn read_if_there(file: &dyn DiskFile, bytes: &mut [u8], offset: u32) -> Result<bool, LogError> {
    match file.read_at(bytes, u64::from(offset)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}
