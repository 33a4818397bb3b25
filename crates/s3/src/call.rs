//! An authenticated request on its way to its operation: what every operation asks of it.

use std::sync::Arc;

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName, Method, Uri, header};
use tidelock_auth::policy::Access;
use tidelock_store::{
    ACCOUNT_ID, BucketName, Granted, InvalidObjectKey, ObjectKey, Principal, Store, VersionSelector,
};

use crate::access::{self, Asked, Circumstances, Need};
use crate::authn::{CONTENT_SHA256, Signing};
use crate::conditions::Forms;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::ops::copy_source::{self, Source};
use crate::payload::Payload;
use crate::query::Query;
use crate::route::{Address, Operation};
use crate::service::{Peer, S3Service};

const EXPECTED_OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");
const SOURCE_EXPECTED_OWNER: HeaderName =
    HeaderName::from_static("x-amz-source-expected-bucket-owner");
const OBJECT_KEY_BYTES_MAX: usize = 1024;

/// One request with its caller.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a S3Service,
    pub(crate) operation: Operation,
    pub(crate) principal: Principal,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// As it was sent.
    pub(crate) uri: Uri,
    pub(crate) query: Query,
    pub(crate) address: &'a Address,
    pub(crate) peer: Peer,
    pub(crate) signing: Signing,
    pub(crate) payload: Payload,
    /// Whether a copy may take the tags of its source along.
    pub(crate) may_copy_tags: bool,
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
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Refuses a body whose end nobody would notice to be missing. A signed hash tells a whole body
    /// from a part of it, so a body in HTTP's own chunks is then taken as it is.
    pub(crate) fn require_length(&self) -> S3Result<()> {
        let signed_hash = self.header(CONTENT_SHA256).is_some_and(|hash| hash.len() == 64);
        let chunked = self.headers.contains_key(header::TRANSFER_ENCODING);
        if self.payload.content_bytes().is_some() || (signed_hash && chunked) {
            Ok(())
        } else {
            Err(S3Error::new(ErrorCode::MissingContentLength))
        }
    }

    /// Lets the call use what it is about, if it may and if that can be said before its document is read.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub(crate) async fn authorize(&mut self) -> S3Result<()> {
        if access::is_decided_later(self.operation) {
            return Ok(());
        }
        self.authorize_with(&[]).await
    }

    /// Lets the call use what it is about, if it may with the condition keys that its document has besides.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub(crate) async fn authorize_with(&mut self, more_keys: &[(String, String)]) -> S3Result<()> {
        let of_version = self.query.has("versionId") && access::is_of_version(self.operation);
        let need = access::of_operation(self.operation, of_version);
        let more_keys: Vec<(&str, &str)> =
            more_keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let (Some(need), Ok(bucket)) = (need, self.bucket()) else {
            return self.require_known();
        };
        if self.operation == Operation::CreateBucket {
            self.require_known()?;
            return self.authorize_new(need, &format!("arn:aws:s3:::{bucket}"));
        }
        let (key, version) = (self.key().ok(), self.version().ok().flatten());
        let version = version.filter(|_| of_version);
        let object = key.as_ref().map(|key| (key, version));
        self.grant(need, &bucket, object, &more_keys).await?;
        for need in access::needs_besides(self.operation, &self.headers, of_version) {
            self.grant(need, &bucket, object, &more_keys).await?;
        }
        if let Some(source) = copy_source::named(self) {
            let need = Need::get_object(source.version.is_some());
            let object = Some((&source.key, source.version));
            let granted = self.grant(need, &source.bucket, object, &[]).await;
            granted.map_err(|error| source.refused(error))?;
            if let (true, Some(key)) = (access::copies_tags(self.operation, &self.headers), &key) {
                self.grant_tags(&source, (&bucket, key)).await?;
            }
        }
        Ok(())
    }

    /// A bucket that is not there has no policy: the caller's own decide, of all that it is made with.
    fn authorize_new(&self, need: Need, resource: &str) -> S3Result<()> {
        for need in [need].into_iter().chain(access::needs_of_new_bucket(&self.headers)) {
            match self.decide_alone(need, resource)? {
                Access::Allowed => {}
                Access::ExplicitlyDenied | Access::ImplicitlyDenied => {
                    return Err(S3Error::new(ErrorCode::AccessDenied));
                }
            }
        }
        Ok(())
    }

    /// Lets a copy take the tags of its source along, if it has any.
    async fn grant_tags(
        &mut self,
        source: &Source,
        (bucket, key): (&BucketName, &ObjectKey),
    ) -> S3Result<()> {
        let Some(access) = self.store().look_at_access(&source.bucket).await? else {
            return Ok(());
        };
        let found = self.store().object_access(access.id, &source.key, source.version).await?;
        if found.is_none_or(|found| found.tags.is_empty()) {
            return Ok(());
        }
        let read = Need::get_object_tagging(source.version.is_some());
        let object = Some((&source.key, source.version));
        let granted = self.grant(read, &source.bucket, object, &[]).await;
        granted.map_err(|error| source.refused(error))?;
        self.grant(Need::PUT_OBJECT_TAGGING, bucket, Some((key, None)), &[]).await?;
        self.may_copy_tags = true;
        Ok(())
    }

    /// Lets the call use a bucket for what `need` says, if it may.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub(crate) async fn grant(
        &mut self,
        need: Need,
        bucket: &BucketName,
        object: Option<(&ObjectKey, Option<VersionSelector>)>,
        more_keys: &[(&str, &str)],
    ) -> S3Result<()> {
        let asked = Asked { need, bucket, object, more_keys };
        if let Some(granted) = self.decide(&asked).await? {
            self.principal.grant(granted);
        }
        Ok(())
    }

    /// What the caller's own policies say of something that is no bucket's.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub(crate) fn decide_alone(&self, need: Need, resource: &str) -> S3Result<Access> {
        let asked = (need.action, resource);
        self.service.authorizer().decide_alone(&self.principal, asked, &self.circumstances())
    }

    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            operation: Some(self.operation),
            headers: &self.headers,
            query: &self.query,
            peer: &self.peer,
            signing: self.signing,
        }
    }

    /// What lets the call do what is asked.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub(crate) async fn decide(&self, asked: &Asked<'_>) -> S3Result<Option<Granted>> {
        self.service.authorizer().decide(&self.principal, asked, &self.circumstances()).await
    }

    fn require_known(&self) -> S3Result<()> {
        match self.principal.is_unproven() {
            true => Err(S3Error::new(ErrorCode::AccessDenied)),
            false => Ok(()),
        }
    }

    /// Who may not list the bucket that it would be in is not told that an object is not there
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>, "Permissions").
    pub(crate) async fn hide_what_is_missing(&self, error: S3Error) -> S3Error {
        if error.code() == ErrorCode::SlowDown {
            self.service.authorizer().forget(self.bucket_text());
        }
        let place = match error.is_of_copy_source() {
            true => copy_source::named(self).map(|it| (it.bucket, it.key.as_str().to_owned())),
            false => self.bucket().ok().map(|bucket| (bucket, self.key_text().to_owned())),
        };
        let (ErrorCode::NoSuchKey, Some((bucket, key))) = (error.code(), place) else {
            return error;
        };
        let prefix = [("s3:prefix", key.as_str())];
        let asked =
            Asked { need: Need::LIST_BUCKET, bucket: &bucket, object: None, more_keys: &prefix };
        match self.decide(&asked).await {
            Ok(_) => error,
            Err(denied) => denied,
        }
    }

    /// After the call: what it has changed is not as it was known.
    pub(crate) fn forget_access(&self) {
        let changes = [Method::PUT, Method::DELETE].contains(&self.method);
        if changes && self.address.key.is_none() {
            self.service.authorizer().forget(self.bucket_text());
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
