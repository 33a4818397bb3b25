//! Who asks: the signature of a request, verified with the keys in the store.
//!
//! Also for requests that are not S3's: whoever serves another protocol on the same listener says
//! which services' signatures it takes. Says nothing of what the principal may do.

use std::num::NonZeroUsize;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, Uri, request};
use jiff::Timestamp;
use tidelock_auth::identity::SecretAccessKey;
use tidelock_auth::sigv2;
use tidelock_auth::sigv4::{self, AuthError, ChunkSigner, Claim, PayloadMode, SigningKeyCache};
use tidelock_store::{
    Credentials, KeyRefusal, Origin, Principal, SESSION_KEY_PREFIX, SessionError, Store,
};

use crate::Clock;
use crate::error::{ErrorCode, S3Error, S3Result};

pub(crate) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const S3: &str = "s3";
const EXPIRED_KEY: &str = "The AWS Access Key Id you provided has expired.";
/// Signing keys kept ready: one for each access key, day, region and service in use.
const SIGNING_KEYS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Room for the requests of each access key.
pub trait KeyRoom: Send + Sync {
    /// Takes a place for a request of this key, which was proven; false if there is none.
    fn enter(&self, access_key_id: &str) -> bool;
}

/// Where a request has to find room once its key is proven: among its extensions, put there by whoever
/// serves it. Without one there is room.
#[derive(Clone)]
pub struct Turnstile(pub Arc<dyn KeyRoom>);

/// Verifies signatures.
pub struct Authenticator {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    keys: SigningKeyCache,
    takes_v2: bool,
}

/// Somebody whose signature is right.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who.
    pub principal: Principal,
    /// The key that signed.
    pub access_key_id: String,
    /// The service that the signature is for: `s3`, `sts`, `iam`.
    pub service: String,
    /// How the body is bound to the signature; whoever reads it must check it.
    pub payload_mode: PayloadMode,
    /// Verifies the body's chunks, where they are signed.
    pub chunk_signer: Option<ChunkSigner>,
    /// How it is signed.
    pub signing: Signing,
}

/// How a request is signed, as far as policies ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// By which version.
    pub version: SignatureVersion,
    /// When, in milliseconds since 1970, where that is said.
    pub at_ms: Option<i64>,
}

/// A version of AWS's signatures. What proves itself otherwise counts as the newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureVersion {
    /// Of headers where that is switched on, and of forms.
    V2,
    /// Of everything.
    #[default]
    V4,
}

impl Authenticated {
    /// Nobody who is known; the body may be in chunks, but none is signed.
    ///
    /// # Errors
    ///
    /// `AccessDenied` for a body whose chunks should be signed.
    pub(crate) fn nobody(headers: &HeaderMap) -> Result<Self, S3Error> {
        let declared =
            headers.get(CONTENT_SHA256).map(|value| PayloadMode::parse(value.as_bytes()));
        let payload_mode = match declared.transpose()? {
            None | Some(PayloadMode::Undeclared) => PayloadMode::Unsigned,
            Some(PayloadMode::Chunked { signed: true, .. }) => {
                return Err(S3Error::new(ErrorCode::AccessDenied));
            }
            Some(mode) => mode,
        };
        Ok(Self {
            principal: Principal::unproven(Origin::default()),
            access_key_id: String::new(),
            service: String::new(),
            payload_mode,
            chunk_signer: None,
            signing: Signing::default(),
        })
    }
}

