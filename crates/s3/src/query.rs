//! The query string as decoded pairs, in the order sent.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{ErrorCode, S3Error, S3Result};

/// Decoded query parameters. A parameter without `=` has an empty value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a raw query string (without `?`): `%XX` and `+` for a space, as AWS does.
    ///
    /// # Errors
    ///
    /// `InvalidURI` if a name or value is not UTF-8.
    pub fn parse(raw: &str) -> Result<Self, S3Error> {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self { pairs: pairs.collect::<S3Result<_>>()? })
    }

    /// The first value under `name`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first value under `name`, if it is not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// Whether `name` is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All pairs in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode(raw: &str) -> S3Result<String> {
    let spaced =
        if raw.contains('+') { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| S3Error::new(ErrorCode::InvalidURI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("list-type=2&prefix=a%2Fb+c&acl&empty=&x=1&x=2").unwrap();
        for (name, expected) in [
            ("list-type", Some("2")),
            ("prefix", Some("a/b c")),
            ("acl", Some("")),
            ("empty", Some("")),
            ("x", Some("1")),
            ("missing", None),
        ] {
            assert_eq!(query.value(name), expected, "{name}");
        }
        assert_eq!(query.filled("empty"), None);
        assert!(Query::parse("a=%ff").is_err());
        assert_eq!(Query::parse("").unwrap(), Query::default());
    }
}
