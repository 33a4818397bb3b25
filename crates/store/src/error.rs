//! What each operation can answer when it does not succeed. Kinds differ by what the caller will do;
//! causes below the domain are one opaque [`StorageError`].

use tidelock_blob::BlobError;
use tidelock_meta::MetaError;
use tidelock_meta::record::DecodeError;

use crate::body::read::OpenError;
use crate::body::source::BodyError;
use crate::bucket::BUCKET_TAGS_MAX;
use crate::condition::ConditionFailure;
use crate::encryption::KeyFailure;
use crate::guard::{AllowError, LockedBy, Refusal, RefusedError, ReleaseError};
use crate::version::DisplayVersion;

/// The store could not do its work. Never a statement about what is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Busy: the same request may succeed a moment later (`SlowDown`).
    #[error("the store is overloaded: {0}")]
    Overloaded(String),
    /// Cannot serve now, or the outcome of the write is not known (`ServiceUnavailable`).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Stored bytes are damaged or missing (`InternalError`).
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

impl From<MetaError> for StorageError {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Overloaded => Self::Overloaded(error.to_string()),
            MetaError::Unknown | MetaError::Unavailable(_) | MetaError::Fenced => {
                Self::Unavailable(error.to_string())
            }
            MetaError::TooLarge(_) | MetaError::Corrupt(_) => Self::Corrupt(error.to_string()),
        }
    }
}

