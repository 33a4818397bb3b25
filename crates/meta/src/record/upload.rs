//! A multipart upload: what its object will be, and whether it is still open.
//!
//! ```text
//! key    05 | bucket:16 | escaped object key | upload id:16
//! value  02 | initiated_ms:i64 | initiator:text | author:text | mutations:u64 | headers:pairs | metadata:pairs
//!           | tags:pairs | checksum:option (algorithm:u8 type:u8) | wrapped key:bytes | state
//!           | [`super::controls`]
//! state     0 | (open)      1 | (sealed)
//!           2 | completed_ms:i64 | request:32 | version:16 | null:flag | etag | checksum:option | ranges
//! ```
//! Layout 01 is the same without controls.
//!
//! `sealed` keeps parts from changing while CompleteMultipartUpload looks at them: UploadPart checks
//! this row at its version. A completed row stays for an hour so that a repeated Complete, whose
//! first reply was lost, gets its first answer.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::controls::Controls;
use super::version::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, VersionId, read_ranges, write_ranges,
};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "upload";
const LAYOUT: u8 = 2;
const LAYOUT_WITHOUT_CONTROLS: u8 = 1;

/// Names an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(pub [u8; 16]);

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Not an upload id of this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an upload id")]
pub struct InvalidUploadId;

impl std::str::FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidUploadId)?;
        if is_hex { Ok(Self(number.to_be_bytes())) } else { Err(InvalidUploadId) }
    }
}

/// How a completed upload ended; its answer, for a client that asks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// When.
    pub completed_ms: i64,
    /// SHA-256 of the list of parts that was asked for.
    pub request: [u8; 32],
    /// The version it made.
    pub version: VersionId,
    /// Whether that version is `null`.
    pub is_null: bool,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// The parts that belong to the object; the others are garbage.
    pub ranges: Vec<(u16, u16)>,
}

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Takes parts.
    Open,
    /// A CompleteMultipartUpload is looking at the parts; the next UploadPart opens it again.
    Sealed,
    /// Its object exists.
    Completed(Box<Completed>),
}

/// The row of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// When CreateMultipartUpload was called.
    pub initiated_ms: i64,
    /// Canonical id of who called it.
    pub initiator: String,
    /// ARN of who called it.
    pub author: String,
    /// The head's `mutations` at that moment.
    pub mutations: u64,
    /// System headers of the object to be.
    pub headers: Vec<(String, String)>,
    /// User metadata of the object to be.
    pub metadata: Vec<(String, String)>,
    /// Tags of the object to be.
    pub tags: Vec<(String, String)>,
    /// The checksum that was asked for.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The key that wraps the parts' data keys, itself wrapped and bound to bucket, key and upload.
    pub wrapped_key: Vec<u8>,
    /// Where it stands.
    pub state: UploadState,
    /// What the object to be has besides.
    pub controls: Controls,
}

/// The key of an upload.
pub fn key(bucket: BucketId, object_key: &str, upload: UploadId) -> Key {
    let mut writer = prefix(bucket, object_key);
    writer.raw(&upload.0);
    writer.finish()
}

/// The keys of all uploads of a bucket whose object key begins with `object_prefix`.
pub fn range(bucket: BucketId, object_prefix: &str) -> KeyRange {
    let open = prefix(bucket, object_prefix).finish();
    KeyRange::prefix(&open[..open.len() - 2])
}

/// The keys of all uploads.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::Upload as u8])
}

/// The bucket, object key and upload id in an upload's key.
pub fn decode_key(key: &[u8]) -> Result<(BucketId, String, UploadId), DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Upload, key)?;
    let bucket = BucketId(reader.array()?);
    let object_key = reader.escaped()?;
    let object_key = String::from_utf8(object_key).map_err(|_| reader.error("key is not UTF-8"))?;
    let upload = UploadId(reader.array()?);
    reader.end()?;
    Ok((bucket, object_key, upload))
}

fn prefix(bucket: BucketId, object_key: &str) -> Writer {
    let mut writer = Writer::key(Tag::Upload);
    writer.raw(&bucket.0);
    writer.escaped(object_key.as_bytes());
    writer
}

