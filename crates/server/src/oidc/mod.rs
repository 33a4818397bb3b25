//! The identity providers that the operator has named: their keys, fetched when a token needs them and
//! kept for a while. What a token says, and who may do what with it, is not known here.

mod fetch;

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

/// Keys are fetched anew after this long, in milliseconds.
const KEYS_TERM_MS: i64 = 3_600_000;
/// Keys are still believed for this long while their provider does not answer.
const KEYS_LAST_MS: i64 = 24 * 3_600_000;
/// A provider is asked no more often than this, whatever tokens name keys that it has not.
const ASK_AGAIN_MS: i64 = 5_000;

/// The providers.
pub(crate) struct Providers {
    known: Vec<Provider>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
}

struct Provider {
    issuer: OidcIssuer,
    /// Held while its keys are fetched: one request does, the others wait for it.
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    set: Option<Arc<KeySet>>,
    /// When they were fetched.
    fetched_ms: i64,
    /// When the provider was asked last.
    asked_ms: Option<i64>,
}

impl Keys {
    /// Whether to ask the provider now; `must` where what is known was not enough.
    fn are_due(&self, now_ms: i64, must: bool) -> bool {
        let may = self.asked_ms.is_none_or(|at| !(0..ASK_AGAIN_MS).contains(&(now_ms - at)));
        let are_old = !(0..KEYS_TERM_MS).contains(&(now_ms - self.fetched_ms));
        may && (must || self.set.is_none() || are_old)
    }

    fn still_believed(&self, now_ms: i64) -> Option<Arc<KeySet>> {
        let are_recent = now_ms - self.fetched_ms < KEYS_LAST_MS;
        self.set.clone().filter(|_| are_recent)
    }
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
        if keys.are_due(now_ms, must) {
            keys.asked_ms = Some(now_ms);
            match self.fetcher.keys(issuer).await {
                Ok(set) => {
                    (keys.set, keys.fetched_ms) = (Some(Arc::new(set)), now_ms);
                }
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

    #[test]
    fn a_provider_is_asked_when_it_must_be_and_not_too_often() {
        let set = || Some(Arc::new(KeySet::parse(br#"{"keys":[]}"#).unwrap()));
        let hour = KEYS_TERM_MS;
        // When it was asked and answered, the time, whether keys were missing; whether it is asked.
        let rows = [
            (None, None, 0, false, true),
            (Some(0), None, ASK_AGAIN_MS - 1, false, false),
            (Some(0), None, ASK_AGAIN_MS, false, true),
            (Some(0), Some(0), hour - 1, false, false),
            (Some(0), Some(0), hour, false, true),
            (Some(0), Some(0), ASK_AGAIN_MS - 1, true, false),
            (Some(0), Some(0), ASK_AGAIN_MS, true, true),
            (Some(hour), Some(0), hour + 1, false, false),
            // A clock that was set back keeps nobody from asking.
            (Some(10), Some(10), 5, true, true),
        ];
        for (asked_ms, fetched, now_ms, must, expected) in rows {
            let fetched_ms = fetched.unwrap_or(0);
            let keys = Keys { set: fetched.and_then(|_| set()), fetched_ms, asked_ms };
            assert_eq!(keys.are_due(now_ms, must), expected, "{asked_ms:?} {fetched:?} {now_ms}");
        }
        let keys = Keys { set: set(), fetched_ms: 0, asked_ms: Some(0) };
        assert!(keys.still_believed(KEYS_LAST_MS - 1).is_some());
        assert!(keys.still_believed(KEYS_LAST_MS).is_none());
    }

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
