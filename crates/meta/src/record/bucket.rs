//! A bucket: who owns it and how it is configured.
//!
//! ```text
//! key    01 | name
//! value  03 | id:16 | owner:text | created_ms:i64 | region:text | versioning:u8 | deleting:flag
//!           | public_access_block:option u8 | encryption:option | tags:option pairs | guard:option
//!           | object_ownership:option u8 | acl:option | object_lock:option | policy:option 16
//!           | cors:option 16 | lifecycle:option 16
//! encryption   0 | bucket_key:flag      1 | key:option text | bucket_key:flag
//! object_lock  option of mode:u8 | 0 (days) or 1 (years) | number:u32
//! guard  lock_writes:u8 | serial:u8 | lock_required:flag | keeps_lock_history:flag | stale_after_ms:u64
//!        | state_bytes_max:option u64
//! ```
//! In layout 02 encryption is an option of bucket_key:flag, and the row ends with the guard; in layout 01
//! before it.
//! Every object write checks this row at its version: that is what fences writers when the bucket is
//! about to be deleted or its versioning changes.

use bytes::Bytes;

use super::bucket_document::DocumentId;
use super::codec::{Reader, Writer};
use super::controls::{Acl, RetentionMode};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "bucket";
const LAYOUT: u8 = 3;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultEncryption {
    /// SSE-S3 (`AES256`).
    Aes256 {
        /// Whether the configuration asks for a bucket key.
        bucket_key: bool,
    },
    /// SSE-KMS (`aws:kms`).
    Kms {
        /// The key, as it was named; none for the default one.
        key: Option<String>,
        /// Whether the configuration asks for a bucket key.
        bucket_key: bool,
    },
}

/// Who owns what others write into a bucket, and whether access control lists mean anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectOwnership {
    /// The owner of the bucket; lists are off.
    BucketOwnerEnforced,
    /// The owner of the bucket, of what is written with `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// Whoever writes it.
    ObjectWriter,
}

/// How long versions are kept that say nothing of it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRetention {
    /// Who may shorten it.
    pub mode: RetentionMode,
    /// How long.
    pub period: RetentionPeriod,
}

/// A period, as object lock counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionPeriod {
    /// Of this many days.
    Days(u32),
    /// Of this many years of 365 days.
    Years(u32),
}

/// That versions in a bucket can be locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// How long, if they do not say.
    pub default_retention: Option<DefaultRetention>,
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
    /// Who owns what others write, unless `DeleteBucketOwnershipControls` was called.
    pub object_ownership: Option<ObjectOwnership>,
    /// Who may use it besides its owner.
    pub acl: Option<Acl>,
    /// Whether versions can be locked.
    pub object_lock: Option<ObjectLock>,
    /// Its policy.
    pub policy: Option<DocumentId>,
    /// Its CORS rules.
    pub cors: Option<DocumentId>,
    /// Its lifecycle rules.
    pub lifecycle: Option<DocumentId>,
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
    Reader::key(RECORD, Tag::Bucket, key)?.rest_text()
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
        writer.option(self.encryption.as_ref(), |writer, encryption| encryption.write(writer));
        writer.option(self.tags.as_ref(), |writer, tags| writer.pairs(tags));
        writer.option(self.guard.as_ref(), |writer, guard| guard.write(writer));
        writer.option(self.object_ownership.as_ref(), |writer, owns| owns.write(writer));
        writer.option(self.acl.as_ref(), |writer, acl| acl.write(writer));
        writer.option(self.object_lock.as_ref(), |writer, lock| lock.write(writer));
        for document in [&self.policy, &self.cors, &self.lifecycle] {
            writer.option(document.as_ref(), |writer, document| writer.raw(&document.0));
        }
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let known = |layout: &u8| (LAYOUT_WITHOUT_GUARD..=LAYOUT).contains(layout);
        let layout = bytes.first().copied().filter(known).unwrap_or(LAYOUT);
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let mut row = Self {
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
            public_access_block: reader.option(|reader| {
                PublicAccessBlock::from_bits(reader.u8()?)
                    .ok_or_else(|| reader.error("unknown public access block"))
            })?,
            encryption: reader
                .option(|reader| DefaultEncryption::read(reader, layout == LAYOUT))?,
            tags: reader.option(Reader::pairs)?,
            guard: match layout {
                LAYOUT_WITHOUT_GUARD => None,
                _ => reader.option(GuardConfig::read)?,
            },
            object_ownership: Some(ObjectOwnership::BucketOwnerEnforced),
            acl: None,
            object_lock: None,
            policy: None,
            cors: None,
            lifecycle: None,
        };
        if layout == LAYOUT {
            row.object_ownership = reader.option(ObjectOwnership::read)?;
            row.acl = reader.option(Acl::read)?;
            row.object_lock = reader.option(ObjectLock::read)?;
            for document in [&mut row.policy, &mut row.cors, &mut row.lifecycle] {
                *document = reader.option(|reader| Ok(DocumentId(reader.array()?)))?;
            }
        }
        reader.end()?;
        Ok(row)
    }
}

impl DefaultEncryption {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Aes256 { bucket_key } => {
                writer.u8(0);
                writer.flag(*bucket_key);
            }
            Self::Kms { key, bucket_key } => {
                writer.u8(1);
                writer.option(key.as_ref(), |writer, key| writer.text(key));
                writer.flag(*bucket_key);
            }
        }
    }

    fn read(reader: &mut Reader<'_>, names_kind: bool) -> Result<Self, DecodeError> {
        let kind = if names_kind { reader.u8()? } else { 0 };
        Ok(match kind {
            0 => Self::Aes256 { bucket_key: reader.flag()? },
            1 => Self::Kms { key: reader.option(Reader::text)?, bucket_key: reader.flag()? },
            _ => return Err(reader.error("unknown default encryption")),
        })
    }
}

