//! Who vouches for people and runs that have no access key: identity providers. This crate does not fetch:
//! whoever starts the service says how tokens are verified.

use async_trait::async_trait;
use jiff::Timestamp;
use tidelock_auth::oidc::Claims;

/// What verifies ID tokens.
#[async_trait]
pub trait WebIdentities: Send + Sync {
    /// What a token says, of a provider that is known here.
    ///
    /// # Errors
    ///
    /// [`WebIdentityError`].
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, WebIdentityError>;
}

/// Why a token proves nothing; each with a sentence for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebIdentityError {
    /// It is no token for us of a provider that is known.
    #[error("{0}")]
    Invalid(String),
    /// Its time is over.
    #[error("{0}")]
    Expired(String),
    /// The provider does not answer.
    #[error("{0}")]
    Unreachable(String),
}

/// No providers: no token is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWebIdentities;

#[async_trait]
impl WebIdentities for NoWebIdentities {
    async fn verify(&self, _token: &str, _now: Timestamp) -> Result<Claims, WebIdentityError> {
        let reason = "No OpenIDConnect provider is known to this server".to_owned();
        Err(WebIdentityError::Invalid(reason))
    }
}
