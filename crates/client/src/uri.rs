//! Paths and queries, escaped the one way that signature and request agree on.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986 unreserved characters stay; everything else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In a key, `/` stays as well.
const ESCAPED_IN_KEY: &AsciiSet = &ESCAPED.remove(b'/');

/// `/BUCKET`
pub(crate) fn bucket_path(bucket: &str) -> String {
    format!("/{}", utf8_percent_encode(bucket, ESCAPED))
}

/// `/BUCKET/KEY`
pub(crate) fn object_path(bucket: &str, key: &str) -> String {
    format!("{}/{}", bucket_path(bucket), utf8_percent_encode(key, ESCAPED_IN_KEY))
}

/// `name=value&...` in the order given; a name without a value as `name=`.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let escape = |text| utf8_percent_encode(text, ESCAPED);
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// A path segment.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A key from an answer with `encoding-type=url`: percent escapes, and `+` for a space.
pub(crate) fn decode_key(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_once() {
        let rows = [
            ("env:/dev/a b", "/b/env%3A/dev/a%20b"),
            ("a+b%2F", "/b/a%2Bb%252F"),
            ("ü~*", "/b/%C3%BC~%2A"),
            ("//x", "/b///x"),
        ];
        for (key, path) in rows {
            assert_eq!(object_path("b", key), path);
        }
        assert_eq!(query(&[("prefix", "env:/"), ("delete", "")]), "prefix=env%3A%2F&delete=");
        assert_eq!(decode_key("a+b%2Bc%C3%BC"), "a b+cü");
    }
}
