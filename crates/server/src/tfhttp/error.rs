//! What a request is refused with: the one place of this protocol that speaks status codes.
//!
//! Which statuses Terraform understands, and which it takes for what they are not:
//! <https://developer.hashicorp.com/terraform/language/backend/http>. It takes 404 for "no state yet"
//! and would then create everything anew, so nothing but a missing state may be 404.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tidelock_s3::{ResponseBody, S3Error};
use tidelock_store::{
    BodyError, BucketError, ConditionFailure, DeleteObjectError, EncryptionError, GetObjectError,
    InvalidObjectKey, LockedBy, PutObjectError, Refusal, RefusalReason, StorageError,
};
use tidelock_tfstate::Lock;

use super::lock::HeldLock;
use super::{ALLOWED_METHODS, JSON};

/// Browsers ask for a password when they see it; Terraform says that one is needed.
const CHALLENGE: &str = "Basic realm=\"tidelock\"";
/// Terraform's client waits this long, in seconds, before it tries an overloaded server again.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refusal.
#[derive(Debug)]
pub(super) struct TfError {
    status: StatusCode,
    /// What it is counted and logged as.
    code: &'static str,
    message: String,
    /// The lock that is in the way.
    lock: Option<Box<Lock>>,
    /// Sent instead of the document: LOCK answers with the holder's lock and nothing else.
    bare: Option<Bytes>,
    /// What went wrong inside, for the log.
    cause: Option<Box<str>>,
    /// The key whose secret was not the one that was sent, for the audit log.
    access_key_id: Option<Box<str>>,
}

/// The body of a refusal.
#[derive(Serialize)]
struct Document<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a Lock>,
}

impl TfError {
    pub(super) fn bad_address(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidAddress", reason)
    }

    pub(super) fn from_key(error: InvalidObjectKey) -> Self {
        Self::bad_address(&error.to_string())
    }

