//! Root's key pair, where several servers share a store and none of them was given one.
//!
//! ```text
//! key    0B
//! value  01 | access key id:text | sealed secret:bytes
//! ```
//! There is at most one such row. The secret is sealed by the keyring, bound to this record and to the
//! access key id.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::Key;

const RECORD: &str = "root";
const LAYOUT: u8 = 1;

/// The row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootRow {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key, sealed.
    pub sealed_secret: Vec<u8>,
}

/// The key of the row.
pub fn key() -> Key {
    Writer::key(Tag::Root).finish()
}

impl RootRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.access_key_id);
        writer.bytes(&self.sealed_secret);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self { access_key_id: reader.text()?, sealed_secret: reader.bytes()?.to_vec() };
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
        fn rows_come_back(access_key_id: String, sealed_secret: Vec<u8>) {
            let row = RootRow { access_key_id, sealed_secret };
            prop_assert_eq!(RootRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = RootRow::decode(&bytes);
        }
    }
}