impl ObjectOwnership {
    fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::BucketOwnerEnforced => 0,
            Self::BucketOwnerPreferred => 1,
            Self::ObjectWriter => 2,
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::BucketOwnerEnforced,
            1 => Self::BucketOwnerPreferred,
            2 => Self::ObjectWriter,
            _ => return Err(reader.error("unknown object ownership")),
        })
    }
}

impl ObjectLock {
    fn write(&self, writer: &mut Writer) {
        writer.option(self.default_retention.as_ref(), |writer, retention| {
            retention.mode.write(writer);
            let (unit, number) = match retention.period {
                RetentionPeriod::Days(days) => (0, days),
                RetentionPeriod::Years(years) => (1, years),
            };
            writer.u8(unit);
            writer.u32(number);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let default_retention = reader.option(|reader| {
            let mode = RetentionMode::read(reader)?;
            let period = match (reader.u8()?, reader.u32()?) {
                (0, days) => RetentionPeriod::Days(days),
                (1, years) => RetentionPeriod::Years(years),
                _ => return Err(reader.error("unknown retention period")),
            };
            Ok(DefaultRetention { mode, period })
        })?;
        Ok(Self { default_retention })
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

    /// None for a switch that is not known: what it forbids must not be allowed.
    fn from_bits(bits: u8) -> Option<Self> {
        let block = Self {
            block_public_acls: bits & 1 != 0,
            ignore_public_acls: bits & 2 != 0,
            block_public_policy: bits & 4 != 0,
            restrict_public_buckets: bits & 8 != 0,
        };
        (block.bits() == bits).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::controls::arbitrary;
    use super::*;

    fn object_lock() -> impl Strategy<Value = ObjectLock> {
        let period = prop_oneof![
            any::<u32>().prop_map(RetentionPeriod::Days),
            any::<u32>().prop_map(RetentionPeriod::Years),
        ];
        let retention = (arbitrary::mode(), period)
            .prop_map(|(mode, period)| DefaultRetention { mode, period });
        proptest::option::of(retention)
            .prop_map(|default_retention| ObjectLock { default_retention })
    }

    fn encryption() -> impl Strategy<Value = DefaultEncryption> {
        prop_oneof![
            any::<bool>().prop_map(|bucket_key| DefaultEncryption::Aes256 { bucket_key }),
            any::<(Option<String>, bool)>()
                .prop_map(|(key, bucket_key)| DefaultEncryption::Kms { key, bucket_key }),
        ]
    }

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
    fn rows_of_older_layouts_are_read() {
        let mut row = BucketRow {
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
            object_ownership: Some(ObjectOwnership::BucketOwnerEnforced),
            acl: None,
            object_lock: None,
            policy: None,
            cors: None,
            lifecycle: None,
        };
        let mut old = row.encode().to_vec();
        assert_eq!(old.split_off(old.len() - 7), [1, 0, 0, 0, 0, 0, 0], "what is not there yet");
        old[0] = 2;
        assert_eq!(BucketRow::decode(&old).unwrap(), row);
        assert_eq!(old.pop(), Some(0), "the guard that is not there");
        old[0] = LAYOUT_WITHOUT_GUARD;
        assert_eq!(BucketRow::decode(&old).unwrap(), row);
        let tags = old.pop();
        assert_eq!(old.pop(), Some(0), "the encryption that is not there");
        old.extend([1, 1]);
        old.extend(tags);
        row.encryption = Some(DefaultEncryption::Aes256 { bucket_key: true });
        assert_eq!(BucketRow::decode(&old).unwrap(), row);
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id: [u8; 16], owner: String, created_ms: i64, region: String, versioning in 0..3_u8, deleting: bool,
            block in proptest::option::of(0..16_u8), encryption in proptest::option::of(encryption()),
            tags: Option<Vec<(String, String)>>,
            guard in proptest::option::of(guard()), owns in proptest::option::of(0..3_usize),
            acl in proptest::option::of(arbitrary::acl()), object_lock in proptest::option::of(object_lock()),
            documents: [Option<[u8; 16]>; 3],
        ) {
            let [policy, cors, lifecycle] = documents.map(|id| id.map(DocumentId));
            let ownerships = [
                ObjectOwnership::BucketOwnerEnforced,
                ObjectOwnership::BucketOwnerPreferred,
                ObjectOwnership::ObjectWriter,
            ];
            let row = BucketRow {
                id: BucketId(id), owner, created_ms, region,
                versioning: [Versioning::Unversioned, Versioning::Enabled, Versioning::Suspended][versioning as usize],
                deleting,
                public_access_block: block.and_then(PublicAccessBlock::from_bits),
                encryption,
                tags,
                guard,
                object_ownership: owns.map(|owns| ownerships[owns]),
                acl, object_lock, policy, cors, lifecycle,
            };
            prop_assert_eq!(BucketRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn switches_are_known_or_refused(bits: u8) {
            let block = PublicAccessBlock::from_bits(bits);
            prop_assert_eq!(block.map(PublicAccessBlock::bits), Some(bits).filter(|it| *it < 16));
        }

        #[test]
        fn keys_come_back(name in "[a-z0-9.-]{3,63}") {
            prop_assert_eq!(decode_key(&key(&name)).unwrap(), name);
        }
    }
}
