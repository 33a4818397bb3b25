//! How the domain's refusals are answered: one code each, with no catch-all.
//!
//! Which bucket, key or version a refusal is about is added by the call it ends.

use http::{HeaderName, HeaderValue, header};
use tidelock_store::{
    BodyError, BucketError, CompleteError, ConditionFailure, CopyError, CreateBucketError,
    CreateUploadError, DeleteBucketError, DeleteObjectError, DisplayVersion, EncryptionError,
    GetObjectError, IdentityError, LockedBy, PutLockError, PutObjectError, Refusal, RefusalReason,
    StorageError, UploadError, UploadPartError,
};

use super::{ErrorCode, S3Error};
use crate::checksum::{self, Algorithm};
use crate::conditions::condition_failed;
use crate::date;
use crate::payload::PayloadError;
use crate::tags;

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        let code = match error {
            StorageError::Overloaded(_) => ErrorCode::SlowDown,
            StorageError::Unavailable(_) => ErrorCode::ServiceUnavailable,
            StorageError::Corrupt(_) => ErrorCode::InternalError,
        };
        Self::new(code).caused_by(&error)
    }
}

impl From<BucketError> for S3Error {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::NoSuchBucket => Self::new(ErrorCode::NoSuchBucket),
            BucketError::AccessDenied => Self::new(ErrorCode::AccessDenied),
            BucketError::HasAcl => Self::new(ErrorCode::InvalidBucketAclWithObjectOwnership),
            BucketError::TooManyTags => tags::too_many(),
            BucketError::AccessChanged => Self::new(ErrorCode::SlowDown).caused_by(&error),
            BucketError::NoObjectLock => {
                Self::invalid_request("Bucket is missing Object Lock Configuration")
            }
            BucketError::NotVersioned => Self::with_message(
                ErrorCode::InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            ),
            BucketError::HasObjectLock => Self::with_message(
                ErrorCode::InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state \
                 cannot be changed.",
            ),
            BucketError::Storage(error) => error.into(),
        }
    }
}

impl From<EncryptionError> for S3Error {
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::KeyMissing => Self::invalid_request(
                "The object was stored using a form of Server Side Encryption. The correct \
                 parameters must be provided to retrieve the object.",
            ),
            EncryptionError::WrongKey => Self::invalid_request(
                "The provided encryption parameters did not match the ones used originally.",
            ),
            EncryptionError::KeyNotApplicable => Self::invalid_request(
                "The encryption parameters are not applicable to this object.",
            ),
            EncryptionError::NoSuchKey(key) => Self::with_message(
                ErrorCode::KmsNotFoundException,
                format!("Key '{key}' does not exist"),
            ),
        }
    }
}

impl From<CreateUploadError> for S3Error {
    fn from(error: CreateUploadError) -> Self {
        match error {
            CreateUploadError::Bucket(error) => error.into(),
            CreateUploadError::Encryption(error) => error.into(),
        }
    }
}

impl From<CreateBucketError> for S3Error {
    fn from(error: CreateBucketError) -> Self {
        match error {
            CreateBucketError::AlreadyOwnedByYou => Self::new(ErrorCode::BucketAlreadyOwnedByYou),
            CreateBucketError::AlreadyExists => Self::new(ErrorCode::BucketAlreadyExists),
            CreateBucketError::TooManyBuckets => Self::new(ErrorCode::TooManyBuckets),
            CreateBucketError::Storage(error) => error.into(),
        }
    }
}

impl From<DeleteBucketError> for S3Error {
    fn from(error: DeleteBucketError) -> Self {
        match error {
            DeleteBucketError::Bucket(error) => error.into(),
            DeleteBucketError::NotEmpty => Self::new(ErrorCode::BucketNotEmpty),
        }
    }
}

impl From<ConditionFailure> for S3Error {
    fn from(failure: ConditionFailure) -> Self {
        let conflict = |condition| {
            Self::new(ErrorCode::ConditionalRequestConflict).field("Condition", condition)
        };
        match failure {
            ConditionFailure::IfMatch => condition_failed("If-Match"),
            ConditionFailure::IfNoneMatch => condition_failed("If-None-Match"),
            ConditionFailure::NoSuchKey => Self::new(ErrorCode::NoSuchKey),
            ConditionFailure::ConflictIfNoneMatch => conflict("If-None-Match"),
            ConditionFailure::ConflictIfMatch => conflict("If-Match"),
        }
    }
}

