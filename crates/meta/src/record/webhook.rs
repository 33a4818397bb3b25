//! A webhook: where entries of the audit log are sent, and how far that has come.
//!
//! ```text
//! key    15 | id:16
//! value  01 | url:text | sealed secret:bytes | list of kind:text | option of bucket:text | enabled:flag
//!        | created_ms:i64 | attempts_max:u32 | segment:u64 | index:u32
//! ```
//! `segment` and `index` name the first entry of the log that has not been looked at.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "webhook";
const LAYOUT: u8 = 1;

/// The row of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRow {
    /// Where events go.
    pub url: String,
    /// What signs them, sealed.
    pub sealed_secret: Vec<u8>,
    /// Which events.
    pub kinds: Vec<String>,
    /// Of which bucket; of all if none.
    pub bucket: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// When it was made.
    pub created_ms: i64,
    /// Tries of an event before it is a dead letter.
    pub attempts_max: u32,
    /// Segment of the next entry.
    pub segment: u64,
    /// Its place in the segment.
    pub index: u32,
}

/// The key of a webhook.
pub fn key(id: [u8; 16]) -> Key {
    let mut writer = Writer::key(Tag::Webhook);
    writer.raw(&id);
    writer.finish()
}

/// The keys of all webhooks.
pub fn range() -> KeyRange {
    KeyRange::prefix(&Writer::key(Tag::Webhook).finish())
}

/// The id in a webhook's key.
pub fn decode_key(key: &[u8]) -> Result<[u8; 16], DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Webhook, key)?;
    let id = reader.array()?;
    reader.end()?;
    Ok(id)
}

impl WebhookRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.text(&self.url);
        writer.bytes(&self.sealed_secret);
        writer.list(&self.kinds, |writer, kind| writer.text(kind));
        writer.option(self.bucket.as_ref(), |writer, bucket| writer.text(bucket));
        writer.flag(self.enabled);
        writer.i64(self.created_ms);
        writer.u32(self.attempts_max);
        writer.u64(self.segment);
        writer.u32(self.index);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            url: reader.text()?,
            sealed_secret: reader.bytes()?.to_vec(),
            kinds: reader.list(Reader::text)?,
            bucket: reader.option(Reader::text)?,
            enabled: reader.flag()?,
            created_ms: reader.i64()?,
            attempts_max: reader.u32()?,
            segment: reader.u64()?,
            index: reader.u32()?,
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
            id: [u8; 16], texts: (String, Vec<u8>, Vec<String>, Option<String>), enabled: bool,
            created_ms: i64, attempts_max: u32, place: (u64, u32),
        ) {
            let (url, sealed_secret, kinds, bucket) = texts;
            let (segment, index) = place;
            let row = WebhookRow {
                url, sealed_secret, kinds, bucket, enabled, created_ms, attempts_max, segment, index,
            };
            prop_assert_eq!(WebhookRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(id)).unwrap(), id);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = WebhookRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
