//! The head of an object key: its current version, and what every writer of the key must see.
//!
//! ```text
//! key    02 | bucket:16 | object key
//! value  01 | mutations:u64 | uploads:u32 | null_sequence:option u64 | current:option version
//! ```
//! The row is the lock of the key: whatever changes any version of the key checks this row at its
//! version and rewrites it. It stays while multipart uploads are under way (`uploads` > 0), even with
//! nothing current, so that CompleteMultipartUpload can tell whether somebody wrote in between
//! (`mutations`; the 409 window of facts M2-M8).

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::version::{ObjectSummary, ObjectVersion};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "head";
const LAYOUT: u8 = 1;

/// Bytes of a head key in front of the object key.
pub const KEY_PREFIX_BYTES: usize = 17;

/// The row of an object key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadRow {
    /// Grows with every write and delete of the key while the row lives.
    pub mutations: u64,
    /// Multipart uploads under way.
    pub uploads: u32,
    /// Sequence of the `null` version where that is a noncurrent one.
    pub null_sequence: Option<u64>,
    /// The current version, object or delete marker.
    pub current: Option<ObjectVersion>,
}

/// The key of an object key's head.
pub fn key(bucket: BucketId, object_key: &str) -> Key {
    let mut writer = Writer::key(Tag::Head);
    writer.raw(&bucket.0);
    writer.raw(object_key.as_bytes());
    writer.finish()
}

/// The keys of all heads whose object key begins with `prefix`.
pub fn range(bucket: BucketId, prefix: &str) -> KeyRange {
    KeyRange::prefix(&key(bucket, prefix))
}

/// The keys of all heads.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::Head as u8])
}

/// The object key in a head's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Head, key)?;
    reader.raw(16)?;
    reader.rest_text()
}

/// The bucket in the key of a row.
pub fn bucket_of(key: &[u8]) -> Result<BucketId, DecodeError> {
    Ok(BucketId(Reader::key(RECORD, Tag::Head, key)?.array()?))
}

impl HeadRow {
    /// Whether nothing needs the row any more.
    pub fn is_needless(&self) -> bool {
        self.current.is_none() && self.uploads == 0
    }

    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u64(self.mutations);
        writer.u32(self.uploads);
        writer.option(self.null_sequence.as_ref(), |writer, sequence| writer.u64(*sequence));
        writer.option(self.current.as_ref(), |writer, version| version.write(writer));
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            mutations: reader.u64()?,
            uploads: reader.u32()?,
            null_sequence: reader.option(Reader::u64)?,
            current: reader.option(ObjectVersion::read)?,
        };
        reader.end()?;
        Ok(row)
    }

    /// What a listing shows of the current object in a stored row, if there is one. Reads no further than that: of what
    /// follows it does not say whether it is sound.
    pub fn summary(bytes: &[u8]) -> Result<Option<ObjectSummary>, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        reader.u64()?;
        reader.u32()?;
        reader.option(Reader::u64)?;
        Ok(reader.option(ObjectSummary::read)?.flatten())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::version::arbitrary;
    use super::*;

    fn summary_of(row: &HeadRow) -> Option<ObjectSummary> {
        let version = row.current.as_ref()?;
        let facts = version.object()?;
        let checksum = facts.checksum.as_ref().map(|checksum| (checksum.algorithm, checksum.kind));
        let (size, etag, modified_ms) = (facts.size, facts.etag, version.modified_ms);
        Some(ObjectSummary { size, etag, modified_ms, checksum })
    }

    proptest! {
        #[test]
        fn rows_come_back(
            mutations: u64, uploads: u32, null_sequence: Option<u64>,
            current in proptest::option::of(arbitrary::version()),
        ) {
            let row = HeadRow { mutations, uploads, null_sequence, current };
            prop_assert_eq!(HeadRow::summary(&row.encode()).unwrap(), summary_of(&row));
            prop_assert_eq!(HeadRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(object_key: String) {
            prop_assert_eq!(decode_key(&key(BucketId([9; 16]), &object_key)).unwrap(), object_key);
        }
    }
}