impl UploadRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.initiated_ms);
        writer.text(&self.initiator);
        writer.text(&self.author);
        writer.u64(self.mutations);
        writer.pairs(&self.headers);
        writer.pairs(&self.metadata);
        writer.pairs(&self.tags);
        writer.option(self.checksum.as_ref(), |writer, (algorithm, kind)| {
            writer.u8(*algorithm as u8);
            kind.write(writer);
        });
        writer.bytes(&self.wrapped_key);
        match &self.state {
            UploadState::Open => writer.u8(0),
            UploadState::Sealed => writer.u8(1),
            UploadState::Completed(completed) => {
                writer.u8(2);
                completed.write(&mut writer);
            }
        }
        self.controls.write(&mut writer);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let known = |layout: &u8| *layout == LAYOUT_WITHOUT_CONTROLS;
        let layout = bytes.first().copied().filter(known).unwrap_or(LAYOUT);
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let row = Self {
            initiated_ms: reader.i64()?,
            initiator: reader.text()?,
            author: reader.text()?,
            mutations: reader.u64()?,
            headers: reader.pairs()?,
            metadata: reader.pairs()?,
            tags: reader.pairs()?,
            checksum: reader.option(|reader| {
                Ok((ChecksumAlgorithm::read(reader)?, ChecksumType::read(reader)?))
            })?,
            wrapped_key: reader.bytes()?.to_vec(),
            state: match reader.u8()? {
                0 => UploadState::Open,
                1 => UploadState::Sealed,
                2 => UploadState::Completed(Box::new(Completed::read(&mut reader)?)),
                _ => return Err(reader.error("unknown state")),
            },
            controls: match layout {
                LAYOUT_WITHOUT_CONTROLS => Controls::default(),
                _ => Controls::read(&mut reader)?,
            },
        };
        reader.end()?;
        Ok(row)
    }
}

impl Completed {
    fn write(&self, writer: &mut Writer) {
        writer.i64(self.completed_ms);
        writer.raw(&self.request);
        writer.u64(self.version.sequence);
        writer.u64(self.version.random);
        writer.flag(self.is_null);
        self.etag.write(writer);
        writer.option(self.checksum.as_ref(), |writer, checksum| checksum.write(writer));
        write_ranges(writer, &self.ranges);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            completed_ms: reader.i64()?,
            request: reader.array()?,
            version: VersionId::read(reader)?,
            is_null: reader.flag()?,
            etag: ETag::read(reader)?,
            checksum: reader.option(Checksum::read)?,
            ranges: read_ranges(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::version::arbitrary;
    use super::*;

    fn state() -> impl Strategy<Value = UploadState> {
        let completed = (
            any::<(i64, [u8; 32], u64, u64, bool)>(),
            any::<([u8; 16], Option<u32>)>(),
            proptest::option::of(arbitrary::checksum()),
            any::<Vec<(u16, u16)>>(),
        );
        let completed = completed.prop_map(
            |((at, request, sequence, random, is_null), (md5, parts), checksum, ranges)| {
                UploadState::Completed(Box::new(Completed {
                    completed_ms: at,
                    request,
                    version: VersionId { sequence, random },
                    is_null,
                    etag: ETag { md5, parts },
                    checksum,
                    ranges,
                }))
            },
        );
        prop_oneof![Just(UploadState::Open), Just(UploadState::Sealed), completed]
    }

    proptest! {
        #[test]
        fn rows_come_back(
            numbers: (i64, u64), names: (String, String), pairs: [Vec<(String, String)>; 3], full: Option<bool>,
            wrapped_key: Vec<u8>, state in state(), controls in super::super::controls::arbitrary::controls(),
        ) {
            let [headers, metadata, tags] = pairs;
            let kind = |full| if full { ChecksumType::FullObject } else { ChecksumType::Composite };
            let row = UploadRow {
                initiated_ms: numbers.0, mutations: numbers.1, initiator: names.0, author: names.1,
                headers, metadata, tags, wrapped_key, state,
                checksum: full.map(|full| (ChecksumAlgorithm::Crc32c, kind(full))),
                controls,
            };
            prop_assert_eq!(UploadRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(bucket: [u8; 16], object_key: String, upload: [u8; 16]) {
            let key = key(BucketId(bucket), &object_key, UploadId(upload));
            prop_assert_eq!(decode_key(&key).unwrap(), (BucketId(bucket), object_key, UploadId(upload)));
        }
    }
}
