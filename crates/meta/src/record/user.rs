//! A user.
//!
//! ```text
//! key    08 | name
//! value  02 | canonical id:text | created_ms:i64 | policies: list of (name:text, document:text)
//! ```
//! Layout 01 is the same without policies.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "user";
const LAYOUT: u8 = 2;
const LAYOUT_WITHOUT_POLICIES: u8 = 1;

/// The row of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// 64 hex digits; the owner of buckets.
    pub canonical_id: String,
    /// When the user was made.
    pub created_ms: i64,
    /// What they may do: named documents, by name.
    pub policies: Vec<(String, String)>,
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
        writer.pairs(&self.policies);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let is_old = bytes.first() == Some(&LAYOUT_WITHOUT_POLICIES);
        let layout = if is_old { LAYOUT_WITHOUT_POLICIES } else { LAYOUT };
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let row = Self {
            canonical_id: reader.text()?,
            created_ms: reader.i64()?,
            policies: if is_old { Vec::new() } else { reader.pairs()? },
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
            canonical_id: String, created_ms: i64, name: String,
            policies: Vec<(String, String)>,
        ) {
            let row = UserRow { canonical_id, created_ms, policies };
            prop_assert_eq!(UserRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }
    }

    #[test]
    fn rows_without_policies_are_read() {
        let row = UserRow { canonical_id: "a".to_owned(), created_ms: 7, policies: Vec::new() };
        let mut old = row.encode().to_vec();
        old[0] = LAYOUT_WITHOUT_POLICIES;
        old.truncate(old.len() - 4);
        assert_eq!(UserRow::decode(&old).unwrap(), row);
    }
}
