//! A lock that somebody was refused a moment ago: until when its body must stay readable.
//!
//! ```text
//! key    11 | bucket:16 | key of the state
//! value  01 | until_ms:i64
//! ```
//! Written blindly by whoever refuses, so that refusals do not wait for one another. It blocks
//! nothing and is listed nowhere.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "contended lock";
const LAYOUT: u8 = 1;

/// The row of a contended lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContendedRow {
    /// Whoever was refused reads the lock until then.
    pub until_ms: i64,
}

/// The key.
pub fn key(bucket: BucketId, state_key: &str) -> Key {
    let mut writer = Writer::key(Tag::Contended);
    writer.raw(&bucket.0);
    writer.raw(state_key.as_bytes());
    writer.finish()
}

/// The keys of all of a bucket.
pub fn range(bucket: BucketId) -> KeyRange {
    KeyRange::prefix(&key(bucket, ""))
}

impl ContendedRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.until_ms);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self { until_ms: reader.i64()? };
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
        fn rows_come_back(until_ms: i64) {
            let row = ContendedRow { until_ms };
            prop_assert_eq!(ContendedRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = ContendedRow::decode(&bytes);
        }
    }
}
