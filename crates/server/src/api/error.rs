//! The API's errors: the one place here that speaks status codes.

use http::{Method, StatusCode};
use serde::Serialize;
use tidelock_auth::policy::InvalidPolicy;
use tidelock_s3::S3Error;
use tidelock_store::{
    AllowError, BucketError, IdentityError, RefusedError, ReleaseError, RewrapError, StorageError,
    WebhookError,
};

use super::{Answer, json};

/// An error as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn anonymous() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", "the request is not signed")
    }

    pub(super) fn payload_mismatch() -> Self {
        let message = "the body is not the one that was signed";
        Self::new(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch", message)
    }

    pub(super) fn unsigned_payload() -> Self {
        let message = "the body must be signed: send its SHA-256 as x-amz-content-sha256";
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchPath", &format!("there is nothing at {path}"))
    }

    pub(super) fn method_not_allowed(method: &Method) -> Self {
        let message = format!("{method} does nothing here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &message)
    }

    pub(super) fn malformed(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MalformedRequest", reason)
    }

    pub(super) fn malformed_policy(error: &InvalidPolicy) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MalformedPolicyDocument", &error.to_string())
    }

    pub(super) fn not_guarded() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotGuarded", "the bucket is not guarded")
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLarge", "the document is too large")
    }

    pub(super) fn timeout() -> Self {
        let message = "the document did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message)
    }

    /// What the caller sees and the log counts.
    pub(super) fn answer(self, operation: &'static str) -> Answer {
        let code = self.code;
        Answer { response: json(self.status, &self), operation, code }
    }

    fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned() }
    }
}

impl From<S3Error> for ApiError {
    fn from(error: S3Error) -> Self {
        Self::new(error.code().status(), error.code().as_str(), error.message())
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let (status, code) = match &error {
            StorageError::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            StorageError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            StorageError::Corrupt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        // The cause is the operator's, not the caller's.
        tracing::error!(error = %error, "the store failed");
        Self::new(status, code, "the store cannot do this now")
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        let (status, code) = match &error {
            IdentityError::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            IdentityError::NoSuchUser => (StatusCode::NOT_FOUND, "NoSuchUser"),
            IdentityError::UserExists => (StatusCode::CONFLICT, "UserExists"),
            IdentityError::InvalidUserName => (StatusCode::BAD_REQUEST, "InvalidUserName"),
            IdentityError::InvalidExpiry(_) => (StatusCode::BAD_REQUEST, "InvalidExpiry"),
            IdentityError::NoSuchKey => (StatusCode::NOT_FOUND, "NoSuchKey"),
            IdentityError::NoSuchRole => (StatusCode::NOT_FOUND, "NoSuchRole"),
            IdentityError::RoleExists => (StatusCode::CONFLICT, "RoleExists"),
            IdentityError::InvalidRole(_) => (StatusCode::BAD_REQUEST, "InvalidRole"),
            IdentityError::TooManyRoles => (StatusCode::CONFLICT, "TooManyRoles"),
            IdentityError::NoSuchPolicy => (StatusCode::NOT_FOUND, "NoSuchPolicy"),
            IdentityError::InvalidPolicyName => (StatusCode::BAD_REQUEST, "InvalidPolicyName"),
            IdentityError::TooManyPolicies => (StatusCode::CONFLICT, "TooManyPolicies"),
            IdentityError::NoSuchGroup => (StatusCode::NOT_FOUND, "NoSuchGroup"),
            IdentityError::GroupExists => (StatusCode::CONFLICT, "GroupExists"),
            IdentityError::InvalidGroupName => (StatusCode::BAD_REQUEST, "InvalidGroupName"),
            IdentityError::TooManyGroups | IdentityError::TooManyGroupsOfUser => {
                (StatusCode::CONFLICT, "TooManyGroups")
            }
            IdentityError::TooManyMembers => (StatusCode::CONFLICT, "TooManyMembers"),
            IdentityError::NotAMember => (StatusCode::NOT_FOUND, "NoSuchMember"),
            IdentityError::GroupInUse => (StatusCode::CONFLICT, "GroupInUse"),
            IdentityError::InUse(_) => (StatusCode::CONFLICT, "UserInUse"),
            IdentityError::Storage(cause) => return cause.clone().into(),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> Self {
        let (status, code) = match &error {
            BucketError::NoSuchBucket => (StatusCode::NOT_FOUND, "NoSuchBucket"),
            BucketError::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            BucketError::HasAcl => (StatusCode::BAD_REQUEST, "InvalidBucketAclWithObjectOwnership"),
            BucketError::TooManyTags => (StatusCode::BAD_REQUEST, "InvalidTag"),
            BucketError::AccessChanged => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            BucketError::NoObjectLock => (StatusCode::BAD_REQUEST, "InvalidRequest"),
            BucketError::NotVersioned | BucketError::HasObjectLock => {
                (StatusCode::CONFLICT, "InvalidBucketState")
            }
            BucketError::Storage(cause) => return cause.clone().into(),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        let (status, code) = match &error {
            WebhookError::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            WebhookError::NoSuchWebhook => (StatusCode::NOT_FOUND, "NoSuchWebhook"),
            WebhookError::Invalid(_) => (StatusCode::BAD_REQUEST, "InvalidWebhook"),
            WebhookError::TooMany => (StatusCode::CONFLICT, "TooManyWebhooks"),
            WebhookError::Storage(cause) => return Self::from(cause.clone()),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<RewrapError> for ApiError {
    fn from(error: RewrapError) -> Self {
        let (status, code) = match &error {
            RewrapError::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            RewrapError::NoSuchKey(_) => (StatusCode::NOT_FOUND, "NoSuchKey"),
            RewrapError::Outdated { .. } => (StatusCode::CONFLICT, "OutdatedKeyring"),
            RewrapError::Storage(cause) => return cause.clone().into(),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        let (status, code) = match &error {
            ReleaseError::Bucket(cause) => return cause.clone().into(),
            ReleaseError::NotGuarded => return Self::not_guarded(),
            ReleaseError::NotLocked => (StatusCode::NOT_FOUND, "NotLocked"),
            ReleaseError::AnotherLock(_) => (StatusCode::CONFLICT, "AnotherLock"),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<RefusedError> for ApiError {
    fn from(error: RefusedError) -> Self {
        match &error {
            RefusedError::Bucket(cause) => cause.clone().into(),
            RefusedError::NoSuchVersion => {
                Self::new(StatusCode::NOT_FOUND, "NoSuchVersion", &error.to_string())
            }
            RefusedError::Encryption(_) => {
                let message = "the refused version is encrypted with a key that the server has not: \
                               only its writer can open it";
                Self::new(StatusCode::BAD_REQUEST, "CustomerKeyNeeded", message)
            }
        }
    }
}

impl From<AllowError> for ApiError {
    fn from(error: AllowError) -> Self {
        match error {
            AllowError::Bucket(cause) => cause.into(),
            AllowError::NotGuarded => Self::not_guarded(),
        }
    }
}
