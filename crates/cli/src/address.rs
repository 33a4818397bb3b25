//! `BUCKET`, `BUCKET/PREFIX` and `BUCKET/KEY`, as they are typed.

use std::str::FromStr;

/// A bucket, and a prefix that may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketPrefix {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectAddress {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl FromStr for BucketPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        if bucket.is_empty() {
            return Err("takes BUCKET or BUCKET/PREFIX".to_owned());
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl FromStr for ObjectAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err("takes BUCKET/KEY".to_owned()),
        }
    }
}

impl BucketPrefix {
    /// With `--prefix` on top of what stands after the bucket.
    pub(crate) fn under(self, prefix: Option<&str>) -> Self {
        Self { prefix: self.prefix + prefix.unwrap_or_default(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_taken_apart_at_the_first_slash() {
        let rows = [
            ("b", Ok(("b", ""))),
            ("b/", Ok(("b", ""))),
            ("b/env:/dev/k", Ok(("b", "env:/dev/k"))),
            ("b//k", Ok(("b", "/k"))),
            ("/k", Err(())),
            ("", Err(())),
        ];
        for (text, expected) in rows {
            let prefix: Result<BucketPrefix, _> = text.parse();
            let found = prefix.as_ref().map(|p| (p.bucket.as_str(), p.prefix.as_str()));
            assert_eq!(found.map_err(|_| ()), expected, "{text}");
            let object: Result<ObjectAddress, _> = text.parse();
            let is_object = matches!(expected, Ok((_, key)) if !key.is_empty());
            assert_eq!(object.is_ok(), is_object, "{text}");
        }
    }
}
