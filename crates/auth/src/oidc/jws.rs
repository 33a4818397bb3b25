//! Signed tokens in the compact form: header, payload, signature (RFC 7515 §7.1).

use thiserror::Error;

use super::algorithm::Algorithm;
use super::json::{Object, base64url};
use super::keys::{Key, KeySet};

/// The longest token, in bytes: AWS's limit of `WebIdentityToken`
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
pub const TOKEN_BYTES_MAX: usize = 20_000;
/// The longest name of an algorithm or a key that an error repeats, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Why a token's signature proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than 20000 bytes")]
    TooLong,
    /// Not three parts in Base64, or the header is none.
    #[error("the token is not well-formed")]
    Malformed,
    /// An algorithm that is not taken: `none`, an HMAC, another.
    #[error("the token's algorithm {0:?} is not accepted")]
    Algorithm(String),
    /// The header demands an extension (`crit`), and we know none.
    #[error("the token demands an extension that is not known")]
    Extension,
    /// No key of the set has the id that the token names. The provider may have a new one.
    #[error("the token's key {kid:?} is not among the provider's")]
    UnknownKey {
        /// The id; none if the token names no key, and none of the set fits its algorithm.
        kid: Option<String>,
    },
    /// The key of that id is for another algorithm.
    #[error("the token's key is not for the token's algorithm")]
    KeyDoesNotFit,
    /// The token names no key, and several might be meant.
    #[error("the token names no key, and the provider has several")]
    AmbiguousKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
}