impl From<DecodeError> for StorageError {
    fn from(error: DecodeError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<BlobError> for StorageError {
    /// A blob is opened and read only where a row names it: one that is not there is lost, and asking
    /// again will not bring it back.
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound => Self::Corrupt(error.to_string()),
            BlobError::Overloaded(_) => Self::Overloaded(error.to_string()),
            BlobError::AlreadyExists | BlobError::NoSpace | BlobError::Io(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

/// Why a bucket cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is none of that name.
    #[error("the specified bucket does not exist")]
    NoSuchBucket,
    /// It belongs to somebody else.
    #[error("access denied")]
    AccessDenied,
    /// Its access control list gives something to others, which its owner is to have alone.
    #[error("the bucket has an access control list")]
    HasAcl,
    /// What it says of who may use it has changed since that was decided: to be decided again.
    #[error("the access rules of the bucket have changed")]
    AccessChanged,
    /// It would have more tags than a bucket may.
    #[error("a bucket has at most {BUCKET_TAGS_MAX} tags")]
    TooManyTags,
    /// It has no Object Lock, and a version was to be locked.
    #[error("the bucket has no Object Lock")]
    NoObjectLock,
    /// Object Lock was to be turned on, and its versioning is off or suspended.
    #[error("Object Lock needs versioning")]
    NotVersioned,
    /// Its versioning was to be suspended, and it has Object Lock.
    #[error("versioning cannot be suspended where there is Object Lock")]
    HasObjectLock,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an object cannot be encrypted or decrypted as a request asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// Only a customer's key opens it, and none was sent.
    #[error(
        "the object is encrypted with a key that only its owner has, and that key was not sent"
    )]
    KeyMissing,
    /// It is not the key that it was encrypted with.
    #[error("the key that was sent is not the one that the object is encrypted with")]
    WrongKey,
    /// A customer's key was sent, and it is not encrypted with one.
    #[error("the object is not encrypted with a customer's key")]
    KeyNotApplicable,
    /// The keyring has no such key.
    #[error("there is no key '{0}'")]
    NoSuchKey(String),
}

/// Why a bucket was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateBucketError {
    /// The caller has made it before.
    #[error("the bucket is already owned by you")]
    AlreadyOwnedByYou,
    /// Somebody else has it.
    #[error("the bucket name is not available")]
    AlreadyExists,
    /// The caller owns as many as allowed.
    #[error("too many buckets")]
    TooManyBuckets,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a bucket was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteBucketError {
    /// It cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Objects, versions or delete markers are in it.
    #[error("the bucket is not empty")]
    NotEmpty,
}

/// Why an object was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutObjectError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A condition of the request does not hold.
    #[error(transparent)]
    Condition(#[from] ConditionFailure),
    /// The body could not be read from the client.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// `Content-MD5` is not the MD5 of the body.
    #[error("the Content-MD5 did not match what was received")]
    BadMd5,
    /// The checksum is not that of the body.
    #[error("the checksum did not match the calculated checksum")]
    BadChecksum,
    /// Over [`crate::StoreConfig::put_bytes_max`].
    #[error("the body is too large")]
    TooLarge,
    /// Somebody holds the lock that was to be taken.
    #[error(transparent)]
    Locked(Box<LockedBy>),
    /// The guard refuses it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// It cannot be encrypted as it was asked.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

/// Why an object was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetObjectError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// There is no object under the key.
    #[error("the specified key does not exist")]
    NoSuchKey {
        /// The delete marker that is current, if there is one.
        delete_marker: Option<DisplayVersion>,
    },
    /// There is no such version.
    #[error("the specified version does not exist")]
    NoSuchVersion,
    /// The version asked for is a delete marker.
    #[error("the version is a delete marker")]
    IsDeleteMarker {
        /// Its id.
        version: DisplayVersion,
        /// `Last-Modified`.
        modified_ms: i64,
    },
    /// It does not open with what was sent.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

/// Why an object was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteObjectError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A condition of the request does not hold.
    #[error(transparent)]
    Condition(#[from] ConditionFailure),
    /// The guard refuses it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Another principal holds the lock, and this one may not take it away.
    #[error(transparent)]
    HeldByAnother(Box<LockedBy>),
    /// A retention or a legal hold protects the version.
    #[error("the version is protected by Object Lock")]
    Protected,
}

/// Why a version was not locked otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutLockError {
    /// There is no such version.
    #[error(transparent)]
    Object(#[from] GetObjectError),
    /// The retention that is there may not be replaced by this one.
    #[error("the version is protected by Object Lock")]
    Retained,
}

impl From<BucketError> for PutLockError {
    fn from(error: BucketError) -> Self {
        Self::Object(error.into())
    }
}

/// Why an object was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read.
    #[error("source: {0}")]
    Source(GetObjectError),
    /// The destination cannot be written.
    #[error("destination: {0}")]
    Destination(#[from] PutObjectError),
    /// A part's destination cannot be written.
    #[error("part: {0}")]
    Part(#[from] UploadPartError),
}

/// Why an upload cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// There is no such upload, or it was completed or aborted.
    #[error("the specified upload does not exist")]
    NoSuchUpload,
}

/// Why an upload was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateUploadError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The object cannot be encrypted as it was asked.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

/// Why a part was not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadPartError {
    /// The upload cannot be used.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The body was refused or could not be stored.
    #[error(transparent)]
    Put(#[from] PutObjectError),
    /// The part has another checksum algorithm than its upload.
    #[error("the part's checksum algorithm is not that of the upload")]
    ChecksumMismatch {
        /// The upload's.
        expected: Option<crate::ChecksumAlgorithm>,
        /// The part's.
        got: crate::ChecksumAlgorithm,
    },
}

/// Why an upload was not completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompleteError {
    /// The upload cannot be used.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// A condition of the request does not hold.
    #[error(transparent)]
    Condition(#[from] ConditionFailure),
    /// No such part, or its entity tag or checksum is another.
    #[error("part {number} could not be found or its entity tag is another")]
    InvalidPart {
        /// Which.
        number: u16,
        /// The entity tag that was asked for.
        etag: String,
    },
    /// The parts are not in ascending order.
    #[error("the list of parts is not in ascending order")]
    InvalidPartOrder,
    /// A part but the last is under [`crate::StoreConfig::part_bytes_min`].
    #[error("part {number} is too small")]
    TooSmall {
        /// Which.
        number: u16,
        /// Its bytes.
        size: u64,
        /// Its entity tag.
        etag: String,
    },
    /// The object would be over [`crate::StoreConfig::object_bytes_max`].
    #[error("the object is too large")]
    TooLarge,
    /// The object's checksum is not the one that was sent along.
    #[error("the checksum did not match the calculated checksum")]
    BadChecksum,
    /// The object's size is not the one that was sent along.
    #[error("the object's size is not the expected one")]
    BadSize {
        /// `x-amz-mp-object-size`
        expected: u64,
        /// The parts' sum.
        actual: u64,
    },
    /// The guard refuses it; the upload is over.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Somebody holds the lock that was to be taken.
    #[error(transparent)]
    Locked(Box<LockedBy>),
    /// The customer's key is not that of the upload.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The upload has composite checksums, and the list of parts leaves some out.
    #[error("the list of parts lacks a checksum")]
    MissingPartChecksum {
        /// Which part.
        number: u16,
    },
}

/// Why a user or access key was not made, listed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Only root may.
    #[error("access denied")]
    AccessDenied,
    /// There is no such user.
    #[error("the user does not exist")]
    NoSuchUser,
    /// There is such a user.
    #[error("the user exists already")]
    UserExists,
    /// Not a name: 1 to 64 of `A-Z a-z 0-9 + = , . @ _ -`.
    #[error("not a user name: 1 to 64 characters of A-Z a-z 0-9 + = , . @ _ -")]
    InvalidUserName,
    /// There is no such access key.
    #[error("the access key does not exist")]
    NoSuchKey,
    /// A key cannot end then.
    #[error("not an end of a key: {0}")]
    InvalidExpiry(&'static str),
    /// There is no such role.
    #[error("the role does not exist")]
    NoSuchRole,
    /// There is such a role.
    #[error("the role exists already")]
    RoleExists,
    /// It cannot be one.
    #[error("not a role: {0}")]
    InvalidRole(&'static str),
    /// There are as many as there can be.
    #[error("there are 1000 roles already")]
    TooManyRoles,
    /// The user has no policy of that name.
    #[error("the policy does not exist")]
    NoSuchPolicy,
    /// Not a name: 1 to 128 of `A-Z a-z 0-9 + = , . @ _ -`, each once.
    #[error("not a name of a policy: 1 to 128 characters of A-Z a-z 0-9 + = , . @ _ -, each once")]
    InvalidPolicyName,
    /// More than ten documents, or than 10,240 bytes.
    #[error("more than 10 policies, or more than 10240 bytes of them")]
    TooManyPolicies,
    /// There is no such group.
    #[error("the group does not exist")]
    NoSuchGroup,
    /// There is such a group.
    #[error("the group exists already")]
    GroupExists,
    /// Not a name: 1 to 128 of `A-Z a-z 0-9 + = , . @ _ -`.
    #[error("not a group name: 1 to 128 characters of A-Z a-z 0-9 + = , . @ _ -")]
    InvalidGroupName,
    /// There are as many as there can be.
    #[error("there are 300 groups already")]
    TooManyGroups,
    /// The user is in as many as a user can be in.
    #[error("the user is in 10 groups already")]
    TooManyGroupsOfUser,
    /// It has as many members as it can have.
    #[error("the group has 5000 members already")]
    TooManyMembers,
    /// The user is not in the group.
    #[error("the user is not in the group")]
    NotAMember,
    /// It still has members.
    #[error("the group still has members, which `tidelock group show` lists: remove them first")]
    GroupInUse,
    /// The user still owns buckets or access keys.
    #[error("the user still has {0}")]
    InUse(&'static str),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl BucketError {
    /// The failure of the store, if it is one.
    pub(crate) fn into_storage(self) -> Option<StorageError> {
        match self {
            Self::Storage(error) => Some(error),
            Self::NoSuchBucket
            | Self::AccessDenied
            | Self::AccessChanged
            | Self::HasAcl
            | Self::TooManyTags
            | Self::NoObjectLock
            | Self::NotVersioned
            | Self::HasObjectLock => None,
        }
    }

    fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Unavailable(_)))
    }
}

impl PutObjectError {
    /// Whether the write may have landed all the same: then its body must stay for the sweeper to
    /// judge, who sees whether the commit took the intent.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Bucket(error) if error.is_outcome_unknown())
    }
}

