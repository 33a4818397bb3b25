//! The identity providers that the operator has named: their keys, fetched when a token needs them and
//! kept for a while; and the one over which people sign in to the console. What a token says, and who may do what with it, is not known here.

mod fetch;
mod kept;
mod sign_in;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tidelock_auth::oidc::{
    self, ClaimError, Claims, Expected, KeySet, Token, TokenError, unverified_issuer,
};
use tidelock_meta::Clock;
use tidelock_s3::{WebIdentities, WebIdentityError};
use tokio::sync::Mutex;

use crate::config::OidcIssuer;
use fetch::Fetcher;
use kept::Kept;
pub(crate) use sign_in::SignInProvider;

/// The providers.
pub(crate) struct Providers {
    known: Vec<Provider>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
}

struct Provider {
    issuer: OidcIssuer,
    /// Held while its keys are fetched: one request does, the others wait for it.
    keys: Mutex<Kept<KeySet>>,
}

impl Providers {
    /// Knows what to ask whom; asks nobody yet.
    pub(crate) fn new(issuers: &[OidcIssuer], clock: Arc<dyn Clock>) -> Self {
        let known = issuers.iter().cloned();
        let known = known.map(|issuer| Provider { issuer, keys: Mutex::default() }).collect();
        Self { known, fetcher: Fetcher::new(), clock }
    }

    async fn keys(&self, provider: &Provider, must: bool) -> Result<Arc<KeySet>, WebIdentityError> {
        let mut keys = provider.keys.lock().await;
        let now_ms = self.clock.now();
        let issuer = provider.issuer.url.as_str();
        if keys.is_due(now_ms, must) {
            keys.ask(now_ms);
            match self.fetcher.keys(issuer).await {
                Ok(set) => keys.keep(set, now_ms),
                Err(error) => tracing::warn!(issuer, error, "no keys of the identity provider"),
            }
        }
        keys.still_believed(now_ms).ok_or_else(|| {
            let reason = "Couldn't retrieve verification key from your identity provider";
            WebIdentityError::Unreachable(format!("{reason}: {issuer}"))
        })
    }
}

#[async_trait]
impl WebIdentities for Providers {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, WebIdentityError> {
        let invalid = |error: &dyn std::fmt::Display| WebIdentityError::Invalid(error.to_string());
        let token = Token::parse(token).map_err(|error| invalid(&error))?;
        let issuer = unverified_issuer(&token).unwrap_or_default();
        let provider = self.known.iter().find(|provider| provider.issuer.url == issuer);
        let provider = provider.ok_or_else(|| {
            invalid(&"No OpenIDConnect provider found in your account for the token's issuer")
        })?;
        let audiences = provider.issuer.audiences.as_slice();
        let expected = Expected { issuer: &provider.issuer.url, audiences, now };
        let mut verified = oidc::verify(&token, &*self.keys(provider, false).await?, &expected);
        if verified.as_ref().is_err_and(TokenError::may_need_new_keys) {
            verified = oidc::verify(&token, &*self.keys(provider, true).await?, &expected);
        }
        verified.map_err(|error| match error {
            TokenError::Claim(ClaimError::Expired) => WebIdentityError::Expired(error.to_string()),
            TokenError::Claim(_) | TokenError::Jws(_) => invalid(&error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_of_others_are_refused_before_anybody_is_asked() {
        let clock = Arc::new(tidelock_meta::SystemClock::new());
        let issuer = "https://id.test".to_owned();
        let known = [OidcIssuer { url: issuer, audiences: vec!["sts".to_owned()] }];
        let providers = Providers::new(&known, clock);
        // {"alg":"RS256"} . {"iss":"https://other.test"}
        let other = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL290aGVyLnRlc3QifQ.AAAA";
        for token in ["", "a.b.c", other] {
            let refused = providers.verify(token, Timestamp::UNIX_EPOCH).await;
            assert!(matches!(refused, Err(WebIdentityError::Invalid(_))), "{token} {refused:?}");
        }
    }
}
