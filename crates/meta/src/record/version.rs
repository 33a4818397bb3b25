//! One version of an object, or a delete marker: all that is known of it but its body.
//!
//! ```text
//! key    03 | bucket:16 | escaped object key | !sequence:u64        (noncurrent versions, newest first)
//! value  01 | id:16 | null:flag | modified_ms:i64 | author:text | kind:u8
//!        kind 0  delete marker: nothing more
//!        kind 1  object: size:u64 | md5:16 | parts:option u32 | headers:pairs | metadata:pairs | tags:pairs
//!                | checksum:option | body | wrapped key:bytes
//!        kind 2  object that is a Terraform state: as kind 1 | sealed facts:bytes (see [`super::state`])
//!        kind 3  object with [`super::controls`]: as kind 1 | controls | sealed facts:option bytes
//! checksum  algorithm:u8 | type:u8 | value:bytes | parts:option u32
//! body      0 | (empty)      1 | body id:16 | chunks:u32      2 | blob id:16
//!           3 | upload id:16 | list of first:u16 last:u16
//! ```
//! The current version lives in the [`super::head`] row in the same layout; this record holds the
//! others.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::controls::Controls;
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "version";
const LAYOUT: u8 = 1;

/// Most chunks of an inline body: more would not fit one commit, so more in a row is damage.
const INLINE_CHUNKS_MAX: u32 = 64;

/// Names a version: a sequence that orders the versions of one key by time, and random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// Orders the versions of a key; newer is greater.
    pub sequence: u64,
    /// Tells two attempts apart.
    pub random: u64,
}

/// A checksum algorithm of S3. Persisted, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ChecksumAlgorithm {
    Crc32 = 0,
    Crc32c = 1,
    Crc64Nvme = 2,
    Sha1 = 3,
    Sha256 = 4,
}

/// What a multipart object's checksum is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// The whole body.
    FullObject,
    /// The parts' checksums, one after the other.
    Composite,
}

/// A checksum as stored with an object or part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Over what.
    pub kind: ChecksumType,
    /// The raw digest.
    pub value: Vec<u8>,
    /// Of how many parts, for a composite one.
    pub parts: Option<u32>,
}

/// An entity tag: the MD5 of the body, or of the parts' MD5s with their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ETag {
    /// The digest.
    pub md5: [u8; 16],
    /// Number of parts, for multipart objects.
    pub parts: Option<u32>,
}

/// Where a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// There are no bytes.
    Empty,
    /// In [`super::body`] rows, written by the same commit.
    Inline {
        /// Prefix of the rows.
        id: [u8; 16],
        /// How many rows.
        chunks: u32,
    },
    /// In the blob store.
    Blob {
        /// The blob.
        id: [u8; 16],
    },
    /// In the [`super::part`] rows of a completed upload.
    Parts {
        /// The upload.
        upload: [u8; 16],
        /// Which of its parts, as closed ranges of part numbers in order.
        ranges: Vec<(u16, u16)>,
    },
}

/// The facts of an object that has a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Plaintext bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// System headers (`content-type`, `cache-control`, …), lowercase names.
    pub headers: Vec<(String, String)>,
    /// User metadata, without the `x-amz-meta-` prefix.
    pub metadata: Vec<(String, String)>,
    /// Object tags.
    pub tags: Vec<(String, String)>,
    /// The checksum asked for, or the default one.
    pub checksum: Option<Checksum>,
    /// Where the bytes are.
    pub body: Body,
    /// The data key (or, for parts, the upload's key) wrapped by a key of the keyring and bound to
    /// bucket, object key and version.
    pub wrapped_key: Vec<u8>,
    /// What is known of it as a Terraform state ([`super::state::StateFacts`]), sealed; only of states in
    /// guarded buckets.
    pub state: Option<Vec<u8>>,
    /// What only some objects have.
    pub controls: Controls,
}

/// What a version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionKind {
    /// "There is nothing here since then."
    DeleteMarker,
    /// An object.
    Object(Box<ObjectFacts>),
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its id; shown as `null` if [`Self::is_null`].
    pub id: VersionId,
    /// Written while versioning was off or suspended.
    pub is_null: bool,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// ARN of who wrote it.
    pub author: String,
    /// Object or delete marker.
    pub kind: VersionKind,
}

