//! What is written with one sync: a header and its records, on pages of their own. Bytes only, no disk.
//!
//! ```text
//! group    magic "TLG1":4 | crc:u32 | payload:u32 | records:u32 | segment:u64 | epoch:u64
//!          | sequence:u64 | version:u64 | time:u64 | payload | zeros up to the next page
//! record   kind:u8 (1 put, 2 delete) | 0:u8 | key:u16 | value:u32 | value crc:u32 | version:u64
//!          | key | value
//! ```
//!
//! `crc` covers everything behind itself up to the next page. A group that is cut off, torn, or left over from the segment whose file this one reuses is therefore not valid: the first two
//! fail the checksum, the third names another segment. The epoch, which nobody can guess from
//! outside, keeps a value that looks like a group from being one.

use crate::codec::{Reader, checksum};
use crate::{Place, Position};

/// Groups begin on a page, so that no page that holds something acknowledged is written again.
pub const PAGE_BYTES: usize = 4096;

/// Length of a group's header.
pub(crate) const HEADER_BYTES: usize = 56;

/// Length of a record without its key and value.
pub(crate) const RECORD_BYTES: usize = 20;

const MAGIC: [u8; 4] = *b"TLG1";

/// What the checksum does not cover: the magic and itself.
const UNCOVERED_BYTES: usize = 8;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// The length of `bytes` in whole pages.
pub(crate) fn in_pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_BYTES)
}

/// The bytes that a record takes in a group.
pub fn record_bytes(key: &[u8], value_bytes: usize) -> usize {
    RECORD_BYTES + key.len() + value_bytes
}

/// Says where a group stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) records: u32,
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) version: u64,
    pub(crate) time: u64,
}

impl GroupHeader {
    /// None when `bytes` do not begin as a group does. The checksum is not looked at.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.array()? != MAGIC {
            return None;
        }
        reader.u32()?;
        Some(Self {
            payload_bytes: reader.u32()?,
            records: reader.u32()?,
            segment: reader.u64()?,
            epoch: reader.u64()?,
            sequence: reader.u64()?,
            version: reader.u64()?,
            time: reader.u64()?,
        })
    }

    /// Length of the group in whole pages.
    pub(crate) fn group_bytes(&self) -> usize {
        in_pages(HEADER_BYTES + self.payload_bytes as usize)
    }

    fn encode_into(self, group: &mut [u8]) {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&self.payload_bytes.to_be_bytes());
        header.extend_from_slice(&self.records.to_be_bytes());
        for number in [self.segment, self.epoch, self.sequence, self.version, self.time] {
            header.extend_from_slice(&number.to_be_bytes());
        }
        group[..HEADER_BYTES].copy_from_slice(&header);
        let crc = checksum(&group[UNCOVERED_BYTES..]);
        group[4..UNCOVERED_BYTES].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Which bytes are taken for what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that have their checksum.
    Sound,
    /// All: the simulation has taken the check away.
    All,
}

impl Trust {
    /// Whether `group`, in whole pages, is what was written.
    pub(crate) fn takes_group(self, group: &[u8]) -> bool {
        let stored = Reader(&group[4..]).u32();
        self == Self::All || stored == Some(checksum(&group[UNCOVERED_BYTES..]))
    }

    /// Whether `value` is what was written.
    pub(crate) fn takes_value(self, value: &[u8], crc: u32) -> bool {
        self == Self::All || checksum(value) == crc
    }
}

/// A group that is being put together, for one place in the log.
#[derive(Debug)]
pub struct GroupBuilder {
    bytes: Vec<u8>,
    records: u32,
    at: Position,
}

impl GroupBuilder {
    /// An empty group at `at`, in memory that is used again.
    pub(crate) fn new(at: Position, mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(HEADER_BYTES, 0);
        Self { bytes: memory, records: 0, at }
    }

    /// Puts a row; answers where its value will be.
    pub fn put(&mut self, key: &[u8], version: u64, value: &[u8]) -> Place {
        let crc = checksum(value);
        self.record(PUT, key, version, value.len(), crc);
        let offset = self.at.offset + self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        Place { segment: self.at.segment, offset, len: value.len() as u32, crc }
    }

