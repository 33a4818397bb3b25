//! A segment of the audit log's chain: entries that nothing changes any more.
//!
//! ```text
//! key    13 | number:u64
//! value  01 | previous:32 | hash:32 | first_ms:i64 | last_ms:i64 | count:u32 | sealed
//! ```
//! `hash` is SHA-256 of `previous | number:u64 | plain`, where `plain` is the entries one after another
//! as [`super::audit_entry`] draws them: the keys they are sealed with play no part in it.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "audit segment";
const LAYOUT: u8 = 1;

/// Hash of a segment.
pub type SegmentHash = [u8; 32];

/// The row of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSegmentRow {
    /// Hash of the segment before.
    pub previous: SegmentHash,
    /// Its own hash.
    pub hash: SegmentHash,
    /// The earliest time of its entries.
    pub first_ms: i64,
    /// The latest time of its entries.
    pub last_ms: i64,
    /// Entries.
    pub count: u32,
    /// The entries.
    pub sealed: Vec<u8>,
}

/// The key of a segment.
pub fn key(number: u64) -> Key {
    let mut writer = Writer::key(Tag::AuditSegment);
    writer.u64(number);
    writer.finish()
}

/// The keys of all segments, in the order of the chain.
pub fn range() -> KeyRange {
    KeyRange::prefix(&Writer::key(Tag::AuditSegment).finish())
}

/// The number in a segment's key.
pub fn decode_key(key: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::AuditSegment, key)?;
    let number = reader.u64()?;
    reader.end()?;
    Ok(number)
}

impl AuditSegmentRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.raw(&self.previous);
        writer.raw(&self.hash);
        writer.i64(self.first_ms);
        writer.i64(self.last_ms);
        writer.u32(self.count);
        writer.raw(&self.sealed);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        Ok(Self {
            previous: reader.array()?,
            hash: reader.array()?,
            first_ms: reader.i64()?,
            last_ms: reader.i64()?,
            count: reader.u32()?,
            sealed: reader.rest().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            number: u64, previous: [u8; 32], hash: [u8; 32], first_ms: i64, last_ms: i64,
            count: u32, sealed: Vec<u8>,
        ) {
            let row = AuditSegmentRow { previous, hash, first_ms, last_ms, count, sealed };
            prop_assert_eq!(AuditSegmentRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(number)).unwrap(), number);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = AuditSegmentRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
