//! Objects: put, got, copied, tagged, deleted.

mod copy;
mod delete;
mod edit;
mod get;
mod install;
mod lock;
mod put;

use tidelock_meta::record::bucket::Versioning;
use tidelock_meta::record::controls::{Controls, ServerSideEncryption};
use tidelock_meta::record::version::{Checksum, ETag, ObjectFacts, ObjectVersion};

pub use crate::body::read::ObjectReader;
pub use copy::{CopyObject, CopySource};
pub use delete::DeletedObject;
pub use edit::ObjectEdit;
pub use get::{ByteRange, GetObject};
pub(crate) use get::{find_version, part_segments};
pub(crate) use install::{Keeping, OpenHead, Target, writes_null};
pub use lock::{Governance, LockChange};
pub(crate) use lock::{check_lockable, is_protected_version, of_new_object};
pub use put::PutObject;
pub(crate) use put::{lacks, op_id};

use crate::encryption::{EncryptionRequest, is_customers};
use crate::lifecycle::LifecycleSubject;
use crate::version::DisplayVersion;

/// The content type of an object of which nobody said one, as AWS gives it.
pub const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";

/// What a writer says of an object besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSettings {
    /// System headers that are given back as they came (`content-type`, `cache-control`, …), lowercase.
    pub headers: Vec<(String, String)>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: Vec<(String, String)>,
    /// Object tags.
    pub tags: Vec<(String, String)>,
    /// Locks and grants that were asked for; of an object that is there, its encryption too.
    pub controls: Controls,
    /// How it is to be encrypted; nothing is said here of an object that is there.
    pub encryption: EncryptionRequest,
}

/// What a write answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The version it made.
    pub version: DisplayVersion,
    /// The bucket's versioning at that moment: it decides whether the version is shown.
    pub versioning: Versioning,
    /// Entity tag.
    pub etag: ETag,
    /// Checksum.
    pub checksum: Option<Checksum>,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// Plaintext bytes.
    pub size: u64,
    /// How it is encrypted.
    pub encryption: ServerSideEncryption,
    /// What must be known to say when it expires, where the bucket has lifecycle rules.
    pub lifecycle: Option<LifecycleSubject>,
}

/// All that a reader is told of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Which version this is.
    pub version: DisplayVersion,
    /// The bucket's versioning: it decides whether the version is shown.
    pub versioning: Versioning,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// Plaintext bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// Headers, metadata and tags.
    pub settings: ObjectSettings,
    /// Checksum.
    pub checksum: Option<Checksum>,
    /// The parts' sizes in order, for a multipart object.
    pub part_sizes: Option<Vec<u64>>,
    /// The parts' checksums in the same order.
    pub part_checksums: Option<Vec<Option<Checksum>>>,
    /// The same of the current version, if that was asked for.
    pub lifecycle: Option<LifecycleSubject>,
}

impl ObjectInfo {
    pub(crate) fn of(version: &ObjectVersion, facts: &ObjectFacts, versioning: Versioning) -> Self {
        Self {
            version: DisplayVersion::of(version),
            versioning,
            modified_ms: version.modified_ms,
            size: facts.size,
            etag: facts.etag,
            settings: ObjectSettings {
                headers: facts.headers.clone(),
                metadata: facts.metadata.clone(),
                tags: facts.tags.clone(),
                controls: facts.controls.clone(),
                encryption: EncryptionRequest::BucketDefault,
            },
            // A blinded one says nothing.
            checksum: facts.checksum.clone().filter(|_| !is_customers(&facts.controls.encryption)),
            part_sizes: None,
            part_checksums: None,
            lifecycle: None,
        }
    }
}
