//! The audit log's chain: where it begins and where it goes on. There is one row.
//!
//! ```text
//! key    14
//! value  01 | next:u64 | head:32 | first_kept:u64 | before_first:32 | bytes_kept:u64
//! ```
//! Whoever adds or drops segments checks and rewrites it, so that the chain never forks.

use bytes::Bytes;

use super::audit_segment::SegmentHash;
use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::Key;

const RECORD: &str = "audit chain";
const LAYOUT: u8 = 1;

/// The row of the chain; the default is the chain before its first segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditChainRow {
    /// Number of the next segment.
    pub next: u64,
    /// Hash of the last segment; zeros before the first.
    pub head: SegmentHash,
    /// Number of the first segment that is kept.
    pub first_kept: u64,
    /// Hash of the segment before it.
    pub before_first: SegmentHash,
    /// Bytes of the segments that are kept.
    pub bytes_kept: u64,
}

/// The key.
pub fn key() -> Key {
    Writer::key(Tag::AuditChain).finish()
}

impl AuditChainRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u64(self.next);
        writer.raw(&self.head);
        writer.u64(self.first_kept);
        writer.raw(&self.before_first);
        writer.u64(self.bytes_kept);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            next: reader.u64()?,
            head: reader.array()?,
            first_kept: reader.u64()?,
            before_first: reader.array()?,
            bytes_kept: reader.u64()?,
        };
        reader.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            next: u64, head: [u8; 32], first_kept: u64, before_first: [u8; 32], bytes_kept: u64,
        ) {
            let row = AuditChainRow { next, head, first_kept, before_first, bytes_kept };
            prop_assert_eq!(AuditChainRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = AuditChainRow::decode(&bytes);
        }
    }
}
