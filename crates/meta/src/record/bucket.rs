//! A bucket: who owns it and how it is configured.
//!
//! ```text
//! key    01 | name
//! value  02 | id:16 | owner:text | created_ms:i64 | region:text | versioning:u8 | deleting:flag
//!           | public_access_block:option u8 | encryption:option u8 | tags:option pairs | guard:option
//! guard  lock_writes:u8 | serial:u8 | lock_required:flag | keeps_lock_history:flag | stale_after_ms:u64
//!        | state_bytes_max:option u64
//! ```
//! Layout 01 is the same without a guard.
//! Every object write checks this row at its version: that is what fences writers when the bucket is
//! about to be deleted or its versioning changes.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "bucket";
const LAYOUT: u8 = 2;
const LAYOUT_WITHOUT_GUARD: u8 = 1;

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

/// What becomes of a request that breaks a rule of the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// The rule is not looked at.
    #[default]
    Off,
    /// It is done, and recorded.
    Observe,
    /// It is refused.
    Enforce,
}

/// What stays of locks that were given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockHistory {
    /// Versions and delete markers, as of any object.
    Keep,
    /// Nothing but the audit log.
    #[default]
    Purge,
}

/// How the states in a bucket are guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// Only the holder of the lock writes the state.
    pub lock_writes: Enforcement,
    /// Nothing older is written over a state, and nothing else than a state of its lineage.
    pub serial: Enforcement,
    /// A state is not written without a lock.
    pub lock_required: bool,
    /// What stays of locks.
    pub lock_history: LockHistory,
    /// After this long without a state written under it, a lock is quiet.
    pub stale_after_ms: u64,
    /// Largest state.
    pub state_bytes_max: Option<u64>,
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
    /// How its states are guarded, if they are.
    pub guard: Option<GuardConfig>,
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
        writer.option(self.guard.as_ref(), |writer, guard| guard.write(writer));
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let layout = bytes.first().copied().filter(|layout| *layout == LAYOUT_WITHOUT_GUARD);
        let mut reader = Reader::value(RECORD, layout.unwrap_or(LAYOUT), bytes)?;
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
            guard: match layout {
                Some(_) => None,
                None => reader.option(GuardConfig::read)?,
            },
        };
        reader.end()?;
        Ok(row)
    }
}

impl GuardConfig {
    /// What `bootstrap` sets: every rule enforced, a lock for every write, no litter, an hour.
    pub fn enforced() -> Self {
        Self {
            lock_writes: Enforcement::Enforce,
            serial: Enforcement::Enforce,
            lock_required: true,
            lock_history: LockHistory::Purge,
            stale_after_ms: 3_600_000,
            state_bytes_max: None,
        }
    }

    fn write(&self, writer: &mut Writer) {
        self.lock_writes.write(writer);
        self.serial.write(writer);
        writer.flag(self.lock_required);
        writer.flag(self.lock_history == LockHistory::Keep);
        writer.u64(self.stale_after_ms);
        writer.option(self.state_bytes_max.as_ref(), |writer, bytes| writer.u64(*bytes));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            lock_writes: Enforcement::read(reader)?,
            serial: Enforcement::read(reader)?,
            lock_required: reader.flag()?,
            lock_history: if reader.flag()? { LockHistory::Keep } else { LockHistory::Purge },
            stale_after_ms: reader.u64()?,
            state_bytes_max: reader.option(Reader::u64)?,
        })
    }
}

impl Enforcement {
    fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Off => 0,
            Self::Observe => 1,
            Self::Enforce => 2,
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Off,
            1 => Self::Observe,
            2 => Self::Enforce,
            _ => return Err(reader.error("unknown enforcement")),
        })
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

    fn guard() -> impl Strategy<Value = GuardConfig> {
        let enforcements = [Enforcement::Off, Enforcement::Observe, Enforcement::Enforce];
        (0..3_usize, 0..3_usize, any::<(bool, bool, u64, Option<u64>)>()).prop_map(
            move |(
                lock_writes,
                serial,
                (lock_required, keeps, stale_after_ms, state_bytes_max),
            )| {
                GuardConfig {
                    lock_writes: enforcements[lock_writes],
                    serial: enforcements[serial],
                    lock_required,
                    lock_history: if keeps { LockHistory::Keep } else { LockHistory::Purge },
                    stale_after_ms,
                    state_bytes_max,
                }
            },
        )
    }

    #[test]
    fn a_row_of_the_first_layout_has_no_guard() {
        let row = BucketRow {
            id: BucketId([1; 16]),
            owner: "o".to_owned(),
            created_ms: 1,
            region: String::new(),
            versioning: Versioning::Enabled,
            deleting: false,
            public_access_block: None,
            encryption: None,
            tags: None,
            guard: None,
        };
        let mut old = row.encode().to_vec();
        assert_eq!(old.pop(), Some(0), "the guard that is not there");
        old[0] = LAYOUT_WITHOUT_GUARD;
        assert_eq!(BucketRow::decode(&old).unwrap(), row);
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id: [u8; 16], owner: String, created_ms: i64, region: String, versioning in 0..3_u8, deleting: bool,
            block in proptest::option::of(0..16_u8), bucket_key: Option<bool>,
            tags: Option<Vec<(String, String)>>,
            guard in proptest::option::of(guard()),
        ) {
            let row = BucketRow {
                id: BucketId(id), owner, created_ms, region,
                versioning: [Versioning::Unversioned, Versioning::Enabled, Versioning::Suspended][versioning as usize],
                deleting,
                public_access_block: block.map(PublicAccessBlock::from_bits),
                encryption: bucket_key.map(|bucket_key| DefaultEncryption::Aes256 { bucket_key }),
                tags,
                guard,
            };
            prop_assert_eq!(BucketRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(name in "[a-z0-9.-]{3,63}") {
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }
    }
}
