//! A provider's public keys: JWK Sets (RFC 7517), read within limits.
//!
//! A key that is not understood is left out, as RFC 7517 §5 asks: a provider may begin to use another
//! kind. So is one that is not for signatures, and every symmetric one: what a provider publishes is no
//! secret.

use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;
use thiserror::Error;

use super::algorithm::{Algorithm, KeyType};
use super::json::{Object, base64url};

/// The longest JWK Set, in bytes; providers publish a few keys of some 500 bytes, some with certificates.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;
/// Keys of a set.
const KEYS_MAX: usize = 64;
const KID_BYTES_MAX: usize = 256;
/// RSA moduli, in bytes: 2,048 to 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// RSA exponents, in bytes: ring takes up to 33 bits.
const EXPONENT_BYTES_MAX: usize = 5;

/// Why bytes are no JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKeySet {
    /// Longer than [`KEY_SET_BYTES_MAX`].
    #[error("the key set is longer than 262144 bytes")]
    TooLarge,
    /// No JSON object with a list `keys`.
    #[error("the key set is no JWK Set")]
    Malformed,
    /// More than 64 keys.
    #[error("the key set has more than 64 keys")]
    TooMany,
}

/// The public keys of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    kid: Option<String>,
    /// The only algorithm it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// Big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// `04 | x | y`.
    Curve { curve: KeyType, point: Vec<u8> },
}

impl KeySet {
    /// Reads a JWK Set; keys that are not understood are left out.
    ///
    /// # Errors
    ///
    /// [`InvalidKeySet`] for what is no such set.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidKeySet> {
        if document.len() > KEY_SET_BYTES_MAX {
            return Err(InvalidKeySet::TooLarge);
        }
        let set = Object::parse(document).ok_or(InvalidKeySet::Malformed)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(InvalidKeySet::Malformed)?;
        if listed.len() > KEYS_MAX {
            return Err(InvalidKeySet::TooMany);
        }
        Ok(Self { keys: listed.iter().filter_map(Key::of).collect() })
    }

    /// How many keys were understood.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key was understood.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }
}

impl Key {
    fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let is_for_signatures = match (value.get("use"), value.get("key_ops")) {
            (Some(purpose), _) => purpose == "sig",
            (None, Some(operations)) => operations.as_array()?.iter().any(|it| it == "verify"),
            (None, None) => true,
        };
        let algorithm = match value.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        let kid = match value.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= KID_BYTES_MAX)?.to_owned()),
        };
        let number = |name: &str| text(name).and_then(base64url);
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa(number("n")?, number("e")?)?,
            ("EC", Some("P-256")) => curve(KeyType::P256, 32, number("x")?, number("y")?)?,
            ("EC", Some("P-384")) => curve(KeyType::P384, 48, number("x")?, number("y")?)?,
            _ => return None,
        };
        let key = Self { kid, algorithm, material };
        let fits = key.algorithm.is_none_or(|algorithm| key.is_for(algorithm));
        (is_for_signatures && fits).then_some(key)
    }

    /// Whether a token that names the key `kid` may mean this one; one that names none may mean any.
    pub(super) fn is_named(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.kid.as_deref() == kid
    }

    /// Whether this key may verify signatures of `algorithm`.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        let key_type = match &self.material {
            Material::Rsa { .. } => KeyType::Rsa,
            Material::Curve { curve, .. } => *curve,
        };
        key_type == algorithm.key_type() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` over `message` was made with this key's other half. A key that
    /// [is not for](Self::is_for) `algorithm` verifies nothing.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.is_for(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus: n, exponent: e } => algorithm.with_rsa().is_some_and(|with| {
                RsaPublicKeyComponents { n, e }.verify(with, message, signature).is_ok()
            }),
            Material::Curve { point, .. } => algorithm.on_curve().is_some_and(|on| {
                UnparsedPublicKey::new(on, point).verify(message, signature).is_ok()
            }),
        }
    }
}

fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<Material> {
    let significant = |number: Vec<u8>| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number[zeros..].to_vec()
    };
    let (modulus, exponent) = (significant(modulus), significant(exponent));
    let fits = MODULUS_BYTES.contains(&modulus.len())
        && (1..=EXPONENT_BYTES_MAX).contains(&exponent.len());
    fits.then_some(Material::Rsa { modulus, exponent })
}

fn curve(curve: KeyType, coordinate_bytes: usize, x: Vec<u8>, y: Vec<u8>) -> Option<Material> {
    let fits = x.len() == coordinate_bytes && y.len() == coordinate_bytes;
    fits.then(|| Material::Curve { curve, point: [&[4][..], &x, &y].concat() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: usize) {
        let set = format!("{{\"keys\":[{key}]}}");
        assert_eq!(KeySet::parse(set.as_bytes()).map(|set| set.len()), Ok(expected), "{key}");
    }

    #[test]
    fn keys_are_understood_or_left_out() {
        // 2,048 bits.
        let n = "w".to_owned() + &"A".repeat(341);
        let rsa = |more: &str| format!("{{\"kty\":\"RSA\",\"n\":\"{n}\",\"e\":\"AQAB\"{more}}}");
        let (x, y) = (
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        );
        let ec = |crv: &str, more: &str| {
            format!("{{\"kty\":\"EC\",\"crv\":\"{crv}\",\"x\":\"{x}\",\"y\":\"{y}\"{more}}}")
        };
        check(&ec("P-256", ""), 1);
        check(&ec("P-256", ",\"use\":\"sig\",\"kid\":\"1\",\"alg\":\"ES256\""), 1);
        check(&ec("P-256", ",\"key_ops\":[\"verify\"]"), 1);
        check(&ec("P-256", ",\"unknown\":{}"), 1);
        check(&ec("P-256", ",\"use\":\"enc\""), 0);
        check(&ec("P-256", ",\"key_ops\":[\"encrypt\"]"), 0);
        check(&ec("P-256", ",\"alg\":\"RS256\""), 0);
        check(&ec("P-256", ",\"alg\":\"HS256\""), 0);
        check(&ec("P-256", ",\"kid\":1"), 0);
        check(&ec("P-384", ""), 0);
        check(&ec("secp256k1", ""), 0);
        check(&rsa(""), 1);
        check(&rsa(",\"alg\":\"PS256\""), 1);
        check(&rsa(",\"alg\":\"ES256\""), 0);
        check(&rsa(",\"alg\":\"none\""), 0);
        check("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", 0);
        check("{\"kty\":\"RSA\",\"n\":\"+/+/\",\"e\":\"AQAB\"}", 0);
        check("{\"kty\":\"oct\",\"k\":\"AAAA\"}", 0);
        check("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", 0);
        check("7", 0);
        check("", 0);
        check(&[ec("P-256", ""), "{}".to_owned(), rsa("")].join(","), 2);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let rows = [
            ("", InvalidKeySet::Malformed),
            ("[]", InvalidKeySet::Malformed),
            ("{}", InvalidKeySet::Malformed),
            ("{\"keys\":{}}", InvalidKeySet::Malformed),
            ("{\"keys\":[],\"keys\":[]}", InvalidKeySet::Malformed),
        ];
        for (document, expected) in rows {
            assert_eq!(KeySet::parse(document.as_bytes()), Err(expected), "{document}");
        }
        let many = format!("{{\"keys\":[{}]}}", vec!["{}"; 65].join(","));
        assert_eq!(KeySet::parse(many.as_bytes()), Err(InvalidKeySet::TooMany));
        let large = " ".repeat(KEY_SET_BYTES_MAX + 1);
        assert_eq!(KeySet::parse(large.as_bytes()), Err(InvalidKeySet::TooLarge));
    }
}
