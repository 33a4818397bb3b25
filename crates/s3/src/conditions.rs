//! Conditional headers: what they ask for, and whether a read may go on.
//!
//! Whether a write may is decided in its commit, by the domain; here only the forms are read, and
//! where AWS's own answers are wanted, the forms AWS refuses are refused
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tidelock_store::{DeleteCondition, ETagMatch, WriteCondition};

use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};

/// Conditions that only directory buckets know.
const FOREIGN_DELETE_CONDITIONS: [&str; 2] =
    ["x-amz-if-match-last-modified-time", "x-amz-if-match-size"];
/// Conditions of a read, in the order in which [`ReadCondition::of`] takes their names.
const OF_OBJECT: [HeaderName; 4] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];
/// The same, of what is copied.
const OF_COPY_SOURCE: [HeaderName; 4] = [
    HeaderName::from_static("x-amz-copy-source-if-match"),
    HeaderName::from_static("x-amz-copy-source-if-none-match"),
    HeaderName::from_static("x-amz-copy-source-if-modified-since"),
    HeaderName::from_static("x-amz-copy-source-if-unmodified-since"),
];

/// Which forms of a write's conditions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forms {
    /// Every form has its meaning of RFC 9110: entity tags and `*` in either header, and both
    /// headers together.
    All,
    /// Those that AWS takes: `If-None-Match: *` or `If-Match` with an entity tag, one of the two.
    Aws,
}

/// The conditions of a PutObject, CopyObject or CompleteMultipartUpload.
///
/// # Errors
///
/// 501 `NotImplemented` for the forms AWS refuses, existing object or not; 400 for a header without a value,
/// which asks for nothing that could be kept.
pub(crate) fn write(headers: &HeaderMap, forms: Forms) -> S3Result<WriteCondition> {
    refuse_empty(headers, &[header::IF_MATCH, header::IF_NONE_MATCH])?;
    let if_match = etags(headers, header::IF_MATCH);
    let if_none_match = etags(headers, header::IF_NONE_MATCH);
    if forms == Forms::Aws {
        match (&if_match, &if_none_match) {
            (Some(_), Some(_)) => {
                return Err(refused(
                    "If-Match,If-None-Match",
                    "Multiple conditional request headers present in the request",
                ));
            }
            (Some(ETagMatch::Any), None) => {
                return Err(refused(
                    "If-Match",
                    "We don't accept the provided value of If-Match header for this API",
                ));
            }
            (None, Some(ETagMatch::OneOf(_))) => {
                return Err(refused(
                    "If-None-Match",
                    "We don't accept the provided value of If-None-Match header for this API",
                ));
            }
            (None, None | Some(ETagMatch::Any)) | (Some(ETagMatch::OneOf(_)), None) => {}
        }
    }
    Ok(WriteCondition { if_match, if_none_match })
}

/// The conditions of a DeleteObject.
///
/// # Errors
///
/// 501 `NotImplemented` naming the first condition that only directory buckets know; 400 for an empty one.
pub(crate) fn delete(headers: &HeaderMap) -> S3Result<DeleteCondition> {
    refuse_empty(headers, &[header::IF_MATCH])?;
    match FOREIGN_DELETE_CONDITIONS.into_iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(S3Error::header_not_implemented(name)),
        None => {
            let if_match = etags(headers, header::IF_MATCH);
            Ok(DeleteCondition { if_match, ..DeleteCondition::default() })
        }
    }
}

/// The conditions of a read, of an object or of the source of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReadCondition {
    if_match: Option<ETagMatch>,
    if_none_match: Option<ETagMatch>,
    if_modified_since_s: Option<i64>,
    if_unmodified_since_s: Option<i64>,
}

/// Which condition of a read does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFailure {
    Match,
    UnmodifiedSince,
    NoneMatch,
    ModifiedSince,
}

impl ReadCondition {
    /// Of GetObject and HeadObject.
    pub(crate) fn of_object(headers: &HeaderMap) -> Self {
        Self::of(headers, OF_OBJECT)
    }

    /// Of CopyObject's and UploadPartCopy's source.
    pub(crate) fn of_copy_source(headers: &HeaderMap) -> Self {
        Self::of(headers, OF_COPY_SOURCE)
    }

