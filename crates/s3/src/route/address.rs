//! Which bucket and key a request is about, in path style or virtual-host style.
//!
//! The path is split raw and each part is percent-decoded exactly once: a key `a%2Fb` sent as
//! `a%252Fb` stays what it is. Sources: "Path-style requests" and "Virtual-hosted-style requests",
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>.

use percent_encoding::percent_decode_str;

use super::Scope;
use crate::error::{ErrorCode, S3Error, S3Result};

/// The decoded names a request carries; neither is validated beyond being UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// Whether these are the tags of the bucket, as S3 Control has them.
    is_tags: bool,
}

/// What stands before the ARN of a resource whose tags are asked for
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ListTagsForResource.html>).
pub(crate) const TAGS_PATH: &str = "/v20180820/tags/";
/// ARNs of buckets begin with it.
const BUCKET_ARN: &str = "arn:aws:s3:::";

impl Address {
    /// `host` as sent (with or without a port), `raw_path` without the query, `domains` in lower
    /// case without port.
    pub(crate) fn parse(host: &str, raw_path: &str, domains: &[String]) -> S3Result<Self> {
        let path = raw_path.strip_prefix('/').ok_or_else(invalid_uri)?;
        if let Some(bucket) = bucket_of_host(host, domains) {
            return Ok(Self::new(Some(bucket), filled(decode(path)?)));
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let (bucket, key) = (filled(decode(bucket)?), filled(decode(key)?));
        if bucket.is_none() && key.is_some() {
            return Err(invalid_uri());
        }
        Ok(Self::new(bucket, key))
    }

    fn new(bucket: Option<String>, key: Option<String>) -> Self {
        Self { bucket, key, is_tags: false }
    }

    /// The bucket of a request to S3 Control for tags, whose path begins with [`TAGS_PATH`]. The host, which begins with
    /// the account, says nothing of it.
    pub(crate) fn of_tags(raw_path: &str) -> S3Result<Self> {
        let arn = decode(raw_path.strip_prefix(TAGS_PATH).ok_or_else(invalid_uri)?)?;
        match arn.strip_prefix(BUCKET_ARN) {
            Some(bucket) if !bucket.contains('/') => {
                Ok(Self { bucket: Some(bucket.to_owned()), key: None, is_tags: true })
            }
            _ => Err(S3Error::with_message(
                ErrorCode::NotImplemented,
                "Of all resources that S3 Control knows only buckets have tags here.",
            )),
        }
    }

    /// What kind of resource this is.
    pub(crate) fn scope(&self) -> Scope {
        match (&self.bucket, &self.key) {
            _ if self.is_tags => Scope::Tags,
            (None, _) => Scope::Service,
            (Some(_), None) => Scope::Bucket,
            (Some(_), Some(_)) => Scope::Object,
        }
    }

    /// `/bucket/key`, for the `<Resource>` of an error.
    pub(crate) fn resource(&self) -> String {
        match (&self.bucket, &self.key) {
            (None, _) => String::from("/"),
            (Some(bucket), None) => format!("/{bucket}"),
            (Some(bucket), Some(key)) => format!("/{bucket}/{key}"),
        }
    }
}

/// The bucket that a host names: what stands before one of `domains`, which are in lower case. None where the
/// host is a domain itself, or another.
pub fn bucket_of_host(host: &str, domains: &[String]) -> Option<String> {
    if domains.is_empty() {
        return None;
    }
    let name = without_port(host).to_ascii_lowercase();
    if domains.contains(&name) {
        return None;
    }
    let buckets = domains.iter().filter_map(|domain| {
        name.strip_suffix(domain.as_str())?.strip_suffix('.').filter(|bucket| !bucket.is_empty())
    });
    // The longest domain that fits leaves the shortest bucket.
    buckets.min_by_key(|bucket| bucket.len()).map(str::to_owned)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn decode(raw: &str) -> S3Result<String> {
    let bytes = raw.as_bytes();
    if !bytes.contains(&b'%') {
        return Ok(raw.to_owned());
    }
    let escapes_are_whole = bytes.iter().enumerate().all(|(at, byte)| {
        *byte != b'%'
            || bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole {
        return Err(invalid_uri());
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| invalid_uri())?;
    Ok(decoded.into_owned())
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn invalid_uri() -> S3Error {
    S3Error::new(ErrorCode::InvalidURI)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parsed = Option<(Option<&'static str>, Option<&'static str>)>;

    fn check(host: &str, path: &str, expected: Parsed) {
        let domains = [String::from("s3.example.com"), String::from("example.com")];
        let parsed = Address::parse(host, path, &domains).ok();
        let expected = expected
            .map(|(bucket, key)| Address::new(bucket.map(str::to_owned), key.map(str::to_owned)));
        assert_eq!(parsed, expected, "{host} {path}");
    }

    #[test]
    fn tags_of_resources() {
        let rows = [
            ("/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Ab.c", Ok("b.c")),
            ("/v20180820/tags/arn:aws:s3:::b", Ok("b")),
            (
                "/v20180820/tags/arn%3Aaws%3As3%3Aus-east-1%3A0%3Aaccesspoint%2Fa",
                Err("NotImplemented"),
            ),
            ("/v20180820/tags/arn:aws:s3:::b/k", Err("NotImplemented")),
            ("/v20180820/jobs", Err("InvalidURI")),
        ];
        for (path, expected) in rows {
            let found = Address::of_tags(path);
            assert!(found.as_ref().is_ok_and(|it| it.scope() == Scope::Tags) == expected.is_ok());
            let found = found.as_ref().map(|address| address.bucket.as_deref().unwrap_or_default());
            assert_eq!(found.map_err(|error| error.code().as_str()), expected, "{path}");
        }
    }

    #[test]
    fn path_style() {
        for host in ["localhost:9000", "127.0.0.1", "[::1]:9000", "s3.example.com", ""] {
            check(host, "/", Some((None, None)));
            check(host, "/b", Some((Some("b"), None)));
            check(host, "/b/", Some((Some("b"), None)));
            check(host, "/b/k", Some((Some("b"), Some("k"))));
            check(host, "/b/env%3A/dev/a%2Fb", Some((Some("b"), Some("env:/dev/a/b"))));
            check(host, "/b/a%252Fb", Some((Some("b"), Some("a%2Fb"))));
            check(host, "/b//k", Some((Some("b"), Some("/k"))));
            check(host, "/b/../k", Some((Some("b"), Some("../k"))));
            check(host, "/b/a+b%20c", Some((Some("b"), Some("a+b c"))));
            check(host, "/b/k/", Some((Some("b"), Some("k/"))));
            check(host, "/b/%FF", None);
            check(host, "/b/%G1", None);
            check(host, "/b/%4", None);
            check(host, "//k", None);
            check(host, "*", None);
        }
    }

    #[test]
    fn virtual_host_style() {
        check("b.s3.example.com", "/", Some((Some("b"), None)));
        check("b.S3.Example.com:9000", "/k/l", Some((Some("b"), Some("k/l"))));
        check("B.c.s3.example.com", "/k", Some((Some("b.c"), Some("k"))));
        check("b.example.com", "//k", Some((Some("b"), Some("/k"))));
        check("bexample.com", "/c/k", Some((Some("c"), Some("k"))));
        check(".example.com", "/c/k", Some((Some("c"), Some("k"))));
    }
}