impl UploadPartError {
    /// The same of a part.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Upload(UploadError::Bucket(error)) => error.is_outcome_unknown(),
            Self::Put(error) => error.is_outcome_unknown(),
            Self::Upload(UploadError::NoSuchUpload) | Self::ChecksumMismatch { .. } => false,
        }
    }
}

impl CompleteError {
    /// The same of an upload.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Upload(UploadError::Bucket(error)) if error.is_outcome_unknown())
    }
}

/// Gives errors that carry a [`BucketError`] a way in for what can fail below it.
macro_rules! from_storage {
    ($($error:ty => $wrap:expr),+ $(,)?) => {$(
        impl From<StorageError> for $error {
            fn from(error: StorageError) -> Self {
                $wrap(error)
            }
        }
        impl From<MetaError> for $error {
            fn from(error: MetaError) -> Self {
                Self::from(StorageError::from(error))
            }
        }
        impl From<DecodeError> for $error {
            fn from(error: DecodeError) -> Self {
                Self::from(StorageError::from(error))
            }
        }
    )+};
}

from_storage! {
    DeleteBucketError => |error| Self::Bucket(BucketError::Storage(error)),
    PutObjectError => |error| Self::Bucket(BucketError::Storage(error)),
    GetObjectError => |error| Self::Bucket(BucketError::Storage(error)),
    PutLockError => |error| Self::Object(GetObjectError::from(error)),
    DeleteObjectError => |error| Self::Bucket(BucketError::Storage(error)),
    UploadError => |error| Self::Bucket(BucketError::Storage(error)),
    CreateUploadError => |error| Self::Bucket(BucketError::Storage(error)),
    UploadPartError => |error| Self::Upload(UploadError::from(error)),
    CompleteError => |error| Self::Upload(UploadError::from(error)),
    AllowError => |error| Self::Bucket(BucketError::Storage(error)),
    RefusedError => |error| Self::Bucket(BucketError::Storage(error)),
    ReleaseError => |error| Self::Bucket(BucketError::Storage(error)),
}

