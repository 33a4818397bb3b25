//! An authenticated request on its way to its operation: what every operation asks of it.

use std::sync::Arc;

use http::{HeaderMap, Method, header};
use tidelock_store::{
    ACCOUNT_ID, BucketName, InvalidObjectKey, ObjectKey, Principal, Store, VersionSelector,
};

use crate::conditions::Forms;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::payload::Payload;
use crate::query::Query;
use crate::route::{Address, Operation};
use crate::service::{Peer, S3Service};

const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
const SOURCE_EXPECTED_OWNER: &str = "x-amz-source-expected-bucket-owner";
const OBJECT_KEY_BYTES_MAX: usize = 1024;

/// One request with its caller.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a S3Service,
    pub(crate) operation: Operation,
    pub(crate) principal: Principal,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    pub(crate) address: Address,
    pub(crate) peer: Peer,
    pub(crate) payload: Payload,
}

impl<'a> Call<'a> {
    /// The store.
    pub(crate) fn store(&self) -> &'a Arc<Store> {
        &self.service.store
    }

    /// The bucket's name as it was sent.
    pub(crate) fn bucket_text(&self) -> &str {
        self.address.bucket.as_deref().unwrap_or_default()
    }

    /// The key as it was sent.
    pub(crate) fn key_text(&self) -> &str {
        self.address.key.as_deref().unwrap_or_default()
    }

    /// The bucket's name, if it can be one.
    pub(crate) fn bucket(&self) -> S3Result<BucketName> {
        parse_bucket(self.bucket_text())
    }

    /// The object's key, if it can be one.
    pub(crate) fn key(&self) -> S3Result<ObjectKey> {
        parse_key(self.key_text())
    }

    /// The version asked for in the query.
    pub(crate) fn version(&self) -> S3Result<Option<VersionSelector>> {
        self.query.value("versionId").map(parse_version).transpose()
    }

    /// Which forms of a write's conditions are taken.
    pub(crate) fn condition_forms(&self) -> Forms {
        if self.service.config.strict_aws_conditions { Forms::Aws } else { Forms::All }
    }

    /// The text of a header, if it has one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Refuses a body whose end nobody would notice to be missing. A signed hash tells a whole body
    /// from a part of it, so a body in HTTP's own chunks is then taken as it is.
    pub(crate) fn require_length(&self) -> S3Result<()> {
        let signed_hash = self.header("x-amz-content-sha256").is_some_and(|hash| hash.len() == 64);
        let chunked = self.headers.contains_key(header::TRANSFER_ENCODING);
        if self.payload.content_bytes().is_some() || (signed_hash && chunked) {
            Ok(())
        } else {
            Err(S3Error::new(ErrorCode::MissingContentLength))
        }
    }

    /// The bucket owner that the client expects must be the one account there is
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>).
    pub(crate) fn check_expected_owner(&self) -> S3Result<()> {
        let wrong = [EXPECTED_OWNER, SOURCE_EXPECTED_OWNER]
            .into_iter()
            .any(|name| self.headers.get(name).is_some_and(|owner| owner != ACCOUNT_ID));
        if wrong { Err(S3Error::new(ErrorCode::AccessDenied)) } else { Ok(()) }
    }
}

impl Call<'_> {
    /// Adds to a refusal what it is about, as AWS does, where the refusal does not say it yet.
    pub(crate) fn name_subject(&self, error: S3Error) -> S3Error {
        use ErrorCode as Code;
        match error.code() {
            Code::ConditionalRequestConflict => error.field("Key", self.key_text()),
            _ if !error.extra().is_empty() => error,
            Code::NoSuchBucket
            | Code::NoSuchBucketPolicy
            | Code::NoSuchCORSConfiguration
            | Code::NoSuchLifecycleConfiguration
            | Code::NoSuchPublicAccessBlockConfiguration
            | Code::NoSuchTagSet
            | Code::NoSuchWebsiteConfiguration
            | Code::ObjectLockConfigurationNotFoundError
            | Code::OwnershipControlsNotFoundError
            | Code::ReplicationConfigurationNotFoundError
            | Code::ServerSideEncryptionConfigurationNotFoundError
            | Code::BucketAlreadyExists
            | Code::BucketAlreadyOwnedByYou
            | Code::BucketNotEmpty => error.field("BucketName", self.bucket_text()),
            Code::NoSuchKey => error.field("Key", self.key_text()),
            Code::NoSuchVersion => error
                .field("Key", self.key_text())
                .field("VersionId", self.query.value("versionId").unwrap_or_default()),
            Code::NoSuchUpload => {
                error.field("UploadId", self.query.value("uploadId").unwrap_or_default())
            }
            Code::MethodNotAllowed => {
                error.field("Method", self.method.as_str()).field("ResourceType", "DeleteMarker")
            }
            _ => error,
        }
    }
}

/// A bucket's name.
///
/// # Errors
///
/// `InvalidBucketName`.
pub(crate) fn parse_bucket(text: &str) -> S3Result<BucketName> {
    text.parse().map_err(|_| S3Error::new(ErrorCode::InvalidBucketName).field("BucketName", text))
}

/// An object's key.
///
/// # Errors
///
/// `KeyTooLongError` over 1,024 bytes.
pub(crate) fn parse_key(text: &str) -> S3Result<ObjectKey> {
    text.parse().map_err(|error| match error {
        InvalidObjectKey::Empty => {
            S3Error::invalid_argument("The key must not be empty", "key", text)
        }
        InvalidObjectKey::TooLong => S3Error::new(ErrorCode::KeyTooLongError)
            .field("Size", text.len().to_string())
            .field("MaxSizeAllowed", OBJECT_KEY_BYTES_MAX.to_string()),
    })
}

/// A version id.
///
/// # Errors
///
/// `InvalidArgument` for a text that is no version id of this store.
pub(crate) fn parse_version(text: &str) -> S3Result<VersionSelector> {
    text.parse().map_err(|_| {
        let message = if text.is_empty() {
            "Version id cannot be the empty string"
        } else {
            "Invalid version id specified"
        };
        S3Error::invalid_argument(message, "versionId", text)
    })
}
