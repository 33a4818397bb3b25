//! A dead letter: an event that a webhook's receiver did not take, however often it was sent.
//!
//! ```text
//! key    16 | webhook:16 | segment:u64 | index:u32       (the entry's place in the log; oldest first)
//! value  01 | failed_ms:i64 | attempts:u32 | kind:text | error:text | sealed
//! ```
//! `sealed` is the entry, as [`super::audit_entry`] draws it: the log may have dropped it.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "dead letter";
const LAYOUT: u8 = 1;

/// The row of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// When it was given up.
    pub failed_ms: i64,
    /// How often it was sent.
    pub attempts: u32,
    /// The kind of the event.
    pub kind: String,
    /// How the last try failed.
    pub error: String,
    /// The entry.
    pub sealed: Vec<u8>,
}

/// The key of a dead letter.
pub fn key(webhook: [u8; 16], segment: u64, index: u32) -> Key {
    let mut writer = Writer::key(Tag::DeadLetter);
    writer.raw(&webhook);
    writer.u64(segment);
    writer.u32(index);
    writer.finish()
}

/// The keys of all dead letters of a webhook, oldest first.
pub fn range(webhook: [u8; 16]) -> KeyRange {
    let mut writer = Writer::key(Tag::DeadLetter);
    writer.raw(&webhook);
    KeyRange::prefix(&writer.finish())
}

/// The keys of all dead letters.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::DeadLetter as u8])
}

/// Webhook, segment and index in a dead letter's key.
pub fn decode_key(key: &[u8]) -> Result<([u8; 16], u64, u32), DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::DeadLetter, key)?;
    let decoded = (reader.array()?, reader.u64()?, reader.u32()?);
    reader.end()?;
    Ok(decoded)
}

impl DeadLetterRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.failed_ms);
        writer.u32(self.attempts);
        writer.text(&self.kind);
        writer.text(&self.error);
        writer.raw(&self.sealed);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        Ok(Self {
            failed_ms: reader.i64()?,
            attempts: reader.u32()?,
            kind: reader.text()?,
            error: reader.text()?,
            sealed: reader.rest().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            webhook: [u8; 16], place: (u64, u32), failed_ms: i64, attempts: u32, kind: String,
            error: String, sealed: Vec<u8>,
        ) {
            let row = DeadLetterRow { failed_ms, attempts, kind, error, sealed };
            prop_assert_eq!(DeadLetterRow::decode(&row.encode()).unwrap(), row);
            let key = key(webhook, place.0, place.1);
            prop_assert_eq!(decode_key(&key).unwrap(), (webhook, place.0, place.1));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = DeadLetterRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