impl From<LockedBy> for S3Error {
    /// AWS's own code and field, with a message of ours: Terraform prints it.
    fn from(locked: LockedBy) -> Self {
        Self::with_message(ErrorCode::PreconditionFailed, locked.message)
            .field("Condition", "If-None-Match")
    }
}

impl From<Refusal> for S3Error {
    /// Codes of ours. All are 412: clients do not try again, and Terraform keeps what it could not
    /// write.
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.reason {
            RefusalReason::StateLocked => ErrorCode::StateLocked,
            RefusalReason::StateLockLost => ErrorCode::StateLockLost,
            RefusalReason::StateLockRequired => ErrorCode::StateLockRequired,
            RefusalReason::StaleStateWrite => ErrorCode::StaleStateWrite,
            RefusalReason::StateLineageMismatch => ErrorCode::StateLineageMismatch,
            RefusalReason::NotAState => ErrorCode::NotAState,
            RefusalReason::StateTooLarge => ErrorCode::StateTooLarge,
        };
        let error = Self::with_message(code, refusal.message);
        match refusal.refused {
            Some(id) => {
                let shown = DisplayVersion { id, is_null: false };
                error.field("RefusedVersionId", shown.to_string())
            }
            None => error,
        }
    }
}

impl From<BodyError> for S3Error {
    fn from(error: BodyError) -> Self {
        let error = match error.0.downcast::<PayloadError>() {
            Ok(error) => return Self::from(*error),
            Err(error) => error,
        };
        match error.downcast::<StorageError>() {
            Ok(error) => Self::from(*error),
            Err(error) => Self::new(ErrorCode::InternalError).caused_by(&*error),
        }
    }
}

impl From<PutObjectError> for S3Error {
    fn from(error: PutObjectError) -> Self {
        match error {
            PutObjectError::Bucket(error) => error.into(),
            PutObjectError::Condition(failure) => failure.into(),
            PutObjectError::Body(error) => error.into(),
            PutObjectError::BadMd5 => Self::new(ErrorCode::BadDigest),
            PutObjectError::BadChecksum => checksum::mismatch(),
            PutObjectError::TooLarge => Self::new(ErrorCode::EntityTooLarge),
            PutObjectError::Locked(locked) => Self::from(*locked),
            PutObjectError::Refused(refusal) => Self::from(*refusal),
            PutObjectError::Encryption(error) => error.into(),
        }
    }
}

impl From<GetObjectError> for S3Error {
    fn from(error: GetObjectError) -> Self {
        match error {
            GetObjectError::Bucket(error) => error.into(),
            GetObjectError::NoSuchKey { delete_marker } => {
                let error = Self::new(ErrorCode::NoSuchKey);
                match delete_marker {
                    Some(version) => with_delete_marker(error, version),
                    None => error,
                }
            }
            GetObjectError::NoSuchVersion => Self::new(ErrorCode::NoSuchVersion),
            GetObjectError::Encryption(error) => error.into(),
            GetObjectError::IsDeleteMarker { version, modified_ms } => {
                let error = Self::new(ErrorCode::MethodNotAllowed)
                    .header(header::ALLOW, HeaderValue::from_static("DELETE"));
                let error = with_delete_marker(error, version);
                match HeaderValue::from_str(&date::http_date(modified_ms)) {
                    Ok(modified) => error.header(header::LAST_MODIFIED, modified),
                    Err(_) => error,
                }
            }
        }
    }
}

impl From<DeleteObjectError> for S3Error {
    fn from(error: DeleteObjectError) -> Self {
        match error {
            DeleteObjectError::Bucket(error) => error.into(),
            DeleteObjectError::Condition(failure) => failure.into(),
            DeleteObjectError::Refused(refusal) => Self::from(*refusal),
            DeleteObjectError::HeldByAnother(held) => {
                Self::with_message(ErrorCode::AccessDenied, held.message)
            }
            DeleteObjectError::Protected => protected(),
        }
    }
}

impl From<PutLockError> for S3Error {
    fn from(error: PutLockError) -> Self {
        match error {
            PutLockError::Object(error) => error.into(),
            PutLockError::Retained => protected(),
        }
    }
}

