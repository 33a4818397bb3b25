//! A document that a bucket is configured with: its policy, its CORS rules, its lifecycle rules.
//!
//! ```text
//! key    17 | bucket:16 | document id:16
//! value  01 | content, as its operation writes it
//! ```
//! A document is written once: another one has another id, and the [`super::bucket`] row says which
//! holds. Whoever knows the id knows the document.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "bucket document";
const LAYOUT: u8 = 1;

/// Names a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DocumentId(pub [u8; 16]);

/// The key of a document.
pub fn key(bucket: BucketId, document: DocumentId) -> Key {
    let mut writer = Writer::key(Tag::BucketDocument);
    writer.raw(&bucket.0);
    writer.raw(&document.0);
    writer.finish()
}

/// The keys of all documents of a bucket.
pub fn range(bucket: BucketId) -> KeyRange {
    let mut writer = Writer::key(Tag::BucketDocument);
    writer.raw(&bucket.0);
    KeyRange::prefix(&writer.finish())
}

/// The row as stored.
pub fn encode(content: &[u8]) -> Bytes {
    let mut writer = Writer::value(LAYOUT);
    writer.raw(content);
    writer.finish()
}

/// The content, from the stored bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
    Ok(reader.rest().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back() {
        let content = br#"{"Version":"2012-10-17"}"#;
        assert_eq!(decode(&encode(content)).unwrap(), content);
        let [bucket, other] = [BucketId([1; 16]), BucketId([2; 16])];
        let key = key(bucket, DocumentId([9; 16]));
        let is_of = |bucket| {
            let range = range(bucket);
            range.start <= key && range.end.is_some_and(|end| key < end)
        };
        assert!(is_of(bucket) && !is_of(other));
    }
}
