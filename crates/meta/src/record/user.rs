//! A user.
//!
//! ```text
//! key    08 | name
//! value  03 | canonical id:text | created_ms:i64 | policies: list of (name:text, document:text)
//!        | groups: list of name:text
//! ```
//! Layout 02 is the same without groups, and layout 01 without policies. Who is in no group is written in
//! layout 02: servers that know no groups read it.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "user";
const LAYOUT: u8 = 3;
const LAYOUT_WITHOUT_GROUPS: u8 = 2;
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
    /// The names of the groups that they are in, in order.
    pub groups: Vec<String>,
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
    Reader::key(RECORD, Tag::User, key)?.rest_text()
}

impl UserRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let has_groups = !self.groups.is_empty();
        let mut writer = Writer::value(if has_groups { LAYOUT } else { LAYOUT_WITHOUT_GROUPS });
        writer.text(&self.canonical_id);
        writer.i64(self.created_ms);
        writer.pairs(&self.policies);
        if has_groups {
            writer.list(&self.groups, |writer, name| writer.text(name));
        }
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let layout = match bytes.first() {
            Some(&layout @ (LAYOUT_WITHOUT_POLICIES | LAYOUT_WITHOUT_GROUPS)) => layout,
            Some(_) | None => LAYOUT,
        };
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let (has_policies, has_groups) = (layout > LAYOUT_WITHOUT_POLICIES, layout == LAYOUT);
        let row = Self {
            canonical_id: reader.text()?,
            created_ms: reader.i64()?,
            policies: if has_policies { reader.pairs()? } else { Vec::new() },
            groups: if has_groups { reader.list(Reader::text)? } else { Vec::new() },
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
            policies: Vec<(String, String)>, groups: Vec<String>,
        ) {
            let row = UserRow { canonical_id, created_ms, policies, groups };
            prop_assert_eq!(UserRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = UserRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }

    #[test]
    fn rows_of_all_layouts_are_read() {
        const HEAD: &[u8] = b"\0\0\0\x01a\0\0\0\0\0\0\0\x07";
        const POLICY: &[u8] = b"\0\0\0\x01\0\0\0\x01p\0\0\0\x02{}";
        const GROUPS: &[u8] = b"\0\0\0\x02\0\0\0\x01g\0\0\0\x01h";
        let row = |policies: &[(&str, &str)], groups: &[&str]| UserRow {
            canonical_id: "a".to_owned(),
            created_ms: 7,
            policies: policies.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect(),
            groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        };
        // What is stored, what it says, and whether it is written like this.
        let rows: [(&[&[u8]], UserRow, bool); 4] = [
            (&[b"\x01", HEAD], row(&[], &[]), false),
            (&[b"\x02", HEAD, b"\0\0\0\0"], row(&[], &[]), true),
            (&[b"\x02", HEAD, POLICY], row(&[("p", "{}")], &[]), true),
            (&[b"\x03", HEAD, POLICY, GROUPS], row(&[("p", "{}")], &["g", "h"]), true),
        ];
        for (stored, row, is_written) in rows {
            let stored = stored.concat();
            assert_eq!(UserRow::decode(&stored).unwrap(), row);
            assert_eq!(row.encode() == stored, is_written, "{row:?}");
        }
    }
}