impl Authenticator {
    /// An authenticator over the store's keys.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, keys: SigningKeyCache::new(SIGNING_KEYS_MAX), takes_v2: false }
    }

    /// The same, which takes Signature Version 2 in the `Authorization` header of S3's requests, or not.
    #[must_use]
    pub fn taking_v2(self, takes_v2: bool) -> Self {
        Self { takes_v2, ..self }
    }

    /// Whoever signed the request; nobody if it carries no signature at all. `services` are those
    /// whose signatures are taken; `body` is needed only where the service is not S3 and the request
    /// does not declare its body's hash.
    ///
    /// # Errors
    ///
    /// AWS's errors for signatures that are malformed, outdated or wrong, `InvalidAccessKeyId` for a
    /// key that is not known or has ended, `SlowDown` for one with too many requests in work, `InvalidToken` and `ExpiredToken` for session tokens.
    pub async fn authenticate(
        &self,
        parts: &request::Parts,
        services: &[&str],
        body: Option<&[u8]>,
    ) -> Result<Option<Authenticated>, S3Error> {
        let headers = headers_of(parts);
        let head = head_of(parts, &headers);
        if self.takes_v2
            && services.contains(&S3)
            && let Some(request) = sigv2::parse(head)
        {
            return self.authenticate_v2(&request, parts).await.map(Some);
        }
        let mut request = match sigv4::parse(head)? {
            Claim::Anonymous => return Ok(None),
            Claim::Signed(request) => request,
        };
        request.require_service(services)?;
        if let Some(body) = body {
            request = request.with_body(body);
        }
        let access_key_id = request.access_key_id().to_owned();
        let credentials = self.credentials(&access_key_id, request.session_token()).await?;
        let secret = SecretAccessKey::new(credentials.secret_access_key.as_str());
        let key = self.keys.key_for(&request, &secret);
        let verified = request.verify(&key, self.now())?;
        self.admit(&parts.extensions, &access_key_id)?;
        Ok(Some(Authenticated {
            principal: credentials.principal,
            service: request.scope().service.to_owned(),
            access_key_id,
            payload_mode: verified.payload_mode,
            chunk_signer: verified.chunk_signer,
            signing: Signing {
                version: SignatureVersion::V4,
                at_ms: Some(request.signed_at().as_millisecond()),
            },
        }))
    }

    /// Lets a request in whose sender has proven to have the secret of this key, and notes the use.
    ///
    /// # Errors
    ///
    /// `SlowDown` where too many requests of the key are in work.
    pub fn admit(&self, extensions: &Extensions, access_key_id: &str) -> Result<(), S3Error> {
        if !access_key_id.starts_with(SESSION_KEY_PREFIX) {
            self.store.note_key_use(access_key_id);
        }
        match extensions.get::<Turnstile>() {
            Some(Turnstile(room)) if !room.enter(access_key_id) => {
                Err(S3Error::new(ErrorCode::SlowDown))
            }
            _ => Ok(()),
        }
    }

    /// What a request must be signed with: the secret of a user's key, or of a session, whose token has to
    /// be the one that was made with this key.
    ///
    /// # Errors
    ///
    /// `InvalidAccessKeyId` of a key that is not known, `InvalidToken` and `ExpiredToken` of a session.
    pub(crate) async fn credentials(
        &self,
        access_key_id: &str,
        token: Option<&str>,
    ) -> S3Result<Credentials> {
        if let Some(token) = token
            && access_key_id.starts_with(SESSION_KEY_PREFIX)
        {
            let found = self.store.session_credentials(access_key_id, token).await?;
            return found.map_err(|error| {
                S3Error::new(match error {
                    SessionError::Expired => ErrorCode::ExpiredToken,
                    SessionError::Invalid | SessionError::TooLarge => ErrorCode::InvalidToken,
                })
            });
        }
        let found = self.store.credentials(access_key_id).await?;
        let found = found.map_err(|refusal| refused_key(refusal, access_key_id))?;
        // A key of its own needs none.
        if token.is_some() { Err(S3Error::new(ErrorCode::InvalidToken)) } else { Ok(found) }
    }

    async fn authenticate_v2(
        &self,
        request: &sigv2::SignedRequest<'_>,
        parts: &request::Parts,
    ) -> Result<Authenticated, S3Error> {
        let access_key_id = request.access_key_id().to_owned();
        let credentials = self.store.credentials(&access_key_id).await?;
        let credentials = credentials.map_err(|refusal| refused_key(refusal, &access_key_id))?;
        let headers = &parts.headers;
        if headers.contains_key("x-amz-security-token") {
            return Err(S3Error::new(ErrorCode::InvalidToken));
        }
        let secret = SecretAccessKey::new(credentials.secret_access_key.as_str());
        request.verify(&secret, self.now())?;
        self.admit(&parts.extensions, &access_key_id)?;
        let payload_mode = match headers.get(CONTENT_SHA256) {
            None => PayloadMode::Unsigned,
            Some(mode) => PayloadMode::parse(mode.as_bytes())?,
        };
        if matches!(payload_mode, PayloadMode::Chunked { signed: true, .. }) {
            return Err(S3Error::from(AuthError::SignatureV2));
        }
        Ok(Authenticated {
            principal: credentials.principal,
            service: S3.to_owned(),
            access_key_id,
            payload_mode,
            chunk_signer: None,
            signing: Signing {
                version: SignatureVersion::V2,
                at_ms: request.signed_at().map(Timestamp::as_millisecond),
            },
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

/// `InvalidAccessKeyId` for a key that there is not, or not any more. On AWS these keys have no end; one that
/// is switched off is answered like this, while `ExpiredToken` has clients look for another session.
pub(crate) fn refused_key(refusal: KeyRefusal, access_key_id: &str) -> S3Error {
    let code = ErrorCode::InvalidAccessKeyId;
    let error = match refusal {
        KeyRefusal::Unknown => S3Error::new(code),
        KeyRefusal::Expired => S3Error::with_message(code, EXPIRED_KEY),
    };
    error.field("AWSAccessKeyId", access_key_id)
}

/// The access key that a request claims to be signed with, right or wrong; empty if it claims none.
pub fn claimed_key(parts: &request::Parts) -> String {
    let headers = headers_of(parts);
    let head = head_of(parts, &headers);
    if let Some(request) = sigv2::parse(head) {
        return request.access_key_id().to_owned();
    }
    match sigv4::parse(head) {
        Ok(Claim::Signed(request)) => request.access_key_id().to_owned(),
        Ok(Claim::Anonymous) | Err(_) => String::new(),
    }
}

fn headers_of(parts: &request::Parts) -> Vec<(&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn head_of<'a>(
    parts: &'a request::Parts,
    headers: &'a [(&'a str, &'a [u8])],
) -> sigv4::RequestHead<'a> {
    sigv4::RequestHead {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        headers,
    }
}

/// The host a request is for: the `Host` header, which is the one that is signed, or HTTP/2's
/// `:authority`.
pub(crate) fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    match host_in(headers) {
        "" => uri.authority().map(|authority| authority.as_str()).unwrap_or_default(),
        host => host,
    }
}

/// The `Host` header; empty if there is none.
pub(crate) fn host_in(headers: &HeaderMap) -> &str {
    headers.get(http::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
