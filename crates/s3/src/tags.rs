//! Tags of buckets and objects: AWS's rules for what one may be, from XML or from `x-amz-tagging`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>

use std::collections::HashSet;

use tidelock_store::BUCKET_TAGS_MAX;

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::query::Query;

/// Keys and values, sorted by key as AWS lists them.
pub(crate) type Tags = Vec<(String, String)>;

const OBJECT_TAGS_MAX: usize = 10;
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
const TOO_MANY_OF_BUCKET: &str = "Bucket tag count cannot be greater than 50";
const SYSTEM_PREFIX: &str = "aws:";

/// What is tagged; the limits and the wording differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tagged {
    /// A bucket, as it is made.
    NewBucket,
    Bucket,
    Object,
}

/// What a bucket is told that would have more tags than it may.
pub(crate) fn too_many() -> S3Error {
    S3Error::with_message(ErrorCode::InvalidTag, TOO_MANY_OF_BUCKET)
}

/// Checks a set of tags and sorts it.
pub(crate) fn validate(mut tags: Tags, tagged: Tagged) -> S3Result<Tags> {
    let (tags_max, too_many, system) = match tagged {
        Tagged::NewBucket => (
            BUCKET_TAGS_MAX,
            TOO_MANY_OF_BUCKET,
            "User-defined tag keys can't start with \"aws:\". This prefix is reserved for system tags. \
             Remove \"aws:\" from your tag keys and try again.",
        ),
        Tagged::Bucket => (
            BUCKET_TAGS_MAX,
            TOO_MANY_OF_BUCKET,
            "System tags cannot be added/updated by requester",
        ),
        Tagged::Object => (
            OBJECT_TAGS_MAX,
            "Object tags cannot be greater than 10",
            "Your TagKey cannot be prefixed with aws:",
        ),
    };
    if tags.len() > tags_max {
        return Err(S3Error::with_message(ErrorCode::InvalidTag, too_many));
    }
    let mut seen = HashSet::new();
    for (key, value) in &tags {
        if !is_legal_key(key) {
            return Err(invalid("The TagKey you have provided is invalid", key));
        }
        if !is_legal_value(value) {
            let error = invalid("The TagValue you have provided is invalid", key);
            return Err(error.field("TagValue", value));
        }
        if key.starts_with(SYSTEM_PREFIX) {
            return Err(match tagged {
                Tagged::NewBucket => S3Error::with_message(ErrorCode::InvalidTag, system),
                Tagged::Bucket | Tagged::Object => invalid(system, key),
            });
        }
        if !seen.insert(key) {
            return Err(invalid("Cannot provide multiple Tags with the same key", key));
        }
    }
    tags.sort();
    Ok(tags)
}

/// Reads the `x-amz-tagging` header: URL query parameters. What is not legal in a tag is here a fault of
/// the header, in AWS's answers.
pub(crate) fn parse_header(header: &str) -> S3Result<Tags> {
    let malformed = || {
        S3Error::invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
             parameters without tag name duplicates.",
            "x-amz-tagging",
            header,
        )
    };
    let query = Query::parse(header).map_err(|_| malformed())?;
    let mut seen = HashSet::new();
    let legal = |(key, value)| is_legal_key(key) && is_legal_value(value) && seen.insert(key);
    if !query.pairs().all(legal) {
        return Err(malformed());
    }
    let tags = query.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    validate(tags, Tagged::Object)
}

fn invalid(message: &'static str, key: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidTag, message).field("TagKey", key)
}

fn is_legal_key(key: &str) -> bool {
    !key.is_empty() && is_legal(key, TAG_KEY_CHARS_MAX)
}

fn is_legal_value(value: &str) -> bool {
    is_legal(value, TAG_VALUE_CHARS_MAX)
}

fn is_legal(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max
        && text
            .chars()
            .all(|char| char.is_alphanumeric() || char == ' ' || "+-=._:/@".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &[(&str, &str)], tagged: Tagged, expected: Result<&[(&str, &str)], &str>) {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let result = validate(tags.iter().map(owned).collect(), tagged);
        let expected = expected.map(|tags| tags.iter().map(owned).collect::<Tags>());
        assert_eq!(result.map_err(|e| e.message().to_owned()), expected.map_err(str::to_owned));
    }

    #[test]
    fn tags_are_validated() {
        use Tagged::{Bucket, Object};
        check(&[("foo", "bar"), ("bar", "")], Object, Ok(&[("bar", ""), ("foo", "bar")]));
        check(&[("ü x", "a/b@c")], Bucket, Ok(&[("ü x", "a/b@c")]));
        check(&[("", "")], Object, Err("The TagKey you have provided is invalid"));
        check(&[("a,b", "")], Object, Err("The TagKey you have provided is invalid"));
        check(&[("a", "b,c")], Bucket, Err("The TagValue you have provided is invalid"));
        check(&[("aws:a", "")], Object, Err("Your TagKey cannot be prefixed with aws:"));
        check(&[("aws:a", "")], Bucket, Err("System tags cannot be added/updated by requester"));
        check(
            &[("a", "1"), ("a", "2")],
            Bucket,
            Err("Cannot provide multiple Tags with the same key"),
        );
        let eleven = [("k", ""); 11];
        check(&eleven, Object, Err("Object tags cannot be greater than 10"));
    }

    #[test]
    fn headers_are_read() {
        let tags = parse_header("foo=b%20r&bar").unwrap();
        assert_eq!(tags, [("bar".into(), String::new()), ("foo".into(), "b r".to_owned())]);
        for header in ["a=1&a=2", "a=1,b=2", "a,b", "=1"] {
            let error = parse_header(header).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{header}");
        }
        assert_eq!(parse_header("").unwrap(), []);
    }
}