fn protected() -> S3Error {
    let message = "Access Denied because object protected by object lock.";
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

impl From<CopyError> for S3Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Source(GetObjectError::IsDeleteMarker { .. }) => Self::invalid_request(
                "The source of a copy request may not specifically refer to a delete marker by \
                 version id.",
            ),
            CopyError::Source(error) => error.into(),
            CopyError::Destination(error) => error.into(),
            CopyError::Part(error) => error.into(),
        }
    }
}

impl From<UploadError> for S3Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Bucket(error) => error.into(),
            UploadError::NoSuchUpload => Self::new(ErrorCode::NoSuchUpload),
        }
    }
}

impl From<UploadPartError> for S3Error {
    fn from(error: UploadPartError) -> Self {
        match error {
            UploadPartError::Upload(error) => error.into(),
            UploadPartError::Put(PutObjectError::Encryption(error)) => of_upload(error),
            UploadPartError::Put(error) => error.into(),
            UploadPartError::ChecksumMismatch { expected, got } => {
                let expected = expected.map_or("null", |expected| Algorithm::of(expected).name());
                Self::invalid_request(format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum \
                     Type: {}",
                    expected.to_ascii_lowercase(),
                    Algorithm::of(got).name().to_ascii_lowercase(),
                ))
            }
        }
    }
}

impl From<CompleteError> for S3Error {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Upload(error) => error.into(),
            CompleteError::Condition(failure) => failure.into(),
            CompleteError::InvalidPart { number, etag } => Self::new(ErrorCode::InvalidPart)
                .field("PartNumber", number.to_string())
                .field("ETag", etag),
            CompleteError::InvalidPartOrder => Self::new(ErrorCode::InvalidPartOrder),
            CompleteError::TooSmall { number, size, etag } => Self::new(ErrorCode::EntityTooSmall)
                .field("ProposedSize", size.to_string())
                .field("PartNumber", number.to_string())
                .field("ETag", etag),
            CompleteError::TooLarge => Self::new(ErrorCode::EntityTooLarge),
            CompleteError::Locked(locked) => Self::from(*locked),
            CompleteError::Refused(refusal) => Self::from(*refusal),
            CompleteError::Encryption(error) => of_upload(error),
            CompleteError::BadChecksum => checksum::mismatch(),
            CompleteError::BadSize { expected, actual } => Self::invalid_request(format!(
                "The provided 'x-amz-mp-object-size' header value {expected} does not match what \
                 was computed: {actual}"
            )),
            CompleteError::MissingPartChecksum { number } => Self::invalid_request(format!(
                "The upload was created with a composite checksum. The complete request must \
                 include the checksum for each part. It was missing for part {number} in the \
                 request."
            )),
        }
    }
}

impl From<IdentityError> for S3Error {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Storage(error) => error.into(),
            error @ (IdentityError::AccessDenied
            | IdentityError::NoSuchUser
            | IdentityError::UserExists
            | IdentityError::InvalidUserName
            | IdentityError::NoSuchKey
            | IdentityError::InvalidExpiry(_)
            | IdentityError::NoSuchRole
            | IdentityError::RoleExists
            | IdentityError::InvalidRole(_)
            | IdentityError::TooManyRoles
            | IdentityError::NoSuchPolicy
            | IdentityError::InvalidPolicyName
            | IdentityError::TooManyPolicies
            | IdentityError::NoSuchGroup
            | IdentityError::GroupExists
            | IdentityError::InvalidGroupName
            | IdentityError::TooManyGroups
            | IdentityError::TooManyGroupsOfUser
            | IdentityError::TooManyMembers
            | IdentityError::NotAMember
            | IdentityError::GroupInUse
            | IdentityError::InUse(_)) => {
                Self::with_message(ErrorCode::AccessDenied, error.to_string())
            }
        }
    }
}

/// An upload is not retrieved: its requests repeat the key it was begun with.
fn of_upload(error: EncryptionError) -> S3Error {
    match error {
        EncryptionError::KeyMissing => S3Error::invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must \
             include the appropriate encryption parameters.",
        ),
        error @ (EncryptionError::WrongKey
        | EncryptionError::KeyNotApplicable
        | EncryptionError::NoSuchKey(_)) => error.into(),
    }
}

fn with_delete_marker(error: S3Error, version: DisplayVersion) -> S3Error {
    let error = error.header(DELETE_MARKER, HeaderValue::from_static("true"));
    match HeaderValue::from_str(&version.to_string()) {
        Ok(version) => error.header(VERSION_ID, version),
        Err(_) => error,
    }
}
