//! Names that are valid by construction: buckets and object keys.
//!
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Longest object key, in bytes of UTF-8.
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;

/// What follows the key of a state in that of its lock.
const LOCK_SUFFIX: &str = ".tflock";

/// A bucket's name: 3 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

/// Not a bucket name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the specified bucket is not valid")]
pub struct InvalidBucketName;

/// An object's key: 1 to 1,024 bytes of UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Not an object key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectKey {
    /// No key at all.
    #[error("the key is empty")]
    Empty,
    /// Over [`OBJECT_KEY_BYTES_MAX`].
    #[error("the key is too long")]
    TooLong,
}

impl FromStr for BucketName {
    type Err = InvalidBucketName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let legal = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'.' | b'-'))
            && bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && !text.contains("..")
            && !text.contains("-.")
            && !text.contains(".-")
            && text.parse::<Ipv4Addr>().is_err()
            && !text.starts_with("xn--")
            && !text.starts_with("sthree-")
            && !text.ends_with("-s3alias")
            && !text.ends_with("--ol-s3");
        if legal { Ok(Self(text.to_owned())) } else { Err(InvalidBucketName) }
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidObjectKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.len() {
            0 => Err(InvalidObjectKey::Empty),
            1..=OBJECT_KEY_BYTES_MAX => Ok(Self(text.to_owned())),
            _ => Err(InvalidObjectKey::TooLong),
        }
    }
}

impl BucketName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As [`ObjectKey::lock_key`], as text of whatever length.
pub(crate) fn lock_key(state: &str) -> String {
    format!("{state}{LOCK_SUFFIX}")
}

impl ObjectKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the lock of the state under this key, as Terraform's `s3` backend makes it.
    ///
    /// # Errors
    ///
    /// When it would be too long for a key.
    pub fn lock_key(&self) -> Result<Self, InvalidObjectKey> {
        lock_key(&self.0).parse()
    }

    /// The key of the state that this is the lock of; none of what is no lock.
    pub fn locked_state(&self) -> Option<Self> {
        self.0.strip_suffix(LOCK_SUFFIX)?.parse().ok()
    }

    /// Whether this names a Terraform lock object.
    pub fn is_lock(&self) -> bool {
        self.0.ends_with(LOCK_SUFFIX)
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, legal: bool) {
        assert_eq!(name.parse::<BucketName>().is_ok(), legal, "{name}");
    }

    #[test]
    fn bucket_names() {
        for name in ["abc", "terraform-state", "a.b.c", "0ab", &"a".repeat(63), "foo-bar-0"] {
            check(name, true);
        }
        for name in ["ab", "", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "a-.b", "a.-b"] {
            check(name, false);
        }
        for name in ["192.168.5.4", "xn--abc", "sthree-x", "abc-s3alias", &"a".repeat(64), "a b"] {
            check(name, false);
        }
    }

    #[test]
    fn object_keys() {
        assert_eq!("".parse::<ObjectKey>(), Err(InvalidObjectKey::Empty));
        assert!("k".repeat(1024).parse::<ObjectKey>().is_ok());
        assert_eq!("k".repeat(1025).parse::<ObjectKey>(), Err(InvalidObjectKey::TooLong));
    }
}
