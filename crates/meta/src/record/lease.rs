//! A lease: who does a job that one server at a time does, and until when.
//!
//! ```text
//! key    0C | name
//! value  01 | owner:16 | expires_ms:i64
//! ```
//! Leases say something of the servers that run, nothing of what is stored: a copy of a store has none.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "lease";
const LAYOUT: u8 = 1;

/// The row of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// The server that has it.
    pub owner: [u8; 16],
    /// Its holder stops relying on it at this time of its own clock, unless it was renewed.
    pub expires_ms: i64,
}

/// The key of a lease.
pub fn key(name: &str) -> Key {
    let mut writer = Writer::key(Tag::Lease);
    writer.raw(name.as_bytes());
    writer.finish()
}

/// The keys of all leases whose names begin with `prefix`.
pub fn range(prefix: &str) -> KeyRange {
    KeyRange::prefix(&key(prefix))
}

/// The name in a lease's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    Reader::key(RECORD, Tag::Lease, key)?.rest_text()
}

impl LeaseRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.raw(&self.owner);
        writer.i64(self.expires_ms);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self { owner: reader.array()?, expires_ms: reader.i64()? };
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
        fn rows_come_back(owner: [u8; 16], expires_ms: i64, name: String) {
            let row = LeaseRow { owner, expires_ms };
            prop_assert_eq!(LeaseRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = LeaseRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