    /// Deletes a row.
    pub fn delete(&mut self, key: &[u8], version: u64) {
        self.record(DELETE, key, version, 0, 0);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The bytes so far, those of the header included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    fn record(&mut self, kind: u8, key: &[u8], version: u64, value_bytes: usize, crc: u32) {
        self.records += 1;
        self.bytes.extend_from_slice(&[kind, 0]);
        self.bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(&(value_bytes as u32).to_be_bytes());
        self.bytes.extend_from_slice(&crc.to_be_bytes());
        self.bytes.extend_from_slice(&version.to_be_bytes());
        self.bytes.extend_from_slice(key);
    }

    pub(crate) fn at(&self) -> Position {
        self.at
    }

    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// The group as it is written, in whole pages.
    pub(crate) fn finish(mut self, epoch: u64, sequence: u64, stamp: Stamp) -> Vec<u8> {
        let Stamp { version, time } = stamp;
        let header = GroupHeader {
            payload_bytes: (self.bytes.len() - HEADER_BYTES) as u32,
            records: self.records,
            segment: self.at.segment,
            epoch,
            sequence,
            version,
            time,
        };
        self.bytes.resize(header.group_bytes(), 0);
        header.encode_into(&mut self.bytes);
        self.bytes
    }
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The number of the last commit before or in it.
    pub version: u64,
    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z; not before the time of the group
    /// before it, which its writer sees to.
    pub time: u64,
}

/// One change of a row, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The row has this value from here on.
    Put {
        /// Its key.
        key: &'a [u8],
        /// The commit that wrote it.
        version: u64,
        /// Its value.
        value: &'a [u8],
        /// Where the value is.
        place: Place,
    },
    /// There is no such row from here on.
    Delete {
        /// Its key.
        key: &'a [u8],
        /// The commit that deleted it.
        version: u64,
    },
}

/// A group that was read and found sound.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) header: GroupHeader,
    pub(crate) at: Position,
    pub(crate) bytes: Vec<u8>,
}

impl Group {
    /// The number of the last commit before or in this group.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z; never before the group before it.
    pub fn time(&self) -> u64 {
        self.header.time
    }

    /// Where it begins.
    pub fn at(&self) -> Position {
        self.at
    }

    /// Where the next group of the same segment would begin.
    pub fn end(&self) -> Position {
        let pages = self.header.group_bytes() as u32;
        Position {
            segment: self.at.segment,
            offset: self.at.offset + pages,
            sequence: self.header.sequence + 1,
        }
    }

    /// Its records, in order; none when they are not what a sound group has.
    pub fn records(&self) -> Option<Vec<Record<'_>>> {
        let payload_end = HEADER_BYTES + self.header.payload_bytes as usize;
        let mut reader = Reader(&self.bytes[HEADER_BYTES..payload_end]);
        let mut records = Vec::new();
        while !reader.0.is_empty() {
            records.push(self.record(&mut reader)?);
        }
        (records.len() == self.header.records as usize).then_some(records)
    }

    fn record<'a>(&'a self, reader: &mut Reader<'a>) -> Option<Record<'a>> {
        let kind = reader.u8()?;
        reader.u8()?;
        let key_bytes = reader.u16()?;
        let len = reader.u32()?;
        let crc = reader.u32()?;
        let version = reader.u64()?;
        let key = reader.bytes(key_bytes as usize)?;
        let payload_end = HEADER_BYTES + self.header.payload_bytes as usize;
        let offset = self.at.offset + (payload_end - reader.0.len()) as u32;
        let value = reader.bytes(len as usize)?;
        match kind {
            PUT => {
                let place = Place { segment: self.at.segment, offset, len, crc };
                Some(Record::Put { key, version, value, place })
            }
            DELETE if len == 0 => Some(Record::Delete { key, version }),
            _ => None,
        }
    }
}