    pub(super) fn not_a_lock() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidLock", "the body is not a lock with an ID")
    }

    pub(super) fn late_lock() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "the lock did not arrive in time")
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = format!("the methods here are {ALLOWED_METHODS}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &message)
    }

    pub(super) fn anonymous() -> Self {
        let message =
            "an access key is needed: its id as the user name, its secret as the password";
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// What a page of another site has had a browser send, with a password that the browser knows.
    pub(super) fn foreign() -> Self {
        let message = "a page of another site has had the browser send this";
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    pub(super) fn unauthorized() -> Self {
        let message = "the access key or its secret is wrong";
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// The same, of a key that there is.
    pub(super) fn wrong_secret(access_key_id: String) -> Self {
        Self { access_key_id: Some(access_key_id.into()), ..Self::unauthorized() }
    }

    /// The answer to LOCK while somebody holds it: their lock.
    pub(super) fn held(lock_body: Bytes) -> Self {
        let error = Self::new(StatusCode::LOCKED, "Locked", "the state is locked");
        Self { bare: Some(lock_body), ..error }
    }

    /// The lock went and came while LOCK looked who holds it.
    pub(super) fn unsteady() -> Self {
        let message = "the lock changes hands too fast to be taken; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message)
    }

    /// A change without a lock while somebody holds it.
    pub(super) fn locked(lock: HeldLock) -> Self {
        let message = format!("the state is locked{}", lock.shown());
        let error = Self::new(StatusCode::LOCKED, "Locked", &message);
        Self { lock: lock.lock.map(Box::new), ..error }
    }

    /// A request under a lock while somebody holds another.
    pub(super) fn not_the_holder(claimed: &str, lock: HeldLock) -> Self {
        let message = format!("lock {claimed} is not the one that is held{}", lock.shown());
        let error = Self::new(StatusCode::CONFLICT, "LockMismatch", &message);
        Self { lock: lock.lock.map(Box::new), ..error }
    }

    /// A change under a lock that was released, or broken by somebody.
    pub(super) fn lock_lost(claimed: &str) -> Self {
        let message = format!(
            "lock {claimed} is not held any more: it was released, maybe by force; nothing was \
             changed"
        );
        Self::new(StatusCode::CONFLICT, "LockLost", &message)
    }

    pub(super) fn overloaded() -> Self {
        let message = "the server has too many requests in work; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message)
    }

    /// A read of the current version found what only a version can be.
    fn impossible(error: &GetObjectError) -> Self {
        Self::internal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string())
    }

    fn internal(status: StatusCode, code: &'static str, cause: String) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(status, code, "the store cannot do this now")
        }
    }

    fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        let (lock, bare, cause, access_key_id) = (None, None, None, None);
        Self { status, code, message: message.to_owned(), lock, bare, cause, access_key_id }
    }

    /// What it is counted and logged as.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What went wrong inside.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The key whose secret was not the one that was sent.
    pub(super) fn access_key_id(&self) -> Option<&str> {
        self.access_key_id.as_deref()
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let (code, message, lock) = (self.code, self.message.as_str(), self.lock.as_deref());
        let document = Document { code, message, lock };
        // A struct of strings always serialises; an empty body would show if it ever did not.
        let body = self.bare.unwrap_or_else(|| to_json(&document));
        let mut response = Response::new(ResponseBody::full(body));
        *response.status_mut() = self.status;
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, JSON);
        if self.status == StatusCode::UNAUTHORIZED {
            set(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            set(header::ALLOW, ALLOWED_METHODS);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            set(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// A lock as Terraform writes it, with a remark where it prints one.
pub(super) fn lock_body(lock: &Lock) -> Bytes {
    to_json(lock)
}

fn to_json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).unwrap_or_default().into()
}

impl From<StorageError> for TfError {
    fn from(error: StorageError) -> Self {
        let (status, code) = match error {
            StorageError::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            StorageError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            StorageError::Corrupt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        Self::internal(status, code, error.to_string())
    }
}

impl From<BucketError> for TfError {
    fn from(error: BucketError) -> Self {
        let (status, code) = match error {
            // Not 404: Terraform would take it for a state that was never written.
            BucketError::NoSuchBucket => (StatusCode::BAD_REQUEST, "NoSuchBucket"),
            BucketError::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            BucketError::HasAcl => (StatusCode::BAD_REQUEST, "InvalidBucketAclWithObjectOwnership"),
            BucketError::TooManyTags => (StatusCode::BAD_REQUEST, "InvalidTag"),
            BucketError::AccessChanged => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            BucketError::NoObjectLock => (StatusCode::BAD_REQUEST, "InvalidRequest"),
            BucketError::NotVersioned | BucketError::HasObjectLock => {
                (StatusCode::CONFLICT, "InvalidBucketState")
            }
            BucketError::Storage(error) => return error.into(),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<ConditionFailure> for TfError {
    /// Conditions are ours here, and LOCK and UNLOCK answer those that can fail: what arrives here
    /// was overtaken, and may be tried again.
    fn from(failure: ConditionFailure) -> Self {
        let code = match failure {
            ConditionFailure::IfMatch
            | ConditionFailure::IfNoneMatch
            | ConditionFailure::NoSuchKey
            | ConditionFailure::ConflictIfMatch
            | ConditionFailure::ConflictIfNoneMatch => "SlowDown",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, &failure.to_string())
    }
}

impl From<PutObjectError> for TfError {
    fn from(error: PutObjectError) -> Self {
        let (status, code) = match error {
            PutObjectError::Bucket(error) => return error.into(),
            PutObjectError::Condition(failure) => return failure.into(),
            PutObjectError::Body(error) => return error.into(),
            PutObjectError::BadMd5 => (StatusCode::BAD_REQUEST, "BadDigest"),
            PutObjectError::BadChecksum => (StatusCode::BAD_REQUEST, "BadDigest"),
            PutObjectError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge"),
            PutObjectError::Locked(locked) => return (*locked).into(),
            PutObjectError::Refused(refusal) => return (*refusal).into(),
            PutObjectError::Encryption(error) => return error.into(),
        };
        Self::new(status, code, &error.to_string())
    }
}

impl From<GetObjectError> for TfError {
    fn from(error: GetObjectError) -> Self {
        match error {
            GetObjectError::Bucket(error) => error.into(),
            GetObjectError::Encryption(error) => error.into(),
            GetObjectError::NoSuchKey { .. } => {
                Self::new(StatusCode::NOT_FOUND, "NoSuchState", "there is no state")
            }
            GetObjectError::NoSuchVersion | GetObjectError::IsDeleteMarker { .. } => {
                Self::impossible(&error)
            }
        }
    }
}

impl From<EncryptionError> for TfError {
    /// Not 404: Terraform would take it for a state that was never written.
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::KeyMissing
            | EncryptionError::WrongKey
            | EncryptionError::KeyNotApplicable => {
                let message = "the state is encrypted with a customer's key (SSE-C), which only S3's own \
                               operations take; use the s3 backend with sse_customer_key";
                Self::new(StatusCode::BAD_REQUEST, "CustomerKeyNeeded", message)
            }
            EncryptionError::NoSuchKey(_) => {
                Self::new(StatusCode::BAD_REQUEST, "NoSuchEncryptionKey", &error.to_string())
            }
        }
    }
}

impl From<DeleteObjectError> for TfError {
    fn from(error: DeleteObjectError) -> Self {
        match error {
            DeleteObjectError::Bucket(error) => error.into(),
            DeleteObjectError::Condition(failure) => failure.into(),
            DeleteObjectError::Refused(refusal) => (*refusal).into(),
            DeleteObjectError::HeldByAnother(_) | DeleteObjectError::Protected => {
                Self::new(StatusCode::FORBIDDEN, "AccessDenied", &error.to_string())
            }
        }
    }
}

impl From<LockedBy> for TfError {
    /// Terraform prints the lock, and of the guard's message what stands in its `Info`.
    fn from(locked: LockedBy) -> Self {
        let mut lock = locked.lock.lock;
        lock.info = match lock.info.as_str() {
            "" => locked.message,
            info => format!("{info}. {}", locked.message),
        };
        Self::held(lock_body(&lock))
    }
}

impl From<Refusal> for TfError {
    /// None is tried again: what is refused now is refused until somebody does something about it.
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.reason {
            RefusalReason::StateLocked => StatusCode::LOCKED,
            RefusalReason::StateLockRequired => StatusCode::PRECONDITION_REQUIRED,
            RefusalReason::StateLockLost
            | RefusalReason::StaleStateWrite
            | RefusalReason::StateLineageMismatch => StatusCode::CONFLICT,
            RefusalReason::NotAState => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalReason::StateTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        };
        let error = Self::new(status, refusal.reason.as_str(), &refusal.message);
        Self { lock: refusal.lock.map(|facts| Box::new(facts.lock)), ..error }
    }
}

impl From<BodyError> for TfError {
    fn from(error: BodyError) -> Self {
        S3Error::from(error).into()
    }
}

impl From<S3Error> for TfError {
    /// Signatures and bodies are checked as S3's are, and refused with the same codes.
    fn from(error: S3Error) -> Self {
        let code = error.code();
        // None of them is about the state, and none may be taken for its absence.
        let status = match code.status() {
            StatusCode::NOT_FOUND => StatusCode::INTERNAL_SERVER_ERROR,
            status => status,
        };
        let cause = status.is_server_error().then(|| error.message().into());
        Self { cause, ..Self::new(status, code.as_str(), error.message()) }
    }
}
