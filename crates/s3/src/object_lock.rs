//! What the headers of requests and answers say of Object Lock
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>).
//!
//! Whether a bucket has Object Lock, the commit decides.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidelock_store::{BucketName, Controls, Governance, ObjectKey, Retention, VersionSelector};

use crate::access::{Asked, Need};
use crate::call::Call;
use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::xml::documents::{mode_of_text, mode_text};

pub(crate) const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const RETAIN_UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
pub(crate) const LEGAL_HOLD: HeaderName = HeaderName::from_static("x-amz-object-lock-legal-hold");
/// Of a bucket that is made with Object Lock.
pub(crate) const OF_BUCKET: &str = "x-amz-bucket-object-lock-enabled";
const BYPASS: &str = "x-amz-bypass-governance-retention";

/// Reads into `controls` how a write asks its object to be locked.
///
/// # Errors
///
/// `InvalidArgument` for half a retention, a mode or status that does not exist, and a date that is none or
/// is past.
pub(crate) fn ask(headers: &HeaderMap, now_ms: i64, controls: &mut Controls) -> S3Result<()> {
    controls.retention = match (text(headers, &MODE), text(headers, &RETAIN_UNTIL)) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let unknown =
                || S3Error::invalid_argument("Unknown wormMode directive.", MODE.as_str(), mode);
            let mode = mode_of_text(mode).ok_or_else(unknown)?;
            let malformed = "The retain until date must be provided in ISO 8601 format";
            let until_ms = date::parse_iso8601(until).ok_or_else(|| {
                S3Error::invalid_argument(malformed, RETAIN_UNTIL.as_str(), until)
            })?;
            check_future(until_ms, now_ms, until)?;
            Some(Retention { mode, until_ms })
        }
        (mode, until) => {
            let (missing, there) =
                if mode.is_some() { (MODE, mode) } else { (RETAIN_UNTIL, until) };
            return Err(S3Error::invalid_argument(
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
                missing.as_str(),
                there.unwrap_or_default(),
            ));
        }
    };
    controls.legal_hold = match text(headers, &LEGAL_HOLD) {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(other) => {
            return Err(S3Error::invalid_argument(
                "Legal Hold must be either of 'ON' or 'OFF'",
                LEGAL_HOLD.as_str(),
                other,
            ));
        }
    };
    Ok(())
}

/// Refuses a retention that has ended already.
pub(crate) fn check_future(until_ms: i64, now_ms: i64, shown: &str) -> S3Result<()> {
    if until_ms > now_ms {
        return Ok(());
    }
    let message = "The retain until date must be in the future!";
    Err(S3Error::invalid_argument(message, RETAIN_UNTIL.as_str(), shown))
}

/// Refuses locks on a body that nothing says the digest of, as AWS does.
pub(crate) fn check_unchecked(controls: &Controls) -> S3Result<()> {
    if controls.retention.is_none() && controls.legal_hold.is_none() {
        return Ok(());
    }
    Err(S3Error::invalid_request(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock \
         parameters",
    ))
}

/// Puts on an answer how its object is locked.
pub(crate) fn write(headers: &mut HeaderMap, controls: &Controls) {
    if let Some(retention) = controls.retention {
        headers.insert(MODE, HeaderValue::from_static(mode_text(retention.mode)));
        if let Ok(until) = HeaderValue::from_str(&date::iso8601(retention.until_ms)) {
            headers.insert(RETAIN_UNTIL, until);
        }
    }
    if let Some(held) = controls.legal_hold {
        headers.insert(LEGAL_HOLD, HeaderValue::from_static(status_text(held)));
    }
}

/// The status of a legal hold.
pub(crate) fn status_text(held: bool) -> &'static str {
    if held { "ON" } else { "OFF" }
}

/// What AWS answers to a delete that asks to bypass governance where nothing can be retained; taken, as tools
/// send it with every delete, but for the strict lane.
///
/// # Errors
///
/// `InvalidArgument`.
pub(crate) async fn check_bypass(call: &Call<'_>, bucket: &BucketName) -> S3Result<()> {
    if !call.service.config.strict_aws_conditions || !call.headers.contains_key(BYPASS) {
        return Ok(());
    }
    match call.store().look_at_access(bucket).await? {
        Some(access) if !access.has_object_lock => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
        )
        .field("ArgumentName", BYPASS)),
        Some(_) | None => Ok(()),
    }
}

/// Whether a request may remove or shorten what is retained in governance mode: it asks for it, and may
/// (`s3:BypassGovernanceRetention`).
pub(crate) async fn governance(
    call: &Call<'_>,
    (bucket, key, version): (&BucketName, &ObjectKey, Option<VersionSelector>),
) -> Governance {
    let asks = call.header(BYPASS).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let object = Some((key, version));
    let need = Need::BYPASS_GOVERNANCE_RETENTION;
    let asked = Asked { need, bucket, object, more_keys: &[] };
    match asks && call.decide(&asked).await.is_ok() {
        true => Governance::Bypassed,
        false => Governance::Heeded,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tidelock_store::RetentionMode;

    use super::*;

    const NOW_MS: i64 = 1_000_000;

    #[test]
    fn headers_are_read_or_refused() {
        let check = |pairs: &[(HeaderName, &'static str)],
                     expected: Option<(bool, Option<bool>)>| {
            let pairs = pairs.iter().cloned();
            let headers =
                pairs.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
            let mut controls = Controls::default();
            let asked = ask(&headers, NOW_MS, &mut controls).ok();
            let shown = asked.map(|()| (controls.retention.is_some(), controls.legal_hold));
            assert_eq!(shown, expected, "{headers:?}");
            if expected.is_some() {
                let mut back = HeaderMap::new();
                write(&mut back, &controls);
                assert_eq!(back, headers);
            }
        };
        let later = "2030-01-01T00:00:00.000Z";
        check(&[], Some((false, None)));
        check(&[(LEGAL_HOLD, "ON")], Some((false, Some(true))));
        check(&[(LEGAL_HOLD, "OFF")], Some((false, Some(false))));
        check(&[(LEGAL_HOLD, "on")], None);
        check(&[(MODE, "GOVERNANCE"), (RETAIN_UNTIL, later)], Some((true, None)));
        check(&[(MODE, "governance"), (RETAIN_UNTIL, later)], None);
        check(&[(MODE, "COMPLIANCE")], None);
        check(&[(RETAIN_UNTIL, later)], None);
        check(&[(MODE, "COMPLIANCE"), (RETAIN_UNTIL, "1970-01-01T00:00:01Z")], None);
        check(&[(MODE, "COMPLIANCE"), (RETAIN_UNTIL, "tomorrow")], None);
        assert_eq!(mode_of_text("COMPLIANCE"), Some(RetentionMode::Compliance));
    }
}
