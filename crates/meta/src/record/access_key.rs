//! An access key: whose it is, and its secret, sealed by the keyring.
//!
//! ```text
//! key    09 | access key id
//! value  01 | user:text | sealed secret:bytes | created_ms:i64
//! ```

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "access key";
const LAYOUT: u8 = 1;

/// The row of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyRow {
    /// Name of the user it belongs to.
    pub user: String,
    /// The secret access key, sealed and bound to the access key id.
    pub sealed_secret: Vec<u8>,
    /// When it was made.
    pub created_ms: i64,
}

/// The key of an access key.
pub fn key(access_key_id: &str) -> Key {
    let mut writer = Writer::key(Tag::AccessKey);
    writer.raw(access_key_id.as_bytes());
    writer.finish()
}

/// The keys of all access keys.
pub fn range() -> KeyRange {
    KeyRange::prefix(&key(""))
}

/// The access key id in a key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::AccessKey, key)?;
    let id = reader.rest();
    String::from_utf8(id.to_vec()).map_err(|_| reader.error("id is not UTF-8"))
}

impl AccessKeyRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.user);
        writer.bytes(&self.sealed_secret);
        writer.i64(self.created_ms);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            user: reader.text()?,
            sealed_secret: reader.bytes()?.to_vec(),
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
        fn rows_come_back(user: String, sealed_secret: Vec<u8>, created_ms: i64, id: String) {
            let row = AccessKeyRow { user, sealed_secret, created_ms };
            prop_assert_eq!(AccessKeyRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&id)).unwrap(), id);
        }
    }
}
