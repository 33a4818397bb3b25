//! An access key: whose it is, its secret, sealed by the keyring, its end, and when it was last used.
//!
//! ```text
//! key    09 | access key id
//! value  02 | user:text | sealed secret:bytes | created_ms:i64 | expires_ms: option of i64
//!        | last_used_ms: option of i64
//! ```
//! Layout 01 ends with `created_ms`: a key without an end, of which nobody has noted a use.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "access key";
const LAYOUT: u8 = 2;
const LAYOUT_WITHOUT_TIMES: u8 = 1;

/// The row of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyRow {
    /// Name of the user it belongs to.
    pub user: String,
    /// The secret access key, sealed and bound to the access key id.
    pub sealed_secret: Vec<u8>,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// When it was last used, as far as that was written down.
    pub last_used_ms: Option<i64>,
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
    Reader::key(RECORD, Tag::AccessKey, key)?.rest_text()
}

impl AccessKeyRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.user);
        writer.bytes(&self.sealed_secret);
        writer.i64(self.created_ms);
        writer.option(self.expires_ms.as_ref(), |writer, at| writer.i64(*at));
        writer.option(self.last_used_ms.as_ref(), |writer, at| writer.i64(*at));
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let is_old = bytes.first() == Some(&LAYOUT_WITHOUT_TIMES);
        let layout = if is_old { LAYOUT_WITHOUT_TIMES } else { LAYOUT };
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let row = Self {
            user: reader.text()?,
            sealed_secret: reader.bytes()?.to_vec(),
            created_ms: reader.i64()?,
            expires_ms: if is_old { None } else { reader.option(Reader::i64)? },
            last_used_ms: if is_old { None } else { reader.option(Reader::i64)? },
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
            user: String, sealed_secret: Vec<u8>, created_ms: i64, id: String,
            times: (Option<i64>, Option<i64>),
        ) {
            let (expires_ms, last_used_ms) = times;
            let row = AccessKeyRow { user, sealed_secret, created_ms, expires_ms, last_used_ms };
            prop_assert_eq!(AccessKeyRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(&id)).unwrap(), id);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = AccessKeyRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }

    #[test]
    fn rows_without_times_are_read() {
        let row = AccessKeyRow {
            user: "ann".to_owned(),
            sealed_secret: vec![1, 2],
            created_ms: 7,
            expires_ms: None,
            last_used_ms: None,
        };
        let mut old = row.encode().to_vec();
        old[0] = LAYOUT_WITHOUT_TIMES;
        old.truncate(old.len() - 2);
        assert_eq!(AccessKeyRow::decode(&old).unwrap(), row);
    }
}
