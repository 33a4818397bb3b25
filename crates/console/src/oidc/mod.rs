//! Signing in over an identity provider: the authorization code flow of OpenID Connect, with PKCE
//! (<https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth>, RFC 7636).
//!
//! The provider vouches for a person with an ID token, and STS decides by the role's trust policy what that
//! is worth. Nothing here is kept on the server: what has to come back is in a cookie. How the provider is
//! reached, and what the console proves itself with there, is not known here.

mod pending;
mod token;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

pub(crate) use pending::{Pending, withdrawn};
pub(crate) use token::IdToken;

/// Over whom people sign in, and as what.
#[derive(Clone)]
pub struct Oidc {
    /// What people call the provider.
    pub name: String,
    /// Its URL, as its tokens have it.
    pub issuer: String,
    /// What the console is called there.
    pub client_id: String,
    /// What is asked for, separated by spaces.
    pub scope: String,
    /// The role that people get; its trust policy says who.
    pub role_arn: String,
    /// Reaches it.
    pub provider: Arc<dyn Provider>,
}

/// Reaches an identity provider.
pub trait Provider: Send + Sync {
    /// Where it has people sign in, as it publishes it.
    fn authorization(&self) -> BoxFuture<'_, Result<Authorization, ProviderError>>;
    /// The ID token that it gives for a code, as it is sent: nobody has verified it yet.
    fn redeem(
        &self,
        redemption: Redemption,
    ) -> BoxFuture<'_, Result<Zeroizing<String>, ProviderError>>;
}

/// Where a provider has people sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// A URL that a browser may be sent to; it may have a query.
    pub endpoint: String,
    /// Whether it names itself in each answer to a browser (RFC 9207).
    pub names_itself: bool,
}

/// What is exchanged for an ID token.
#[derive(Clone)]
pub struct Redemption {
    /// What the browser brought.
    pub code: String,
    /// What proves that the code was asked for here (RFC 7636).
    pub verifier: String,
    /// Where the browser was sent back to.
    pub redirect_uri: String,
}

/// Why a provider does not give what it was asked for. It has told the log more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not with what it should.
    #[error("the identity provider does not answer as it should")]
    Unreachable,
    /// The code is not one of its own, is used already, or has expired.
    #[error("the identity provider does not take the code")]
    Code,
    /// It does not know the console, or not with this secret.
    #[error("the identity provider does not take the console as its client")]
    Client,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    struct Nobody;

    impl Provider for Nobody {
        fn authorization(&self) -> BoxFuture<'_, Result<Authorization, ProviderError>> {
            Box::pin(std::future::ready(Err(ProviderError::Unreachable)))
        }

        fn redeem(
            &self,
            _redemption: Redemption,
        ) -> BoxFuture<'_, Result<Zeroizing<String>, ProviderError>> {
            Box::pin(std::future::ready(Err(ProviderError::Unreachable)))
        }
    }

    /// One that does not answer; for tests.
    pub(crate) fn provider() -> Oidc {
        Oidc {
            name: "Our id".to_owned(),
            issuer: "https://id.test".to_owned(),
            client_id: "console".to_owned(),
            scope: "openid email".to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/viewer".to_owned(),
            provider: Arc::new(Nobody),
        }
    }
}
