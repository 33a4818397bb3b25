//! The URL of a place for blobs, taken apart. Knows the grammar, and no store.

use std::fmt;
use std::str::FromStr;

use object_store::path::Path;
use percent_encoding::percent_decode_str;

use super::OpenError;

/// Which kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    S3,
    Gs,
    Az,
    File,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::S3, Self::Gs, Self::Az, Self::File];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::File => "file",
        }
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::S3 => &["region", "endpoint", "path_style"],
            Self::Az => &["account"],
            Self::Gs | Self::File => &[],
        }
    }
}

/// A place for blobs. Holds no secret: a URL that could is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) scheme: Scheme,
    /// Bucket or container; the whole path of a directory.
    pub(super) container: String,
    pub(super) prefix: Path,
    parameters: Vec<(&'static str, String)>,
}

impl Location {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl FromStr for Location {
    type Err = OpenError;

    fn from_str(url: &str) -> Result<Self, OpenError> {
        let known = "a place for blobs begins with s3://, gs://, az:// or file://";
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused(known))?;
        let scheme = Scheme::ALL.into_iter().find(|candidate| candidate.name() == scheme);
        let scheme = scheme.ok_or_else(|| refused(known))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('#') || query.contains('#') {
            return Err(refused("a place for blobs has no #fragment"));
        }
        let (container, prefix) = match scheme {
            Scheme::File => (directory(place)?, Path::default()),
            Scheme::S3 | Scheme::Gs | Scheme::Az => bucket_and_prefix(place)?,
        };
        Ok(Self { scheme, container, prefix, parameters: parameters(scheme, query)? })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.name(), self.container)?;
        if !self.prefix.as_ref().is_empty() {
            write!(formatter, "/{}", self.prefix)?;
        }
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            write!(formatter, "{mark}{name}={value}")?;
        }
        Ok(())
    }
}

fn refused(what: &str) -> OpenError {
    OpenError::Url(what.to_owned())
}

fn directory(place: &str) -> Result<String, OpenError> {
    if !place.starts_with('/') {
        return Err(refused("file:// needs an absolute path: file:///srv/blobs"));
    }
    decoded(place)
}

fn bucket_and_prefix(place: &str) -> Result<(String, Path), OpenError> {
    let (container, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if container.is_empty() || !container.bytes().all(is_name) {
        // Neither names it: what stands before an `@` may be a password.
        return Err(refused(
            "after s3://, gs:// or az:// comes the name of a bucket, nothing else",
        ));
    }
    let prefix = Path::parse(decoded(prefix)?)
        .map_err(|_| refused("the prefix has an empty, `.` or `..` segment, or odd characters"))?;
    Ok((container.to_owned(), prefix))
}

fn parameters(scheme: Scheme, query: &str) -> Result<Vec<(&'static str, String)>, OpenError> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = scheme.parameters().iter().find(|known| **known == name);
        let name = *known.ok_or_else(|| unknown(scheme, name))?;
        let value = decoded(value)?;
        if value.is_empty() || found.iter().any(|(before, _)| *before == name) {
            return Err(refused(&format!("{name} has no value, or two")));
        }
        if name == "endpoint" {
            check_endpoint(&value)?;
        }
        found.push((name, value));
    }
    Ok(found)
}

fn unknown(scheme: Scheme, name: &str) -> OpenError {
    let known = match scheme.parameters() {
        [] => "none".to_owned(),
        known => known.join(", "),
    };
    OpenError::Parameter { name: name.to_owned(), scheme: scheme.name(), known }
}

/// An endpoint is scheme, host and port, without a password in it.
fn check_endpoint(endpoint: &str) -> Result<(), OpenError> {
    let authority = endpoint.strip_prefix("https://").or(endpoint.strip_prefix("http://"));
    match authority.map(|authority| authority.trim_end_matches('/')) {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '@', '?']) => Ok(()),
        _ => Err(refused("endpoint is http:// or https://, a host, and a port if need be")),
    }
}

fn decoded(text: &str) -> Result<String, OpenError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| refused("the URL is not UTF-8 behind its escapes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, &str>) {
        match (url.parse::<Location>(), expected) {
            (Ok(found), Ok(shown)) => assert_eq!(found.to_string(), shown, "{url}"),
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{url}: {text}");
                assert!(!text.contains("hunter2"), "{url}: {text}");
            }
            (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn urls_are_taken_apart_or_refused_in_words() {
        check("s3://bucket", Ok("s3://bucket"));
        check("s3://bucket/", Ok("s3://bucket"));
        check("s3://bucket/a/b/", Ok("s3://bucket/a/b"));
        check("s3://b/p?region=eu-west-1", Ok("s3://b/p?region=eu-west-1"));
        check(
            "s3://b?endpoint=http%3A%2F%2Fh:1&path_style=true",
            Ok("s3://b?endpoint=http://h:1&path_style=true"),
        );
        check("gs://bucket/p", Ok("gs://bucket/p"));
        check("az://container?account=it", Ok("az://container?account=it"));
        check("file:///srv/blobs", Ok("file:///srv/blobs"));
        check("s3:/bucket", Err("begins with s3://"));
        check("ftp://bucket", Err("begins with s3://"));
        check("s3://", Err("name of a bucket"));
        check("s3://key:hunter2@bucket", Err("name of a bucket"));
        check("s3://bucket/a//b", Err("segment"));
        check("s3://bucket/../b", Err("segment"));
        check("s3://bucket?secret_access_key=hunter2", Err("region, endpoint, path_style"));
        check("s3://bucket?region=a&region=b", Err("or two"));
        check("s3://bucket?region", Err("no value"));
        check("s3://bucket?endpoint=localhost:9000", Err("http:// or https://"));
        check("s3://bucket?endpoint=http://me:hunter2@h", Err("http:// or https://"));
        check("gs://bucket?endpoint=http://h", Err("takes none"));
        check("file://relative", Err("absolute path"));
        check("s3://bucket#part", Err("fragment"));
    }
}