/// What a listing shows of an object: all that it reads of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Plaintext bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// Algorithm and type of its checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// The key of a noncurrent version.
pub fn key(bucket: BucketId, object_key: &str, sequence: u64) -> Key {
    let mut writer = key_prefix(bucket, object_key);
    writer.u64(!sequence);
    writer.finish()
}

/// The keys of all noncurrent versions of one object, newest first.
pub fn range(bucket: BucketId, object_key: &str) -> KeyRange {
    KeyRange::prefix(&key_prefix(bucket, object_key).finish())
}

/// The keys of all noncurrent versions of objects whose key begins with `prefix`.
pub fn range_of_bucket(bucket: BucketId, prefix: &str) -> KeyRange {
    let mut writer = Writer::key(Tag::Version);
    writer.raw(&bucket.0);
    writer.escaped(prefix.as_bytes());
    let open = writer.finish();
    KeyRange::prefix(&open[..open.len() - 2])
}

/// The keys of all noncurrent versions.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::Version as u8])
}

/// The object key and the sequence in a version's key.
pub fn decode_key(key: &[u8]) -> Result<(String, u64), DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Version, key)?;
    reader.raw(16)?;
    let object_key = reader.escaped()?;
    let object_key = String::from_utf8(object_key).map_err(|_| reader.error("key is not UTF-8"))?;
    let sequence = !reader.u64()?;
    reader.end()?;
    Ok((object_key, sequence))
}

/// The bucket in the key of a row.
pub fn bucket_of(key: &[u8]) -> Result<BucketId, DecodeError> {
    Ok(BucketId(Reader::key(RECORD, Tag::Version, key)?.array()?))
}

fn key_prefix(bucket: BucketId, object_key: &str) -> Writer {
    let mut writer = Writer::key(Tag::Version);
    writer.raw(&bucket.0);
    writer.escaped(object_key.as_bytes());
    writer
}

impl ObjectVersion {
    /// The facts, unless this is a delete marker.
    pub fn object(&self) -> Option<&ObjectFacts> {
        match &self.kind {
            VersionKind::Object(facts) => Some(facts),
            VersionKind::DeleteMarker => None,
        }
    }

    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        self.write(&mut writer);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let version = Self::read(&mut reader)?;
        reader.end()?;
        Ok(version)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.id.write(writer);
        writer.flag(self.is_null);
        writer.i64(self.modified_ms);
        writer.text(&self.author);
        match &self.kind {
            VersionKind::DeleteMarker => writer.u8(0),
            VersionKind::Object(facts) => {
                let has_controls = facts.controls != Controls::default();
                writer.u8(match (has_controls, &facts.state) {
                    (true, _) => 3,
                    (false, Some(_)) => 2,
                    (false, None) => 1,
                });
                facts.write(writer);
                if has_controls {
                    facts.controls.write(writer);
                    writer.option(facts.state.as_ref(), |writer, sealed| writer.bytes(sealed));
                } else {
                    facts.state.iter().for_each(|sealed| writer.bytes(sealed));
                }
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: VersionId::read(reader)?,
            is_null: reader.flag()?,
            modified_ms: reader.i64()?,
            author: reader.text()?,
            kind: match reader.u8()? {
                0 => VersionKind::DeleteMarker,
                1 => VersionKind::Object(Box::new(ObjectFacts::read(reader)?)),
                2 => {
                    let mut facts = ObjectFacts::read(reader)?;
                    facts.state = Some(reader.bytes()?.to_vec());
                    VersionKind::Object(Box::new(facts))
                }
                3 => {
                    let mut facts = ObjectFacts::read(reader)?;
                    facts.controls = Controls::read(reader)?;
                    facts.state = reader.option(|reader| Ok(reader.bytes()?.to_vec()))?;
                    VersionKind::Object(Box::new(facts))
                }
                _ => return Err(reader.error("unknown kind")),
            },
        })
    }
}

