//! A user.
//!
//! ```text
//! key    08 | name
//! value  01 | canonical id:text | created_ms:i64
//! ```

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "user";
const LAYOUT: u8 = 1;

/// The row of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// 64 hex digits; the owner of buckets.
    pub canonical_id: String,
    /// When the user was made.
    pub created_ms: i64,
}

/// The key of a user.
pub fn key(name: &str) -> Key {
    let mut writer = Writer::key(Tag::User);
    writer.raw(name.as_bytes());
    writer.finish()
}

/// The keys of all users.
pub fn range() -> KeyRange {
    KeyRange::prefix(&key(""))
}

/// The name in a user's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::User, key)?;
    let name = reader.rest();
    String::from_utf8(name.to_vec()).map_err(|_| reader.error("name is not UTF-8"))
}

impl UserRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.canonical_id);
        writer.i64(self.created_ms);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self { canonical_id: reader.text()?, created_ms: reader.i64()? };
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
        fn rows_come_back(canonical_id: String, created_ms: i64, name: String) {
            let row = UserRow { canonical_id, created_ms };
            prop_assert_eq!(UserRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }
    }
}
