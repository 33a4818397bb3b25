//! What a request is about, as far as dispatch and the log need to know.
//!
//! The S3 service parses the address again, strictly, and decides by that; here a name that cannot
//! be decoded is merely logged with its odd bytes replaced.

use percent_encoding::percent_decode_str;
use tidelock_s3::bucket_of_host;

use crate::tfhttp;

/// Path of everything that is Tidelock's own; no bucket can have this name.
pub(crate) const OWN_PREFIX: &str = "/_/";

/// Bucket and key of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether the path is one of Tidelock's own.
    pub(crate) own: bool,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

impl Target {
    /// `path` as sent, `domains` in lower case.
    pub(crate) fn of(host: &str, path: &str, domains: &[String]) -> Self {
        if let Some(bucket) = bucket_of_host(host, domains) {
            // Here the whole path is a key, `/_/` or not.
            return Self {
                own: false,
                bucket: Some(bucket),
                key: decode(path.strip_prefix('/').unwrap_or(path)),
            };
        }
        let own = path.starts_with(OWN_PREFIX);
        let state = path.strip_prefix(tfhttp::PREFIX);
        if own && state.is_none() {
            return Self { own, ..Self::default() };
        }
        let path = state.or(path.strip_prefix('/')).unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self { own, bucket: decode(bucket), key: decode(key) }
    }
}

fn decode(text: &str) -> Option<String> {
    if !text.as_bytes().contains(&b'%') {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_paths_are_own_only_where_they_are_not_keys() {
        let domains = ["s3.test".to_owned(), "test".to_owned()];
        type Row = (&'static str, &'static str, bool, Option<&'static str>, Option<&'static str>);
        let rows: &[Row] = &[
            ("127.0.0.1:9000", "/_/health/live", true, None, None),
            ("s3.test", "/_/metrics", true, None, None),
            ("b.s3.test:443", "/_/metrics", false, Some("b"), Some("_/metrics")),
            ("a.b.test", "//k", false, Some("a.b"), Some("/k")),
            (".s3.test", "/_/metrics", false, Some(".s3"), Some("_/metrics")),
            ("h", "/_/tf/b/env%3A/k", true, Some("b"), Some("env:/k")),
            ("h", "/_/tf", true, None, None),
            ("h", "/", false, None, None),
            ("h", "/b", false, Some("b"), None),
            ("h", "/b/env%3A/k", false, Some("b"), Some("env:/k")),
            ("h", "/_", false, Some("_"), None),
        ];
        for (host, path, own, bucket, key) in rows {
            let expected = Target {
                own: *own,
                bucket: bucket.map(str::to_owned),
                key: key.map(str::to_owned),
            };
            assert_eq!(Target::of(host, path, &domains), expected, "{host} {path}");
        }
    }
}
