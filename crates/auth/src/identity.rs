//! The names of those who ask: access keys and their secrets.
//!
//! Knows nothing of whose a key is, nor of where users and keys are kept.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

/// The longest access key id, in bytes (IAM API: `AccessKeyId`, at most 128).
pub const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

/// An access key id: the public half of a key pair.
///
/// 1 to [`ACCESS_KEY_ID_BYTES_MAX`] visible ASCII characters without `/` `,` `=` `;` `:`, so that
/// it stands unambiguously in a credential and in a log line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccessKeyId(String);

/// The text cannot be an access key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an access key id is 1 to 128 visible ASCII characters without / , = ; :")]
pub struct InvalidAccessKeyId;

impl AccessKeyId {
    /// Takes `text` as an access key id.
    ///
    /// # Errors
    /// [`InvalidAccessKeyId`] if it breaks the rule of the type.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidAccessKeyId> {
        let text = text.into();
        let fits = (1..=ACCESS_KEY_ID_BYTES_MAX).contains(&text.len());
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/,=;:".contains(&byte);
        if fits && text.bytes().all(allowed) { Ok(Self(text)) } else { Err(InvalidAccessKeyId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret access key: wiped from memory when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes the secret over; the caller's own copies are the caller's to wipe.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for deriving keys and for showing it once at creation.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAccessKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_key_ids() {
        let rows: &[(&str, bool)] = &[
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("minio-root_1", true),
            (&"A".repeat(128), true),
            (&"A".repeat(129), false),
            ("", false),
            ("a/b", false),
            ("a b", false),
            ("a,b", false),
            ("é", false),
        ];
        for (text, valid) in rows {
            assert_eq!(AccessKeyId::parse(*text).is_ok(), *valid, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", SecretAccessKey::new("hush")), "SecretAccessKey(redacted)");
    }
}
