//! The canonical request and the string to sign: the exact bytes that a signature covers.
//!
//! Knows nothing of keys. Both sides use it, so what one makes the other finds.
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ring::digest;

use super::request::{RequestHead, names};
use super::timestamp::AmzDate;
use super::{ALGORITHM, presigned};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same within a path, where `/` stands for itself.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// A canonical request of common length fits without growing the buffer.
pub(crate) const CANONICAL_REQUEST_BYTES_TYPICAL: usize = 1024;

/// So does a string to sign.
pub(crate) const STRING_TO_SIGN_BYTES_TYPICAL: usize = 192;

/// Escapes a path as AWS does: all but unreserved characters and `/`.
pub fn encode_path(path: &str) -> String {
    percent_encode(path.as_bytes(), RESERVED_IN_PATH).to_string()
}

/// Escapes a name or value of a query as AWS does: all but unreserved characters.
pub fn encode_query(text: &str) -> String {
    percent_encode(text.as_bytes(), RESERVED).to_string()
}

/// What a canonical request is made of, beside the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canonical<'a> {
    pub(crate) head: RequestHead<'a>,
    /// Names joined by `;`, as sent.
    pub(crate) signed_headers: &'a str,
    /// The last line: a hash or the name of a payload mode.
    pub(crate) payload: &'a str,
}

impl Canonical<'_> {
    /// Writes the canonical request over what `out` held. `path` is the canonical path.
    pub(crate) fn write(&self, path: &str, out: &mut Vec<u8>) {
        out.clear();
        line(out, self.head.method.as_bytes());
        line(out, path.as_bytes());
        write_query(self.head.query, out);
        out.push(b'\n');
        for name in names(self.signed_headers) {
            write_lowercase(name, out);
            out.push(b':');
            self.write_values(name, out);
            out.push(b'\n');
        }
        out.push(b'\n');
        write_lowercase(self.signed_headers, out);
        out.push(b'\n');
        out.extend_from_slice(self.payload.as_bytes());
    }

    /// Whether the request has every header that its signature names.
    pub(crate) fn is_complete(&self) -> bool {
        names(self.signed_headers).all(|name| {
            let is_host = name.eq_ignore_ascii_case("host");
            self.head.values(name).next().is_some() || (is_host && self.head.authority.is_some())
        })
    }

    fn write_values(&self, name: &str, out: &mut Vec<u8>) {
        if name.eq_ignore_ascii_case("host") && self.head.values(name).next().is_none() {
            out.extend_from_slice(self.head.authority.unwrap_or_default().as_bytes());
            return;
        }
        for (at, value) in self.head.values(name).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_collapsed(value, out);
        }
    }
}

/// Writes the string to sign over what `out` held.
pub(crate) fn write_string_to_sign(
    date: &AmzDate,
    scope: &str,
    canonical_request: &[u8],
    out: &mut Vec<u8>,
) {
    out.clear();
    line(out, ALGORITHM.as_bytes());
    line(out, date.as_str().as_bytes());
    line(out, scope.as_bytes());
    write_hex(digest::digest(&digest::SHA256, canonical_request).as_ref(), out);
}

/// Writes `bytes` in lowercase hexadecimal.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    // It is just as long.
    let _ = hex::encode_to_slice(bytes, &mut out[start..]);
}

pub(crate) fn line(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The path as sent; an empty one is `/`.
pub(crate) fn sent_path(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// The path as AWS's own rule writes it: every segment unescaped once and escaped again. Neither
/// dots nor double slashes are touched: for S3 they are part of the key.
pub(crate) fn normal_path(path: &str) -> Cow<'_, str> {
    let path = sent_path(path);
    if path.bytes().all(|byte| is_unreserved(byte) || byte == b'/') {
        return Cow::Borrowed(path);
    }
    let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
    Cow::Owned(percent_encode(&decoded, RESERVED_IN_PATH).to_string())
}

/// Writes the query, each name and value escaped anew and the pairs sorted; the signature itself is
/// left out. `+` is a blank, as S3 reads it.
fn write_query(query: &str, out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<_> = presigned::pairs(query)
        .filter(|(name, _)| *name != presigned::SIGNATURE)
        .map(|(name, value)| (normal_query(name), normal_query(value)))
        .collect();
    pairs.sort_unstable();
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

fn normal_query(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_unreserved) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_encode(&decode_query(text), RESERVED).to_string())
}

/// Undoes the escapes of a query's name or value.
pub(crate) fn decode_query(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for byte in &mut bytes {
        if *byte == b'+' {
            *byte = b' ';
        }
    }
    percent_encoding::percent_decode(&bytes).collect()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn write_lowercase(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    out[start..].make_ascii_lowercase();
}

/// Writes a header value without its outer blanks, and every inner run of blanks as one.
fn write_collapsed(value: &[u8], out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    let is_blank = |byte: u8| byte == b' ' || byte == b'\t';
    // Most values have none, which is seen faster of all bytes at once than of one after another.
    if !value.iter().fold(false, |found, byte| found | is_blank(*byte)) {
        return out.extend_from_slice(value);
    }
    let mut after_blank = false;
    for byte in value {
        let blank = is_blank(*byte);
        if !blank {
            out.push(*byte);
        } else if !after_blank {
            out.push(b' ');
        }
        after_blank = blank;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&str, &str)], of: impl Fn(&str) -> String) {
        for (sent, expected) in rows {
            assert_eq!(of(sent), *expected, "{sent:?}");
        }
    }

    #[test]
    fn paths() {
        let rows = [
            ("", "/"),
            ("/", "/"),
            ("/b/env%3A/dev", "/b/env%3A/dev"),
            ("/b/env%3a/dev", "/b/env%3A/dev"),
            ("/b/env:/dev", "/b/env%3A/dev"),
            ("/b/a%20b", "/b/a%20b"),
            ("/b/a b", "/b/a%20b"),
            ("/b/a+b", "/b/a%2Bb"),
            ("/b/%E1%88%B4", "/b/%E1%88%B4"),
            ("/b/ሴ", "/b/%E1%88%B4"),
            ("/b/a%2Fb", "/b/a/b"),
            ("/b//a///", "/b//a///"),
            ("/b/../a/./", "/b/../a/./"),
            ("/b/~a", "/b/~a"),
            ("/b/%7Ea", "/b/~a"),
            ("/b/*", "/b/%2A"),
            ("/b/100%", "/b/100%25"),
            ("/b/%zz", "/b/%25zz"),
        ];
        check(&rows, |path| normal_path(path).into_owned());
    }

    #[test]
    fn queries() {
        let rows = [
            ("", ""),
            ("acl", "acl="),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=1&a=2"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("prefix=env:/", "prefix=env%3A%2F"),
            ("prefix=env%3a%2f", "prefix=env%3A%2F"),
            ("prefix=a+b%20c%2B", "prefix=a%20b%20c%2B"),
            ("&&a=1&", "a=1"),
            ("a=b=c", "a=b%3Dc"),
            ("a=1&X-Amz-Signature=00", "a=1"),
        ];
        check(&rows, |query| {
            let mut out = Vec::new();
            write_query(query, &mut out);
            String::from_utf8(out).unwrap()
        });
    }

    #[test]
    fn header_values() {
        let rows = [("", ""), ("  a  ", "a"), (" a   b \t c", "a b c"), ("\"a   b\"", "\"a b\"")];
        check(&rows, |value| {
            let mut out = Vec::new();
            write_collapsed(value.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        });
    }
}
