//! Which state a request is about: `/_/tf/BUCKET/KEY`.
//!
//! Each part is percent-decoded exactly once, and what is not a name is refused: a state that is
//! written under a name nobody meant is a state that is lost.

use percent_encoding::percent_decode_str;
use tidelock_store::{BucketName, ObjectKey};

use super::Operation;
use super::PREFIX;
use super::error::TfError;

/// A state and its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    /// `KEY.tflock`: the object that Terraform's `s3` backend locks with.
    pub(super) lock_key: ObjectKey,
}

impl Address {
    /// The key that an operation is about.
    pub(super) fn key_of(&self, operation: Operation) -> &ObjectKey {
        match operation {
            Operation::GetState
            | Operation::HeadState
            | Operation::PutState
            | Operation::DeleteState => &self.key,
            Operation::Lock | Operation::Unlock => &self.lock_key,
        }
    }

    /// `path` as sent, with [`PREFIX`].
    pub(super) fn parse(path: &str) -> Result<Self, TfError> {
        let named = path.strip_prefix(PREFIX).unwrap_or_default();
        let (bucket, key) = named.split_once('/').unwrap_or((named, ""));
        let bucket = decode(bucket)?;
        let bucket = bucket.parse().map_err(|_| {
            TfError::bad_address(&format!("{bucket:?} is not the name of a bucket"))
        })?;
        let key = decode(key)?;
        if key.contains('\0') {
            return Err(TfError::bad_address("the key has a NUL character"));
        }
        let key: ObjectKey = key.parse().map_err(TfError::from_key)?;
        if key.is_lock() {
            return Err(TfError::bad_address("the key is that of a lock, not of a state"));
        }
        let lock_key = key.lock_key().map_err(TfError::from_key)?;
        Ok(Self { bucket, key, lock_key })
    }
}

fn decode(text: &str) -> Result<String, TfError> {
    let whole_escapes = text.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole_escapes {
        return Err(TfError::bad_address("a percent sign without two hexadecimal digits"));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| TfError::bad_address("the path is not UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let long = format!("/_/tf/abc/{}", "k".repeat(1024 - ".tflock".len()));
        let too_long = format!("{long}k");
        let rows: &[(&str, Option<(&str, &str)>)] = &[
            ("/_/tf/abc/k", Some(("abc", "k"))),
            ("/_/tf/abc/app/terraform.tfstate", Some(("abc", "app/terraform.tfstate"))),
            ("/_/tf/abc/env%3A/dev/k", Some(("abc", "env:/dev/k"))),
            ("/_/tf/abc/env:/dev/k", Some(("abc", "env:/dev/k"))),
            ("/_/tf/abc/a%252Fb", Some(("abc", "a%2Fb"))),
            ("/_/tf/abc//k/", Some(("abc", "/k/"))),
            ("/_/tf/abc/a+b", Some(("abc", "a+b"))),
            ("/_/tf/abc/%C3%A4", Some(("abc", "ä"))),
            (&long, Some(("abc", &long["/_/tf/abc/".len()..]))),
            (&too_long, None),
            ("/_/tf/abc/", None),
            ("/_/tf/abc", None),
            ("/_/tf/", None),
            ("/_/tf//k", None),
            ("/_/tf/Abc/k", None),
            ("/_/tf/a/k", None),
            ("/_/tf/ab%2Fc/k", None),
            ("/_/tf/abc/%FF", None),
            ("/_/tf/abc/%4", None),
            ("/_/tf/abc/%G1", None),
            ("/_/tf/abc/%", None),
            ("/_/tf/abc/a%00b", None),
            ("/_/tf/abc/k.tflock", None),
            ("/_/tf/abc/k%2Etflock", None),
        ];
        for (path, expected) in rows {
            let address = Address::parse(path).ok();
            let names = address.as_ref().map(|it| (it.bucket.as_str(), it.key.as_str()));
            assert_eq!(names, *expected, "{path}");
            let lock_key = address.as_ref().map(|it| it.lock_key.as_str());
            assert_eq!(lock_key, expected.map(|(_, key)| format!("{key}.tflock")).as_deref());
        }
    }
}
