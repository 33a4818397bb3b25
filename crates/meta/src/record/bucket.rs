//! A bucket: who owns it and how it is configured.
//!
//! ```text
//! key    01 | name
//! value  01 | id:16 | owner:text | created_ms:i64 | region:text | versioning:u8 | deleting:flag
//!           | public_access_block:option u8 | encryption:option u8 | tags:option pairs
//! ```
//! Every object write checks this row at its version: that is what fences writers when the bucket is
//! about to be deleted or its versioning changes.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "bucket";
const LAYOUT: u8 = 1;

/// Whether writes keep what they replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// Never turned on: every object has one version, `null`.
    Unversioned,
    /// Every write makes a version.
    Enabled,
    /// Writes replace the `null` version; older versions stay.
    Suspended,
}

/// Default encryption of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultEncryption {
    /// SSE-S3 (`AES256`).
    Aes256 {
        /// Whether the configuration asks for a bucket key.
        bucket_key: bool,
    },
}

/// The four switches of a public access block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicAccessBlock {
    /// `BlockPublicAcls`
    pub block_public_acls: bool,
    /// `IgnorePublicAcls`
    pub ignore_public_acls: bool,
    /// `BlockPublicPolicy`
    pub block_public_policy: bool,
    /// `RestrictPublicBuckets`
    pub restrict_public_buckets: bool,
}

/// The row of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRow {
    /// Prefix of the keys of all that is in it.
    pub id: BucketId,
    /// Canonical id of the user that made it.
    pub owner: String,
    /// When it was made.
    pub created_ms: i64,
    /// The `LocationConstraint` it was made with; empty for the default region.
    pub region: String,
    /// Whether writes keep what they replace.
    pub versioning: Versioning,
    /// A DeleteBucket is looking whether it is empty; writers must wait for its end.
    pub deleting: bool,
    /// `PutPublicAccessBlock`, if it was called.
    pub public_access_block: Option<PublicAccessBlock>,
    /// `PutBucketEncryption`, if it was called.
    pub encryption: Option<DefaultEncryption>,
    /// `PutBucketTagging`, if it was called.
    pub tags: Option<Vec<(String, String)>>,
}

/// The key of the bucket with this name.
pub fn key(name: &str) -> Key {
    let mut writer = Writer::key(Tag::Bucket);
    writer.raw(name.as_bytes());
    writer.finish()
}

/// The keys of all buckets whose name begins with `prefix`.
pub fn range(prefix: &str) -> KeyRange {
    KeyRange::prefix(&key(prefix))
}

/// The name in a bucket's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Bucket, key)?;
    let name = reader.rest();
    String::from_utf8(name.to_vec()).map_err(|_| reader.error("name is not UTF-8"))
}

impl BucketRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.raw(&self.id.0);
        writer.text(&self.owner);
        writer.i64(self.created_ms);
        writer.text(&self.region);
        writer.u8(match self.versioning {
            Versioning::Unversioned => 0,
            Versioning::Enabled => 1,
            Versioning::Suspended => 2,
        });
        writer.flag(self.deleting);
        writer.option(self.public_access_block.as_ref(), |writer, block| writer.u8(block.bits()));
        writer.option(
            self.encryption.as_ref(),
            |writer, DefaultEncryption::Aes256 { bucket_key }| {
                writer.flag(*bucket_key);
            },
        );
        writer.option(self.tags.as_ref(), |writer, tags| writer.pairs(tags));
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            id: BucketId(reader.array()?),
            owner: reader.text()?,
            created_ms: reader.i64()?,
            region: reader.text()?,
            versioning: match reader.u8()? {
                0 => Versioning::Unversioned,
                1 => Versioning::Enabled,
                2 => Versioning::Suspended,
                _ => return Err(reader.error("unknown versioning")),
            },
            deleting: reader.flag()?,
            public_access_block: reader
                .option(|reader| reader.u8().map(PublicAccessBlock::from_bits))?,
            encryption: reader
                .option(|reader| Ok(DefaultEncryption::Aes256 { bucket_key: reader.flag()? }))?,
            tags: reader.option(Reader::pairs)?,
        };
        reader.end()?;
        Ok(row)
    }
}

impl PublicAccessBlock {
    fn bits(self) -> u8 {
        u8::from(self.block_public_acls)
            | u8::from(self.ignore_public_acls) << 1
            | u8::from(self.block_public_policy) << 2
            | u8::from(self.restrict_public_buckets) << 3
    }

    fn from_bits(bits: u8) -> Self {
        Self {
            block_public_acls: bits & 1 != 0,
            ignore_public_acls: bits & 2 != 0,
            block_public_policy: bits & 4 != 0,
            restrict_public_buckets: bits & 8 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            id: [u8; 16], owner: String, created_ms: i64, region: String, versioning in 0..3_u8, deleting: bool,
            block in proptest::option::of(0..16_u8), bucket_key: Option<bool>,
            tags: Option<Vec<(String, String)>>,
        ) {
            let row = BucketRow {
                id: BucketId(id), owner, created_ms, region,
                versioning: [Versioning::Unversioned, Versioning::Enabled, Versioning::Suspended][versioning as usize],
                deleting,
                public_access_block: block.map(PublicAccessBlock::from_bits),
                encryption: bucket_key.map(|bucket_key| DefaultEncryption::Aes256 { bucket_key }),
                tags,
            };
            prop_assert_eq!(BucketRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(name in "[a-z0-9.-]{3,63}") {
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }
    }
}