/// A token whose form is right; nothing in it is proven yet.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads the compact form.
    ///
    /// # Errors
    ///
    /// Any [`JwsError`] that needs no key.
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let malformed = || JwsError::Malformed;
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(malformed)?;
        let header = base64url(header).and_then(|header| Object::parse(&header));
        let header = header.ok_or_else(malformed)?;
        let algorithm = header.text("alg").filter(|name| name.len() <= NAME_BYTES_MAX);
        let algorithm = algorithm.ok_or_else(malformed)?;
        let algorithm =
            Algorithm::parse(algorithm).ok_or(JwsError::Algorithm(algorithm.to_owned()))?;
        if header.has("crit") {
            return Err(JwsError::Extension);
        }
        let kid = match header.get("kid") {
            None => None,
            Some(kid) => {
                let kid = kid.as_str().filter(|kid| kid.len() <= NAME_BYTES_MAX);
                Some(kid.ok_or_else(malformed)?.to_owned())
            }
        };
        Ok(Self {
            algorithm,
            kid,
            signing_input,
            payload: base64url(payload).ok_or_else(malformed)?,
            signature: base64url(signature).ok_or_else(malformed)?,
        })
    }

    /// The algorithm that it is signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that it claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What was signed, proven or not.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Verifies the signature.
    ///
    /// # Errors
    ///
    /// [`JwsError::UnknownKey`], [`JwsError::KeyDoesNotFit`], [`JwsError::AmbiguousKey`] and
    /// [`JwsError::Signature`].
    pub fn verify(&self, keys: &KeySet) -> Result<(), JwsError> {
        let key = self.key_of(keys)?;
        let message = self.signing_input.as_bytes();
        if key.verifies(self.algorithm, message, &self.signature) {
            Ok(())
        } else {
            Err(JwsError::Signature)
        }
    }

    /// The one key that may have signed the token. Of several with one id those count that fit the
    /// algorithm (RFC 7517 §4.5 allows such a set).
    fn key_of<'k>(&self, keys: &'k KeySet) -> Result<&'k Key, JwsError> {
        let kid = self.kid();
        let mut fitting =
            keys.keys().iter().filter(|key| key.is_named(kid) && key.is_for(self.algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(JwsError::AmbiguousKey),
            (None, _) if kid.is_some() && keys.keys().iter().any(|key| key.is_named(kid)) => {
                Err(JwsError::KeyDoesNotFit)
            }
            (None, _) => Err(JwsError::UnknownKey { kid: self.kid.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// RFC 7515 A.2 and A.3, and RFC 7520 §4: what is signed.
    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    /// RFC 7515 A.3.1.
    const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    /// RFC 7520 §3.3.
    const BILBO: &str = r#""kty":"RSA","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw""#;
    /// RFC 7515 A.3.3.
    const ES256_OF_JOE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    /// RFC 7520 §4.1.2.
    const RS256_OF_FRODO: &str = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
    /// RFC 7520 §4.2.2.
    const PS384_OF_FRODO: &str = "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";

    fn set(keys: &[String]) -> KeySet {
        KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
    }

    fn key(members: &str, more: &str) -> String {
        format!("{{{members}{more}}}")
    }

    fn rsa_header(algorithm: &str) -> String {
        URL_SAFE_NO_PAD
            .encode(format!(r#"{{"alg":"{algorithm}","kid":"bilbo.baggins@hobbiton.example"}}"#))
    }

    const KID: &str = r#","kid":"bilbo.baggins@hobbiton.example","use":"sig""#;

    #[test]
    fn the_examples_of_the_standards() {
        let keys = set(&[key(P256, ""), key(BILBO, KID)]);
        for token in [
            format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{ES256_OF_JOE}"),
            format!("{}.{FRODO}.{RS256_OF_FRODO}", rsa_header("RS256")),
            format!("{}.{FRODO}.{PS384_OF_FRODO}", rsa_header("PS384")),
        ] {
            let parsed = Token::parse(&token).unwrap();
            assert_eq!(parsed.verify(&keys), Ok(()), "{token}");
            for other in ["RS256", "RS384", "PS256", "PS512"] {
                let (_, rest) = token.split_once('.').unwrap();
                let confused = format!("{}.{rest}", rsa_header(other));
                let verified = Token::parse(&confused).unwrap().verify(&keys);
                assert_eq!(verified.is_ok(), confused == token, "{confused}");
            }
        }
    }

    #[test]
    fn a_changed_token_is_refused() {
        let keys = set(&[key(P256, "")]);
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{ES256_OF_JOE}");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let verified = Token::parse(&changed).and_then(|token| token.verify(&keys));
            assert!(verified.is_err(), "{changed}");
        }
    }

    #[test]
    fn keys_are_chosen_by_id_and_type() {
        let unknown = |kid: Option<&str>| JwsError::UnknownKey { kid: kid.map(str::to_owned) };
        let rows: [(&str, Vec<String>, JwsError); 8] = [
            (r#"{"alg":"ES256","kid":"a"}"#, vec![], unknown(Some("a"))),
            (r#"{"alg":"ES256","kid":"a"}"#, vec![key(P256, "")], unknown(Some("a"))),
            (r#"{"alg":"ES256","kid":"a"}"#, vec![key(P256, r#","kid":"b""#)], unknown(Some("a"))),
            (r#"{"alg":"ES256"}"#, vec![key(BILBO, "")], unknown(None)),
            (r#"{"alg":"ES256"}"#, vec![key(P256, ""), key(P256, "")], JwsError::AmbiguousKey),
            (
                r#"{"alg":"RS256","kid":"a"}"#,
                vec![key(P256, r#","kid":"a""#)],
                JwsError::KeyDoesNotFit,
            ),
            (
                r#"{"alg":"ES256","kid":"a"}"#,
                vec![key(BILBO, r#","kid":"a""#)],
                JwsError::KeyDoesNotFit,
            ),
            (
                r#"{"alg":"PS256","kid":"a"}"#,
                vec![key(BILBO, r#","kid":"a","alg":"RS256""#)],
                JwsError::KeyDoesNotFit,
            ),
        ];
        for (header, keys, expected) in rows {
            let token = format!("{}.{JOE}.{ES256_OF_JOE}", URL_SAFE_NO_PAD.encode(header));
            let verified = Token::parse(&token).unwrap().verify(&set(&keys));
            assert_eq!(verified, Err(expected), "{header} {keys:?}");
        }
    }

    #[test]
    fn hostile_tokens_are_refused_before_any_key() {
        let refused = |name: &str| JwsError::Algorithm(name.to_owned());
        let of_header = |header: &str, expected: JwsError| {
            let token = format!("{}.{JOE}.{ES256_OF_JOE}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(Token::parse(&token).err(), Some(expected), "{header}");
        };
        for name in ["none", "None", "HS256", "HS512", "ES256K", "EdDSA", "RSA-OAEP", "es256", ""] {
            of_header(&format!(r#"{{"alg":"{name}"}}"#), refused(name));
        }
        of_header("{}", JwsError::Malformed);
        of_header("[]", JwsError::Malformed);
        of_header(r#"{"alg":["ES256"]}"#, JwsError::Malformed);
        of_header(r#"{"alg":"ES256","alg":"none"}"#, JwsError::Malformed);
        of_header(r#"{"alg":"ES256","kid":7}"#, JwsError::Malformed);
        of_header(r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#, JwsError::Extension);
        of_header(
            &format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257)),
            JwsError::Malformed,
        );
        let good = "eyJhbGciOiJFUzI1NiJ9";
        for (token, expected) in [
            (String::new(), JwsError::Malformed),
            ("abcdef".to_owned(), JwsError::Malformed),
            (format!("{good}.{JOE}"), JwsError::Malformed),
            (format!("{good}.{JOE}.a.b.c"), JwsError::Malformed),
            (format!("{good}.{JOE}.{ES256_OF_JOE}=="), JwsError::Malformed),
            (format!("{good}. {JOE}.{ES256_OF_JOE}"), JwsError::Malformed),
            ("a".repeat(TOKEN_BYTES_MAX + 1), JwsError::TooLong),
        ] {
            assert_eq!(Token::parse(&token).err(), Some(expected), "{token}");
        }
        // An empty signature is well-formed, and nobody's.
        let token = format!("{good}.{JOE}.");
        let verified = Token::parse(&token).unwrap().verify(&set(&[key(P256, "")]));
        assert_eq!(verified, Err(JwsError::Signature));
    }
}
