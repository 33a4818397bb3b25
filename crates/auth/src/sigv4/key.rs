//! The key that signs: derived from a secret for one day, region and service.

use std::fmt;
use std::sync::Arc;

use ring::hmac;
use zeroize::{Zeroize, Zeroizing};

use super::credential::{Scope, TERMINAL};
use crate::identity::SecretAccessKey;

/// A signing key, its HMAC state prepared; cloning it is cheap.
///
/// The secret and the steps of the derivation are wiped. The prepared state is `ring`'s, which does
/// not wipe it; it opens one day of one region and service and does not lead back to the secret.
#[derive(Clone)]
pub struct SigningKey(Arc<hmac::Key>);

impl SigningKey {
    /// Derives the key of `scope`.
    pub fn derive(secret: &SecretAccessKey, scope: &Scope<'_>) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.expose().as_bytes());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        for part in [scope.date, scope.region, scope.service, TERMINAL] {
            let mut step = [0; 32];
            step.copy_from_slice(hmac::sign(&key, part.as_bytes()).as_ref());
            key = hmac::Key::new(hmac::HMAC_SHA256, &step);
            step.zeroize();
        }
        Self(Arc::new(key))
    }

    /// The signature of `message`, in lowercase hexadecimal.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let mut hex = [0; 64];
        // 32 bytes make 64 digits: it cannot fail.
        let _ = hex::encode_to_slice(hmac::sign(&self.0, message), &mut hex);
        Signature(hex)
    }

    /// Whether `signature` is that of `message`, compared in constant time.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let mut tag = [0; 32];
        hex::decode_to_slice(signature.0, &mut tag).is_ok()
            && hmac::verify(&self.0, message, &tag).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// A signature as it travels: 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature([u8; 64]);

impl Signature {
    /// None if `text` has another form: no such text can be a right signature.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 64] = text.try_into().ok()?;
        let lowercase = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(lowercase).then_some(Self(digits))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_have_one_form() {
        let lower = "0af".repeat(21) + "0";
        assert!(Signature::parse(lower.as_bytes()).is_some());
        for wrong in [lower.to_uppercase(), "0".repeat(63), "0".repeat(65), "g".repeat(64)] {
            assert!(Signature::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