/// The same for errors that hold a [`StorageError`] themselves.
macro_rules! from_meta {
    ($($error:ty),+ $(,)?) => {$(
        impl From<MetaError> for $error {
            fn from(error: MetaError) -> Self {
                Self::Storage(error.into())
            }
        }
        impl From<DecodeError> for $error {
            fn from(error: DecodeError) -> Self {
                Self::Storage(error.into())
            }
        }
    )+};
}

from_meta!(BucketError, CreateBucketError, IdentityError);

/// Gives errors a way in for what a data key fails with.
macro_rules! from_key_failure {
    ($($error:ty),+ $(,)?) => {$(
        impl From<KeyFailure> for $error {
            fn from(failure: KeyFailure) -> Self {
                match failure {
                    KeyFailure::Encryption(error) => error.into(),
                    KeyFailure::Storage(error) => error.into(),
                }
            }
        }
    )+};
}

from_key_failure!(GetObjectError, UploadPartError, CompleteError, OpenError);

impl From<EncryptionError> for UploadPartError {
    fn from(error: EncryptionError) -> Self {
        Self::Put(error.into())
    }
}

impl From<BucketError> for UploadPartError {
    fn from(error: BucketError) -> Self {
        Self::Upload(error.into())
    }
}

impl From<BucketError> for CompleteError {
    fn from(error: BucketError) -> Self {
        Self::Upload(error.into())
    }
}
