//! Headers that have a grammar of their own: what is read of them can be written and read again.

use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tidelock_store::{Controls, ETag};

use crate::conditions::{self, Forms, ReadCondition};
use crate::cors::CorsRequest;
use crate::ops::copy_source::Source;
use crate::xml::documents::{CorsDocument, CorsRule};
use crate::{checksum, date, encryption, etag, object_lock, range, settings, tags};

const SIZES_BYTES: [u64; 4] = [0, 1, 1000, u64::MAX];
/// What HTTP can date: 1970-01-01 and 9999-12-31, in milliseconds since 1970.
const DATES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;
const NOW_MS: i64 = 1_800_000_000_000;

/// The headers of a request, given to all that read some.
pub fn headers(headers: &HeaderMap) {
    check_conditions(headers);
    check_checksums(headers);
    check_encryption(headers);
    let mut controls = Controls::default();
    if object_lock::ask(headers, NOW_MS, &mut controls).is_ok() {
        assert!(controls.retention.is_none_or(|it| it.until_ms > NOW_MS));
    }
    let _ = settings::tags_of(headers);
    check_cors(headers);
    for text in headers.values().filter_map(|value| value.to_str().ok()) {
        check_range(text);
        check_date(text);
        check_tags(text);
        check_copy_source(text);
    }
}

/// AWS's forms are some of all forms, and mean the same; a condition without a value is neither's.
fn check_conditions(headers: &HeaderMap) {
    let all = conditions::write(headers, Forms::All).ok();
    let aws = conditions::write(headers, Forms::Aws).ok();
    assert!(aws.is_none() || aws == all);
    let is_empty = |name| {
        headers.get(name).is_some_and(|it: &HeaderValue| it.as_bytes().trim_ascii().is_empty())
    };
    let has_empty = is_empty(header::IF_MATCH) || is_empty(header::IF_NONE_MATCH);
    assert_eq!(all.is_none(), has_empty);
    let _ = conditions::delete(headers);
    let tag = etag::text(&ETag { md5: [0xAB; 16], parts: None });
    for condition in [ReadCondition::of_object(headers), ReadCondition::of_copy_source(headers)] {
        if condition == ReadCondition::default() {
            assert!(condition.check(&tag, NOW_MS, NOW_MS).is_ok());
        }
        let _ = condition.check(&tag, NOW_MS, NOW_MS);
    }
}

fn check_checksums(headers: &HeaderMap) {
    let _ = checksum::content_md5(headers);
    let _ = checksum::named_type(headers);
    let _ = checksum::request_of(headers);
    if let Ok(Some((algorithm, digest))) = checksum::stated(headers) {
        let algorithm = checksum::Algorithm::of(algorithm);
        assert!(headers.contains_key(algorithm.header()) && !digest.is_empty());
    }
    let names = checksum::trailer_names(headers);
    assert!(names.iter().all(|name| !name.is_empty() && name.trim() == name));
}

/// A part takes the customer's key of a whole write, and nothing is read from a half of one.
fn check_encryption(headers: &HeaderMap) {
    if let (Ok(part), Ok(whole)) =
        (encryption::of_part(headers), encryption::of_completion(headers))
    {
        assert_eq!(part, whole);
    }
    let _ = encryption::of_read(headers);
    let _ = encryption::of_copy_source(headers);
}

/// A rule for everybody answers every page, unless its method is none of ours.
fn check_cors(headers: &HeaderMap) {
    let Some(request) = CorsRequest::of(&Method::GET, headers) else { return };
    let everything = CorsRule {
        methods: vec![String::from("GET")],
        origins: vec![String::from("*")],
        headers: vec![String::from("*")],
        ..CorsRule::default()
    };
    let answer = CorsDocument { rules: vec![everything] }.answer(&request);
    let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_get = method.and_then(|method| method.to_str().ok()).is_none_or(|it| it == "GET");
    assert_eq!(answer.is_some(), is_get);
}

/// Never more than there is, never nothing, and the range that a part of it copies is the same one.
fn check_range(text: &str) {
    for size_bytes in SIZES_BYTES {
        if let Some(wanted) = range::parse(text)
            && let Ok(found) = range::resolve(wanted, size_bytes, text)
        {
            assert!(found.start < found.end && found.end <= size_bytes, "{found:?}");
        }
        if let Ok(found) = range::copy_source(text, size_bytes) {
            let wanted = range::parse(text).unwrap();
            assert_eq!(range::resolve(wanted, size_bytes, text).ok(), Some(found));
        }
    }
}

fn check_date(text: &str) {
    let Some(moment_ms) = date::parse(text) else { return };
    assert_eq!(date::parse_iso8601(&date::iso8601(moment_ms)), Some(moment_ms), "{moment_ms}");
    if DATES_MS.contains(&moment_ms) {
        let second_ms = moment_ms / 1000 * 1000;
        assert_eq!(date::parse(&date::http_date(moment_ms)), Some(second_ms), "{moment_ms}");
    }
}

fn check_tags(text: &str) {
    let Ok(found) = tags::parse_header(text) else { return };
    let pairs = found.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value)));
    let again = pairs.collect::<Vec<_>>().join("&");
    assert_eq!(tags::parse_header(&again).ok(), Some(found), "{again}");
}

fn check_copy_source(text: &str) {
    let Ok(source) = Source::parse(text) else { return };
    let version = source.version_text.iter().map(|version| format!("?versionId={version}"));
    let again = format!("{}/{}", source.bucket, encode(source.key.as_str()));
    let again = again + &version.collect::<String>();
    assert_eq!(Source::parse(&again).ok(), Some(source), "{again}");
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
