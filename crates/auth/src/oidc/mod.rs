//! OpenID Connect: whether a text is an ID token that a provider signed for us, and what it says.
//!
//! Tokens are JWS in the compact form (RFC 7515) whose payload is a JWT (RFC 7519); the provider's keys
//! come as a JWK Set (RFC 7517), whose address its discovery document tells (OpenID Connect Discovery
//! 1.0). Nothing here fetches: whoever does hands in bytes, and is told when a token names a key that the
//! set at hand has not, so that it may fetch the set once more.
//!
//! Which algorithms are right is decided here and by the key, never by the token: `none`, HMACs and
//! encrypted tokens are refused before any key is looked at, and a key verifies only what its type fits.

mod algorithm;
mod claims;
mod discovery;
mod json;
mod jws;
mod keys;

pub use algorithm::Algorithm;
pub use claims::{
    CLOCK_LEEWAY_S, ClaimError, ClaimValue, Claims, Expected, TokenTags, unverified_issuer,
};
pub use discovery::{DISCOVERY_BYTES_MAX, Discovery, InvalidDiscovery, discovery_url};
pub use jws::{JwsError, TOKEN_BYTES_MAX, Token};
pub use keys::{InvalidKeySet, KEY_SET_BYTES_MAX, KeySet};

use thiserror::Error;

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Its form, its key or its signature.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// What it says.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl TokenError {
    /// Whether the provider's keys, fetched anew, may verify the token: it names one that is not there.
    pub fn may_need_new_keys(&self) -> bool {
        matches!(self, Self::Jws(JwsError::UnknownKey { .. }))
    }
}

/// Verifies `token` with the provider's `keys` and reads what it says.
///
/// # Errors
///
/// [`TokenError`]; the signature is checked before anything that the token says is believed.
pub fn verify(
    token: &Token<'_>,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<Claims, TokenError> {
    token.verify(keys)?;
    Ok(Claims::of(token.payload(), expected)?)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jiff::Timestamp;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, KeyPair as _,
    };

    use super::*;

    const ISSUER: &str = "https://id.test";

    fn provider(
        signing: &'static EcdsaSigningAlgorithm,
        curve: &str,
        kid: &str,
    ) -> (EcdsaKeyPair, KeySet) {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, made.as_ref(), &random).unwrap();
        let (x, y) = {
            let point = &pair.public_key().as_ref()[1..];
            point.split_at(point.len() / 2)
        };
        let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
        let set = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"{curve}","kid":"{kid}","x":"{x}","y":"{y}"}}]}}"#
        );
        (pair, KeySet::parse(set.as_bytes()).unwrap())
    }

    fn sign(pair: &EcdsaKeyPair, header: &str, payload: &str) -> String {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{payload}");
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verified(token: &str, keys: &KeySet) -> Result<Claims, TokenError> {
        let expected = Expected {
            issuer: ISSUER,
            audiences: &["aud".to_owned()],
            now: Timestamp::from_second(1_000).unwrap(),
        };
        verify(&Token::parse(token)?, keys, &expected)
    }

    #[test]
    fn tokens_of_a_provider() {
        let payload = r#"{"iss":"https://id.test","sub":"me","aud":"aud","exp":1100,"iat":1000}"#;
        for (signing, curve, name) in [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", "ES256"),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384"),
        ] {
            let (pair, keys) = provider(signing, curve, "one");
            let header = format!(r#"{{"alg":"{name}","typ":"JWT","kid":"one"}}"#);
            let token = sign(&pair, &header, payload);
            assert_eq!(verified(&token, &keys).unwrap().subject, "me");
            assert_eq!(unverified_issuer(&Token::parse(&token).unwrap()).as_deref(), Some(ISSUER));

            let (_, rotated) = provider(signing, curve, "two");
            assert!(verified(&token, &rotated).unwrap_err().may_need_new_keys());
            let (_, other) = provider(signing, curve, "one");
            let refused = verified(&token, &other).unwrap_err();
            assert_eq!(refused, TokenError::Jws(JwsError::Signature));
            assert!(!refused.may_need_new_keys());

            let late = sign(&pair, &header, &payload.replace("1100", "900"));
            assert_eq!(verified(&late, &keys), Err(TokenError::Claim(ClaimError::Expired)));
            // What a forger says of the time is not even looked at.
            assert_eq!(verified(&late, &other), Err(TokenError::Jws(JwsError::Signature)));
            let text = sign(&pair, &header, "no claims");
            assert_eq!(verified(&text, &keys), Err(TokenError::Claim(ClaimError::Malformed)));
        }
    }
}
