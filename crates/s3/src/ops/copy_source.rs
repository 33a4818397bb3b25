//! `x-amz-copy-source`: what CopyObject and UploadPartCopy copy.

use percent_encoding::percent_decode_str;
use tidelock_store::{
    BucketName, CopyError, CopySource, CustomerKey, ObjectInfo, ObjectKey, VersionSelector,
};

use crate::call::{Call, parse_bucket, parse_key, parse_version};
use crate::conditions::ReadCondition;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::service::COPY_SOURCE;
use crate::{encryption, etag};

const VERSION: &str = "?versionId=";

/// A source whose names are valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) bucket: BucketName,
    pub(crate) key: ObjectKey,
    pub(crate) version: Option<VersionSelector>,
    pub(crate) version_text: Option<String>,
    customer_key: Option<CustomerKey>,
}

impl Source {
    /// The source that a call names.
    pub(super) fn of(call: &Call<'_>) -> S3Result<Self> {
        let source = Self::parse(call.header(COPY_SOURCE).unwrap_or_default())?;
        Ok(Self { customer_key: encryption::of_copy_source(&call.headers)?, ..source })
    }

    /// `[/]bucket/key[?versionId=id]`, bucket and key percent-encoded, and a space as `+`, too: some
    /// clients send it so, and AWS takes it so (a key with a plus needs `%2B`).
    pub(crate) fn parse(header: &str) -> S3Result<Self> {
        let (path, version_text) = match header.rsplit_once(VERSION) {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (header, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path).replace('+', " ");
        let path = percent_decode_str(&path).decode_utf8();
        let path = path.map_err(|_| malformed(header))?;
        let (bucket, key) = path.split_once('/').ok_or_else(|| malformed(header))?;
        if bucket.is_empty() || key.is_empty() {
            return Err(malformed(header));
        }
        let version = version_text.as_deref().map(parse_version).transpose()?;
        let (bucket, key) = (parse_bucket(bucket)?, parse_key(key)?);
        Ok(Self { bucket, key, version, version_text, customer_key: None })
    }

    /// The source in the domain's words.
    pub(super) fn as_copy_source(&self) -> CopySource<'_> {
        let customer_key = self.customer_key.as_ref();
        CopySource { bucket: &self.bucket, key: &self.key, version: self.version, customer_key }
    }

    /// Whether this is the object itself, as it is now.
    pub(super) fn is_current(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        self.version.is_none() && self.bucket == *bucket && self.key == *key
    }

    /// Adds to a refusal of the source what it is about.
    pub(super) fn refusal(&self, error: CopyError) -> S3Error {
        match error {
            CopyError::Source(_) => self.refused(error.into()),
            CopyError::Destination(_) | CopyError::Part(_) => error.into(),
        }
    }

    /// The same of a refusal that is known to be of the source.
    pub(crate) fn refused(&self, error: S3Error) -> S3Error {
        let error = error.of_copy_source();
        match error.code() {
            ErrorCode::NoSuchBucket => error.field("BucketName", self.bucket.as_str()),
            ErrorCode::NoSuchKey => error.field("Key", self.key.as_str()),
            ErrorCode::NoSuchVersion => error
                .field("Key", self.key.as_str())
                .field("VersionId", self.version_text.clone().unwrap_or_default()),
            _ => error,
        }
    }
}

/// The source that a call names, if it names one that can be.
pub(crate) fn named(call: &Call<'_>) -> Option<Source> {
    Source::parse(call.header(COPY_SOURCE)?).ok()
}

/// Holds the source against the conditions of a call.
pub(super) fn check(condition: &ReadCondition, info: &ObjectInfo, now_ms: i64) -> S3Result<()> {
    let tag = etag::text(&info.etag);
    let checked = condition.check(&tag, info.modified_ms, now_ms);
    checked.map_err(|failure| failure.of_copy_source())
}

fn malformed(header: &str) -> S3Error {
    S3Error::invalid_argument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        COPY_SOURCE.as_str(),
        header,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let check = |header: &str, expected: Option<(&str, &str, bool)>| {
            let source = Source::parse(header).ok();
            let shown = source.as_ref().map(|source| {
                (source.bucket.as_str(), source.key.as_str(), source.version.is_some())
            });
            assert_eq!(shown, expected, "{header}");
        };
        let version = "0".repeat(32);
        check("bucket/key", Some(("bucket", "key", false)));
        check("/bucket/a/b%2Fc%20d", Some(("bucket", "a/b/c d", false)));
        check("bucket%2Fkey", Some(("bucket", "key", false)));
        check("bucket/a%3Fb", Some(("bucket", "a?b", false)));
        check("bucket/a+b%2Bc", Some(("bucket", "a b+c", false)));
        check(&format!("bucket/key?versionId={version}"), Some(("bucket", "key", true)));
        check("bucket/key?versionId=null", Some(("bucket", "key", true)));
        check("bucket/key?versionId=x", None);
        check("bucket", None);
        check("bucket/", None);
        check("/", None);
        check("bucket/%FF", None);
    }
}
