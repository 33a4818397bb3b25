//! Holds a request's claim against a key and the time.
//!
//! Knows neither where secrets are kept nor what the body says.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::SKEW_MS_MAX;
use super::canonical::{
    CANONICAL_REQUEST_BYTES_TYPICAL, Canonical, STRING_TO_SIGN_BYTES_TYPICAL, normal_path,
    sent_path, write_string_to_sign,
};
use super::chunk::ChunkSigner;
use super::credential::{Credential, Scope};
use super::error::{AuthError, Malformed, QueryFault, SignatureMismatch};
use super::key::{Signature, SigningKey};
use super::payload::{PayloadMode, payload_hash};
use super::request::RequestHead;
use super::timestamp::AmzDate;

/// A request that claims to be signed; not yet believed.
#[derive(Clone, Debug)]
pub struct SignedRequest<'a> {
    pub(crate) head: RequestHead<'a>,
    pub(crate) credential: Credential<'a>,
    pub(crate) date: AmzDate,
    pub(crate) signed_headers: Cow<'a, str>,
    pub(crate) signature: Cow<'a, str>,
    pub(crate) placement: Placement,
    pub(crate) session_token: Option<Cow<'a, str>>,
    pub(crate) payload_mode: PayloadMode,
    /// The last line of the canonical request.
    pub(crate) payload: Cow<'a, str>,
}

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    Header,
    Query { expires_s: u32 },
}

/// What a right signature says of the body.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How the body is bound to the signature.
    pub payload_mode: PayloadMode,
    /// Verifies the body's chunks; there exactly for [`PayloadMode::Chunked`] with `signed`.
    pub chunk_signer: Option<ChunkSigner>,
}

impl<'a> SignedRequest<'a> {
    /// The access key whose secret the request claims to know.
    pub fn access_key_id(&self) -> &str {
        self.credential.access_key_id()
    }

    /// The scope of the key that signed.
    pub fn scope(&self) -> Scope<'_> {
        self.credential.scope()
    }

    /// The session token, from the header or the query; the caller checks it against the key.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// How the body is bound to the signature.
    pub fn payload_mode(&self) -> PayloadMode {
        self.payload_mode
    }

    /// Whether the signature stands in the query.
    pub fn is_presigned(&self) -> bool {
        matches!(self.placement, Placement::Query { .. })
    }

    /// The date of the request, in whole seconds.
    pub fn signed_at(&self) -> Timestamp {
        self.date.instant()
    }

    /// Takes only requests for one of the services `served`.
    ///
    /// # Errors
    /// [`AuthError::Header`] or [`AuthError::Query`] with [`Malformed::Service`].
    pub fn require_service(&self, served: &[&str]) -> Result<(), AuthError> {
        let sent = self.scope().service;
        if served.contains(&sent) {
            return Ok(());
        }
        let fault = Malformed::Service { sent: sent.to_owned(), served: served.join("\", \"") };
        Err(match self.placement {
            Placement::Header => AuthError::Header(fault),
            Placement::Query { .. } => AuthError::Query(QueryFault::Credential(fault)),
        })
    }

    /// Supplies the body where the payload mode is [`PayloadMode::Undeclared`]: its hash is then
    /// part of what [`Self::verify`] verifies. Changes nothing in the other modes.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        if self.payload_mode == PayloadMode::Undeclared {
            self.payload = payload_hash(body).into();
        }
        self
    }

    /// Verifies the time, then the signature.
    ///
    /// The path is taken as it was sent. Where that fails, and the path is not written as AWS's own
    /// rule writes it (unescaped once, then all but unreserved characters and `/` escaped), it is
    /// taken in that form too: AWS signs so, and clients differ over `:`, `*`, `~` and blanks. Both
    /// forms name the same key, so nobody can ask for another object than was signed.
    ///
    /// # Errors
    /// [`AuthError::TimeTooSkewed`], [`AuthError::NotYetValid`], [`AuthError::Expired`],
    /// [`AuthError::SignatureMismatch`], and [`AuthError::MissingContentSha256`] where
    /// [`Self::with_body`] was needed and not called.
    pub fn verify(&self, key: &SigningKey, now: Timestamp) -> Result<Verified, AuthError> {
        self.verify_time(now)?;
        if self.payload.is_empty() {
            return Err(AuthError::MissingContentSha256);
        }
        let signature = self.verify_signature(key)?;
        let chunk_signer = match self.payload_mode {
            PayloadMode::Chunked { signed: true, .. } => {
                let scope = self.credential.scope_text();
                Some(ChunkSigner::new(key.clone(), self.date, scope, signature))
            }
            PayloadMode::Chunked { signed: false, .. }
            | PayloadMode::SignedHash(_)
            | PayloadMode::Unsigned
            | PayloadMode::Undeclared => None,
        };
        Ok(Verified { payload_mode: self.payload_mode, chunk_signer })
    }

    pub(crate) fn credential(&self) -> &Credential<'a> {
        &self.credential
    }

    fn verify_time(&self, now: Timestamp) -> Result<(), AuthError> {
        let skew = SignedDuration::from_millis(SKEW_MS_MAX);
        let age = now.duration_since(self.date.instant());
        match self.placement {
            Placement::Header if age.abs() > skew => {
                Err(AuthError::skewed(self.date.as_str(), now))
            }
            Placement::Header => Ok(()),
            Placement::Query { .. } if age < -skew => Err(AuthError::NotYetValid),
            Placement::Query { expires_s } => {
                let life = SignedDuration::from_secs(i64::from(expires_s));
                if age <= life {
                    return Ok(());
                }
                let expires = self.date.instant().saturating_add(life).unwrap_or(Timestamp::MAX);
                Err(AuthError::Expired { expires_s, expires, server_time: now })
            }
        }
    }

    fn verify_signature(&self, key: &SigningKey) -> Result<Signature, AuthError> {
        let canonical = Canonical {
            head: self.head,
            signed_headers: &self.signed_headers,
            payload: &self.payload,
        };
        let mut request = Vec::with_capacity(CANONICAL_REQUEST_BYTES_TYPICAL);
        let mut message = Vec::with_capacity(STRING_TO_SIGN_BYTES_TYPICAL);
        let claimed = Signature::parse(self.signature.as_bytes());
        let claimed = claimed.filter(|_| canonical.is_complete());
        let scope = self.credential.scope_text();
        let mut is_signed_as = |path: &str| {
            canonical.write(path, &mut request);
            write_string_to_sign(&self.date, scope, &request, &mut message);
            claimed.filter(|claimed| key.verifies(&message, claimed))
        };
        let sent = sent_path(self.head.path);
        if let Some(signature) = is_signed_as(sent) {
            return Ok(signature);
        }
        let normal = normal_path(sent);
        if *normal != *sent
            && let Some(signature) = is_signed_as(&normal)
        {
            return Ok(signature);
        }
        Err(self.mismatch(&request, &message))
    }

    fn mismatch(&self, request: &[u8], message: &[u8]) -> AuthError {
        AuthError::SignatureMismatch(Box::new(SignatureMismatch {
            access_key_id: self.access_key_id().to_owned(),
            signature_provided: self.signature.clone().into_owned(),
            string_to_sign: String::from_utf8_lossy(message).into_owned(),
            canonical_request: String::from_utf8_lossy(request).into_owned(),
        }))
    }
}
