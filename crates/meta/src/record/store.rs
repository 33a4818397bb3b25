//! The store itself: its id, the keys that its data keys are wrapped with, and whether it is whole.
//!
//! ```text
//! key    0A
//! value  01 | id:16 | list of (key name:text, fingerprint:16) | state:u8
//! ```
//! There is one such row. Every key that has ever wrapped is in the list, in the order in which they
//! began to: a server that lacks one of them, or has another under its name, could not open all there
//! is. A fingerprint is no secret: nothing of the key can be found out from it.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::Key;

const RECORD: &str = "store";
const LAYOUT: u8 = 1;

/// The first 16 bytes of an HMAC of a key of the keyring.
pub type Fingerprint = [u8; 16];

/// A key of the keyring, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its name.
    pub name: String,
    /// Tells another key of the same name apart.
    pub fingerprint: Fingerprint,
}

/// Whether a store may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// All of it is there.
    Whole,
    /// It is being filled from another store; until that is verified, nobody may serve it.
    BeingCopied,
}

/// The row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRow {
    /// Names the store for good; a copy has the id of what it was copied from.
    pub id: [u8; 16],
    /// All keys that have wrapped something; the last one is the one that wraps now.
    pub keys: Vec<KnownKey>,
    /// Whether it may be served.
    pub state: StoreState,
}

/// The key of the row.
pub fn key() -> Key {
    Writer::key(Tag::Store).finish()
}

impl StoreRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.raw(&self.id);
        writer.list(&self.keys, |writer, key| {
            writer.text(&key.name);
            writer.raw(&key.fingerprint);
        });
        writer.u8(match self.state {
            StoreState::Whole => 0,
            StoreState::BeingCopied => 1,
        });
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            id: reader.array()?,
            keys: reader.list(|reader| {
                Ok(KnownKey { name: reader.text()?, fingerprint: reader.array()? })
            })?,
            state: match reader.u8()? {
                0 => StoreState::Whole,
                1 => StoreState::BeingCopied,
                _ => return Err(reader.error("unknown state")),
            },
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
        fn rows_come_back(id: [u8; 16], keys: Vec<(String, Fingerprint)>, whole: bool) {
            let state = if whole { StoreState::Whole } else { StoreState::BeingCopied };
            let keys = keys
                .into_iter()
                .map(|(name, fingerprint)| KnownKey { name, fingerprint })
                .collect();
            let row = StoreRow { id, keys, state };
            prop_assert_eq!(StoreRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = StoreRow::decode(&bytes);
        }
    }
}