impl ObjectSummary {
    /// Reads the version at `reader` as far as is needed; none if it is a delete marker.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        VersionId::read(reader)?;
        reader.flag()?;
        let modified_ms = reader.i64()?;
        reader.bytes()?;
        match reader.u8()? {
            0 => return Ok(None),
            1..=3 => {}
            _ => return Err(reader.error("unknown kind")),
        }
        let size = reader.u64()?;
        let etag = ETag::read(reader)?;
        for _headers_metadata_tags in 0..3 {
            reader.skip_pairs()?;
        }
        let kind = |reader: &mut Reader<'_>| {
            Ok((ChecksumAlgorithm::read(reader)?, ChecksumType::read(reader)?))
        };
        let checksum = reader.option(kind)?;
        Ok(Some(Self { size, etag, modified_ms, checksum }))
    }
}

impl ObjectFacts {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.size);
        self.etag.write(writer);
        writer.pairs(&self.headers);
        writer.pairs(&self.metadata);
        writer.pairs(&self.tags);
        writer.option(self.checksum.as_ref(), |writer, checksum| checksum.write(writer));
        self.body.write(writer);
        writer.bytes(&self.wrapped_key);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            size: reader.u64()?,
            etag: ETag::read(reader)?,
            headers: reader.pairs()?,
            metadata: reader.pairs()?,
            tags: reader.pairs()?,
            checksum: reader.option(Checksum::read)?,
            body: Body::read(reader)?,
            wrapped_key: reader.bytes()?.to_vec(),
            state: None,
            controls: Controls::default(),
        })
    }
}

impl VersionId {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u64(self.sequence);
        writer.u64(self.random);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sequence: reader.u64()?, random: reader.u64()? })
    }
}

impl ETag {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.raw(&self.md5);
        writer.option(self.parts.as_ref(), |writer, parts| writer.u32(*parts));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { md5: reader.array()?, parts: reader.option(Reader::u32)? })
    }
}

impl ChecksumAlgorithm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Crc32,
            1 => Self::Crc32c,
            2 => Self::Crc64Nvme,
            3 => Self::Sha1,
            4 => Self::Sha256,
            _ => return Err(reader.error("unknown checksum algorithm")),
        })
    }
}

impl ChecksumType {
    pub(crate) fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::FullObject => 0,
            Self::Composite => 1,
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::FullObject,
            1 => Self::Composite,
            _ => return Err(reader.error("unknown checksum type")),
        })
    }
}

impl Checksum {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.algorithm as u8);
        self.kind.write(writer);
        writer.bytes(&self.value);
        writer.option(self.parts.as_ref(), |writer, parts| writer.u32(*parts));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            algorithm: ChecksumAlgorithm::read(reader)?,
            kind: ChecksumType::read(reader)?,
            value: reader.bytes()?.to_vec(),
            parts: reader.option(Reader::u32)?,
        })
    }
}

impl Body {
    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Empty => writer.u8(0),
            Self::Inline { id, chunks } => {
                writer.u8(1);
                writer.raw(id);
                writer.u32(*chunks);
            }
            Self::Blob { id } => {
                writer.u8(2);
                writer.raw(id);
            }
            Self::Parts { upload, ranges } => {
                writer.u8(3);
                writer.raw(upload);
                write_ranges(writer, ranges);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Empty,
            1 => {
                let (id, chunks) = (reader.array()?, reader.u32()?);
                if chunks > INLINE_CHUNKS_MAX {
                    return Err(reader.error("too many chunks"));
                }
                Self::Inline { id, chunks }
            }
            2 => Self::Blob { id: reader.array()? },
            3 => Self::Parts { upload: reader.array()?, ranges: read_ranges(reader)? },
            _ => return Err(reader.error("unknown body")),
        })
    }
}

pub(crate) fn write_ranges(writer: &mut Writer, ranges: &[(u16, u16)]) {
    writer.list(ranges, |writer, (first, last)| {
        writer.u16(*first);
        writer.u16(*last);
    });
}

pub(crate) fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<(u16, u16)>, DecodeError> {
    reader.list(|reader| Ok((reader.u16()?, reader.u16()?)))
}