    fn of(headers: &HeaderMap, names: [HeaderName; 4]) -> Self {
        let second = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            date::parse(text).map(|millis| millis.div_euclid(1000))
        };
        let [if_match, if_none_match, if_modified_since, if_unmodified_since] = names;
        Self {
            if_match: etags(headers, if_match),
            if_none_match: etags(headers, if_none_match),
            if_modified_since_s: second(if_modified_since),
            if_unmodified_since_s: second(if_unmodified_since),
        }
    }

    /// In AWS's order: If-Match, If-Unmodified-Since (only without the first), If-None-Match,
    /// If-Modified-Since (only without the third). Times count in whole seconds, and an
    /// If-Modified-Since in the future is ignored.
    pub(crate) fn check(
        &self,
        etag: &str,
        modified_ms: i64,
        now_ms: i64,
    ) -> Result<(), ReadFailure> {
        let modified_s = modified_ms.div_euclid(1000);
        match (&self.if_match, self.if_unmodified_since_s) {
            (Some(wanted), _) if !covers(wanted, etag) => return Err(ReadFailure::Match),
            (None, Some(since_s)) if modified_s > since_s => {
                return Err(ReadFailure::UnmodifiedSince);
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since_s) {
            (Some(unwanted), _) if covers(unwanted, etag) => Err(ReadFailure::NoneMatch),
            (None, Some(since_s))
                if modified_s <= since_s && since_s <= now_ms.div_euclid(1000) =>
            {
                Err(ReadFailure::ModifiedSince)
            }
            _ => Ok(()),
        }
    }
}

impl ReadFailure {
    /// How GetObject and HeadObject answer: 412 or 304.
    pub(crate) fn of_object(self) -> S3Error {
        match self {
            Self::Match => condition_failed("If-Match"),
            Self::UnmodifiedSince => condition_failed("If-Unmodified-Since"),
            Self::NoneMatch | Self::ModifiedSince => S3Error::new(ErrorCode::NotModified),
        }
    }

    /// How a copy answers: always 412, in AWS's own capitals.
    pub(crate) fn of_copy_source(self) -> S3Error {
        condition_failed(match self {
            Self::Match => "x-amz-copy-source-If-Match",
            Self::UnmodifiedSince => "x-amz-copy-source-If-Unmodified-Since",
            Self::NoneMatch => "x-amz-copy-source-If-None-Match",
            Self::ModifiedSince => "x-amz-copy-source-If-Modified-Since",
        })
    }
}

/// 412 naming the condition.
pub(crate) fn condition_failed(condition: &'static str) -> S3Error {
    S3Error::new(ErrorCode::PreconditionFailed).field("Condition", condition)
}

/// Reads one entity tag of a document or header: quotes are optional, `*` is any.
pub(crate) fn parse_etags(text: &str) -> ETagMatch {
    if text.trim() == "*" {
        return ETagMatch::Any;
    }
    ETagMatch::OneOf(text.split(',').map(|etag| unquoted(etag).to_owned()).collect())
}

/// An entity tag without its quotes and without the mark of a weak one: objects have strong ones only,
/// and RFC 9110 §8.8.3.2 lets them be compared weakly.
pub(crate) fn unquoted(etag: &str) -> &str {
    let etag = etag.trim();
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    let quoted = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
    quoted.unwrap_or(etag)
}

/// Whether the value of a condition is `*`.
pub(crate) fn is_any(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii() == b"*"
}

fn refuse_empty(headers: &HeaderMap, names: &[HeaderName]) -> S3Result<()> {
    let is_empty = |name: &&HeaderName| {
        headers.get(*name).is_some_and(|it| it.as_bytes().trim_ascii().is_empty())
    };
    match names.iter().find(is_empty) {
        Some(name) => {
            let message = "A conditional header must have a value";
            Err(S3Error::invalid_argument(message, name.as_str(), ""))
        }
        None => Ok(()),
    }
}

fn etags(headers: &HeaderMap, name: HeaderName) -> Option<ETagMatch> {
    // A value that is not text is compared, and equals nothing.
    headers.get(name).map(|value| parse_etags(&String::from_utf8_lossy(value.as_bytes())))
}

fn covers(wanted: &ETagMatch, etag: &str) -> bool {
    match wanted {
        ETagMatch::Any => true,
        ETagMatch::OneOf(texts) => texts.iter().any(|text| text == etag),
    }
}

