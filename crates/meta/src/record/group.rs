//! A group of users: what its members may do. Who they are stands in the row of each user.
//!
//! ```text
//! key    19 | name
//! value  01 | created_ms:i64 | policies: list of (name:text, document:text)
//! ```

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "group";
const LAYOUT: u8 = 1;

/// The row of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// When it was made.
    pub created_ms: i64,
    /// What its members may do: named documents, by name.
    pub policies: Vec<(String, String)>,
}

/// The key of a group.
pub fn key(name: &str) -> Key {
    let mut writer = Writer::key(Tag::Group);
    writer.raw(name.as_bytes());
    writer.finish()
}

/// The keys of all groups.
pub fn range() -> KeyRange {
    KeyRange::prefix(&key(""))
}

/// The name in a group's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    Reader::key(RECORD, Tag::Group, key)?.rest_text()
}

impl GroupRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.created_ms);
        writer.pairs(&self.policies);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self { created_ms: reader.i64()?, policies: reader.pairs()? };
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
            created_ms: i64, name: String, policies: Vec<(String, String)>,
        ) {
            let row = GroupRow { created_ms, policies };
            prop_assert_eq!(GroupRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = GroupRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }

    #[test]
    fn the_layout_stays() {
        let policies = vec![("p".to_owned(), "{}".to_owned())];
        let stored = b"\x01\0\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\x01p\0\0\0\x02{}";
        let row = GroupRow { created_ms: 7, policies };
        assert_eq!(row.encode(), stored.as_slice());
        assert_eq!(key("ops"), b"\x19ops".as_slice());
    }
}
