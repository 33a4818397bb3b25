//! A role: what somebody may be for a while, who may become it, and what it may do then.
//!
//! ```text
//! key    18 | name
//! value  01 | id:text | trust policy:text | policies: list of (name:text, document:text)
//!        | session_max_s:u32 | created_ms:i64
//! ```

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "role";
const LAYOUT: u8 = 1;

/// The row of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRow {
    /// `AROA` and more: a role made again under its name has another.
    pub id: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// What it may do: named documents, by name.
    pub policies: Vec<(String, String)>,
    /// The longest session, in seconds.
    pub session_max_s: u32,
    /// When it was made.
    pub created_ms: i64,
}

/// The key of a role.
pub fn key(name: &str) -> Key {
    let mut writer = Writer::key(Tag::Role);
    writer.raw(name.as_bytes());
    writer.finish()
}

/// The keys of all roles.
pub fn range() -> KeyRange {
    KeyRange::prefix(&key(""))
}

/// The name in a role's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    Reader::key(RECORD, Tag::Role, key)?.rest_text()
}

impl RoleRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.id);
        writer.text(&self.trust_policy);
        writer.pairs(&self.policies);
        writer.u32(self.session_max_s);
        writer.i64(self.created_ms);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            id: reader.text()?,
            trust_policy: reader.text()?,
            policies: reader.pairs()?,
            session_max_s: reader.u32()?,
            created_ms: reader.i64()?,
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
            texts: (String, String, String), policies: Vec<(String, String)>, session_max_s: u32,
            created_ms: i64,
        ) {
            let (id, trust_policy, name) = texts;
            let row = RoleRow { id, trust_policy, policies, session_max_s, created_ms };
            prop_assert_eq!(RoleRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = RoleRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