fn refused(header: &'static str, additional_message: &'static str) -> S3Error {
    S3Error::header_not_implemented(header).field("additionalMessage", additional_message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn writes_take_the_forms_they_should() {
        let check = |pairs: &[(&'static str, &'static str)], aws: Result<(), &str>| {
            assert!(write(&headers(pairs), Forms::All).is_ok(), "{pairs:?}");
            let result = write(&headers(pairs), Forms::Aws).map(|_| ());
            let result = result.map_err(|error| error.extra()[0].1.clone());
            assert_eq!(result, aws.map_err(str::to_owned), "{pairs:?}");
        };
        check(&[], Ok(()));
        check(&[("if-none-match", "*")], Ok(()));
        check(&[("if-match", "\"abc\"")], Ok(()));
        check(&[("if-match", "bad-char_/")], Ok(()));
        check(&[("if-none-match", "\"abc\"")], Err("If-None-Match"));
        check(&[("if-match", "*")], Err("If-Match"));
        check(&[("if-match", "abc"), ("if-none-match", "*")], Err("If-Match,If-None-Match"));
    }

    #[test]
    fn deletes_refuse_foreign_conditions() {
        let check = |pairs: &[(&'static str, &'static str)], expected: Result<bool, &str>| {
            let result = delete(&headers(pairs)).map(|condition| condition.if_match.is_some());
            let result = result.map_err(|error| error.extra()[0].1.clone());
            assert_eq!(result, expected.map_err(str::to_owned), "{pairs:?}");
        };
        check(&[], Ok(false));
        check(&[("if-match", "*")], Ok(true));
        check(&[("x-amz-if-match-size", "3")], Err("x-amz-if-match-size"));
        check(
            &[("x-amz-if-match-size", "3"), ("x-amz-if-match-last-modified-time", "x")],
            Err("x-amz-if-match-last-modified-time"),
        );
    }

    #[test]
    fn etags_are_read() {
        let one = |texts: &[&str]| {
            ETagMatch::OneOf(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        assert_eq!(parse_etags("*"), ETagMatch::Any);
        assert_eq!(parse_etags("\"a\""), one(&["a"]));
        assert_eq!(parse_etags("a"), one(&["a"]));
        assert_eq!(parse_etags("W/\"a\""), one(&["a"]));
        assert_eq!(parse_etags("\"a\", \"b\""), one(&["a", "b"]));
    }

    const MODIFIED_MS: i64 = 1_445_412_480_500;
    const BEFORE: &str = "Wed, 21 Oct 2015 07:27:59 GMT";
    const EQUAL: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    const AFTER: &str = "Wed, 21 Oct 2015 07:28:01 GMT";
    const FUTURE: &str = "Wed, 21 Oct 2115 07:28:01 GMT";

    #[test]
    fn reads_are_decided_in_order() {
        use ReadFailure::{Match, ModifiedSince, NoneMatch, UnmodifiedSince};
        let check = |pairs: &[(&'static str, &'static str)], expected: Result<(), ReadFailure>| {
            let now_ms = MODIFIED_MS + 60_000;
            let plain = ReadCondition::of_object(&headers(pairs));
            assert_eq!(plain.check("e", MODIFIED_MS, now_ms), expected, "{pairs:?}");
            let mut prefixed = HeaderMap::new();
            for (name, value) in pairs {
                let name = format!("x-amz-copy-source-{name}");
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                prefixed.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(ReadCondition::of_copy_source(&prefixed), plain, "{pairs:?}");
        };
        check(&[], Ok(()));
        check(&[("if-match", "e")], Ok(()));
        check(&[("if-match", "*")], Ok(()));
        check(&[("if-match", "f")], Err(Match));
        check(&[("if-none-match", "f")], Ok(()));
        check(&[("if-none-match", "\"e\"")], Err(NoneMatch));
        check(&[("if-unmodified-since", BEFORE)], Err(UnmodifiedSince));
        check(&[("if-unmodified-since", EQUAL)], Ok(()));
        check(&[("if-modified-since", BEFORE)], Ok(()));
        check(&[("if-modified-since", EQUAL)], Err(ModifiedSince));
        check(&[("if-modified-since", AFTER)], Err(ModifiedSince));
        check(&[("if-modified-since", FUTURE)], Ok(()));
        check(&[("if-modified-since", "nonsense")], Ok(()));
        check(&[("if-match", "e"), ("if-unmodified-since", BEFORE)], Ok(()));
        check(&[("if-match", "f"), ("if-none-match", "e")], Err(Match));
        check(&[("if-none-match", "e"), ("if-modified-since", BEFORE)], Err(NoneMatch));
        check(&[("if-unmodified-since", BEFORE), ("if-none-match", "e")], Err(UnmodifiedSince));
    }
}
