//! A row as the index stores it.
//!
//! ```text
//! row    version:u64 | segment:u64 | offset:u32 | length:u32 | crc:u32 | value, if it is short
//! ```
//!
//! `segment` and `offset` say where the log has the value, `length` and `crc` (CRC-32C) what it is. A short
//! value is here as well, so that reading it needs no other file.

use bytes::Bytes;
use tidelock_log::{Place, checksum};

use crate::Version;

/// Longest value that the index has, too: heads and versions of objects, not bodies.
pub(super) const SHORT_VALUE_BYTES_MAX: usize = 1024;

/// Length of a row without its value.
const HEADER_BYTES: usize = 28;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<T> {
    /// With the row.
    Here(T),
    /// In the log alone.
    InLog(Place),
}

/// A stored row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) version: Version,
    pub(super) place: Place,
    rest: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) fn decode(stored: &'a [u8]) -> Result<Self, redb::Error> {
        Self::fields(stored).ok_or_else(|| corrupted("a row is shorter than its header"))
    }

    fn fields(stored: &'a [u8]) -> Option<Self> {
        let (version, rest) = stored.split_first_chunk()?;
        let (segment, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (crc, rest) = rest.split_first_chunk()?;
        let place = Place {
            segment: u64::from_be_bytes(*segment),
            offset: u32::from_be_bytes(*offset),
            len: u32::from_be_bytes(*len),
            crc: u32::from_be_bytes(*crc),
        };
        Some(Self { version: Version(u64::from_be_bytes(*version)), place, rest })
    }

    /// The version of a stored row, and where the log has its value.
    pub(super) fn place_of(stored: &'a [u8]) -> Result<(Version, Place), redb::Error> {
        Self::decode(stored).map(|row| (row.version, row.place))
    }

    /// The value, if it is here and what it was.
    pub(super) fn value(&self) -> Result<Value<&'a [u8]>, redb::Error> {
        if self.place.len as usize > SHORT_VALUE_BYTES_MAX {
            return Ok(Value::InLog(self.place));
        }
        if self.rest.len() != self.place.len as usize || checksum(self.rest) != self.place.crc {
            return Err(corrupted("a value in the index is not what was written"));
        }
        Ok(Value::Here(self.rest))
    }
}

/// A row, to be stored.
pub(super) fn encode(version: Version, place: Place, value: &[u8]) -> Bytes {
    let value = if value.len() <= SHORT_VALUE_BYTES_MAX { value } else { &[] };
    let mut stored = Vec::with_capacity(HEADER_BYTES + value.len());
    stored.extend_from_slice(&version.0.to_be_bytes());
    stored.extend_from_slice(&place.segment.to_be_bytes());
    stored.extend_from_slice(&place.offset.to_be_bytes());
    stored.extend_from_slice(&place.len.to_be_bytes());
    stored.extend_from_slice(&place.crc.to_be_bytes());
    stored.extend_from_slice(value);
    Bytes::from(stored)
}

fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}