/// Arbitrary versions, for the round-trip properties of the records that hold one.
#[cfg(test)]
pub(crate) mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    fn body() -> impl Strategy<Value = Body> {
        prop_oneof![
            Just(Body::Empty),
            (any::<[u8; 16]>(), 0..=INLINE_CHUNKS_MAX)
                .prop_map(|(id, chunks)| Body::Inline { id, chunks }),
            any::<[u8; 16]>().prop_map(|id| Body::Blob { id }),
            (any::<[u8; 16]>(), any::<Vec<(u16, u16)>>())
                .prop_map(|(upload, ranges)| Body::Parts { upload, ranges }),
        ]
    }

    pub(crate) fn checksum() -> impl Strategy<Value = Checksum> {
        (0..5_usize, any::<bool>(), any::<Vec<u8>>(), any::<Option<u32>>()).prop_map(
            |(algorithm, full, value, parts)| Checksum {
                algorithm: [
                    ChecksumAlgorithm::Crc32,
                    ChecksumAlgorithm::Crc32c,
                    ChecksumAlgorithm::Crc64Nvme,
                    ChecksumAlgorithm::Sha1,
                    ChecksumAlgorithm::Sha256,
                ][algorithm],
                kind: if full { ChecksumType::FullObject } else { ChecksumType::Composite },
                value,
                parts,
            },
        )
    }

    fn object() -> impl Strategy<Value = VersionKind> {
        let texts = || any::<Vec<(String, String)>>();
        let numbers = any::<(u64, [u8; 16], Option<u32>, Vec<u8>, Option<Vec<u8>>)>();
        let pairs = (texts(), texts(), texts());
        let controls =
            prop_oneof![Just(Controls::default()), super::super::controls::arbitrary::controls()];
        (numbers, pairs, proptest::option::of(checksum()), body(), controls).prop_map(
            |(numbers, (headers, metadata, tags), checksum, body, controls)| {
                let (size, md5, parts, wrapped_key, state) = numbers;
                let etag = ETag { md5, parts };
                let facts = ObjectFacts {
                    size,
                    etag,
                    headers,
                    metadata,
                    tags,
                    checksum,
                    body,
                    wrapped_key,
                    state,
                    controls,
                };
                VersionKind::Object(Box::new(facts))
            },
        )
    }

    pub(crate) fn version() -> impl Strategy<Value = ObjectVersion> {
        let kind = prop_oneof![Just(VersionKind::DeleteMarker), object()];
        (any::<(u64, u64, bool, i64, String)>(), kind).prop_map(
            |((sequence, random, is_null, modified_ms, author), kind)| ObjectVersion {
                id: VersionId { sequence, random },
                is_null,
                modified_ms,
                author,
                kind,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_of_endless_chunks_is_damage() {
        for (chunks, is_read) in [(INLINE_CHUNKS_MAX, true), (INLINE_CHUNKS_MAX + 1, false)] {
            let mut writer = Writer::value(LAYOUT);
            Body::Inline { id: [0; 16], chunks }.write(&mut writer);
            let bytes = writer.finish();
            let mut reader = Reader::value(RECORD, LAYOUT, &bytes).unwrap();
            assert_eq!(Body::read(&mut reader).is_ok(), is_read, "{chunks}");
        }
    }

    proptest! {
        #[test]
        fn rows_come_back(version in arbitrary::version()) {
            prop_assert_eq!(ObjectVersion::decode(&version.encode()).unwrap(), version);
        }

        #[test]
        fn keys_come_back(object_key: String, sequence: u64) {
            let key = key(BucketId([7; 16]), &object_key, sequence);
            prop_assert_eq!(decode_key(&key).unwrap(), (object_key, sequence));
        }

        #[test]
        fn newer_versions_of_a_key_come_first(object_key: String, a: u64, b: u64) {
            let bucket = BucketId([7; 16]);
            let order = key(bucket, &object_key, a).cmp(&key(bucket, &object_key, b));
            prop_assert_eq!(order, b.cmp(&a));
        }
    }
}
