//! A part of a multipart upload. It outlives the upload: a completed object's body is its parts.
//!
//! ```text
//! key    06 | upload id:16 | part number:u16
//! value  01 | modified_ms:i64 | size:u64 | md5:16 | checksum:option | body | wrapped key:bytes
//! ```
//! The data key is wrapped by the upload's key and bound to upload, part number and body, so that a
//! part that is sent again never meets an old nonce.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::upload::UploadId;
use super::version::{Body, Checksum};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "part";
const LAYOUT: u8 = 1;

/// The row of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// When it was stored.
    pub modified_ms: i64,
    /// Plaintext bytes.
    pub size: u64,
    /// Its entity tag.
    pub md5: [u8; 16],
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Where the bytes are; never [`Body::Parts`].
    pub body: Body,
    /// The data key, wrapped by the upload's key.
    pub wrapped_key: Vec<u8>,
}

/// The key of a part.
pub fn key(upload: UploadId, number: u16) -> Key {
    let mut writer = Writer::key(Tag::Part);
    writer.raw(&upload.0);
    writer.u16(number);
    writer.finish()
}

/// The keys of all parts of an upload, in order.
pub fn range(upload: UploadId) -> KeyRange {
    let mut writer = Writer::key(Tag::Part);
    writer.raw(&upload.0);
    KeyRange::prefix(&writer.finish())
}

/// The part number in a part's key.
pub fn decode_key(key: &[u8]) -> Result<u16, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Part, key)?;
    reader.raw(16)?;
    let number = reader.u16()?;
    reader.end()?;
    Ok(number)
}

/// The upload in a part's key.
pub fn upload_of(key: &[u8]) -> Result<UploadId, DecodeError> {
    Ok(UploadId(Reader::key(RECORD, Tag::Part, key)?.array()?))
}

impl PartRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.modified_ms);
        writer.u64(self.size);
        writer.raw(&self.md5);
        writer.option(self.checksum.as_ref(), |writer, checksum| checksum.write(writer));
        self.body.write(&mut writer);
        writer.bytes(&self.wrapped_key);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            modified_ms: reader.i64()?,
            size: reader.u64()?,
            md5: reader.array()?,
            checksum: reader.option(Checksum::read)?,
            body: Body::read(&mut reader)?,
            wrapped_key: reader.bytes()?.to_vec(),
        };
        reader.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::version::arbitrary;
    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            modified_ms: i64, size: u64, md5: [u8; 16], checksum in proptest::option::of(arbitrary::checksum()),
            id: [u8; 16], wrapped_key: Vec<u8>,
        ) {
            let row = PartRow { modified_ms, size, md5, checksum, body: Body::Blob { id }, wrapped_key };
            prop_assert_eq!(PartRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(upload: [u8; 16], number: u16) {
            prop_assert_eq!(decode_key(&key(UploadId(upload), number)).unwrap(), number);
        }
    }
}
