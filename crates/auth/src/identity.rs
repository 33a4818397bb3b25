//! The names of those who ask: access keys, secrets and principals.
//!
//! Knows nothing of what a principal may do, nor of where users and keys are kept.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

/// The one account that every principal belongs to.
pub const ACCOUNT_ID: &str = "000000000000";

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

/// Root or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The owner of the account; may do everything.
    Root,
    /// A user made by root.
    User,
}

/// Who made a request, once its signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `arn:aws:iam::000000000000:root` or `arn:aws:iam::000000000000:user/NAME`.
    pub arn: String,
    /// The canonical user id: 64 lowercase hexadecimal digits; owners are recorded by it.
    pub user_id: String,
    /// The name that listings and owner elements show.
    pub display_name: String,
    /// Root or a user.
    pub kind: PrincipalKind,
    /// The key that signed the request.
    pub access_key_id: AccessKeyId,
}

impl Principal {
    /// The root principal, whose display name is `root`.
    pub fn root(user_id: impl Into<String>, access_key_id: AccessKeyId) -> Self {
        Self {
            arn: root_arn(),
            user_id: user_id.into(),
            display_name: "root".to_owned(),
            kind: PrincipalKind::Root,
            access_key_id,
        }
    }

    /// The user called `name`.
    pub fn user(name: &str, user_id: impl Into<String>, access_key_id: AccessKeyId) -> Self {
        Self {
            arn: user_arn(name),
            user_id: user_id.into(),
            display_name: name.to_owned(),
            kind: PrincipalKind::User,
            access_key_id,
        }
    }

    /// Whether this is root.
    pub fn is_root(&self) -> bool {
        self.kind == PrincipalKind::Root
    }
}

/// The ARN of root.
pub fn root_arn() -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:root")
}

/// The ARN of the user called `name`.
pub fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:user/{name}")
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
    fn arns() {
        let key = AccessKeyId::parse("AKID").unwrap();
        let root = Principal::root("0".repeat(64), key.clone());
        assert_eq!((root.arn.as_str(), root.is_root()), ("arn:aws:iam::000000000000:root", true));
        let user = Principal::user("ci", "1".repeat(64), key);
        assert_eq!(user.arn, "arn:aws:iam::000000000000:user/ci");
        assert_eq!((user.display_name.as_str(), user.is_root()), ("ci", false));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", SecretAccessKey::new("hush")), "SecretAccessKey(redacted)");
    }
}
