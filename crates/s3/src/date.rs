//! The three forms a moment has on the wire: HTTP dates, ISO 8601, and what clients send.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::fmt::strtime;

/// Milliseconds since 1970-01-01T00:00:00Z, as the domain counts.
type UnixMillis = i64;

const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// 0000-01-01T00:00:00Z. What was before has no form of four digits.
const YEAR_0_MS: UnixMillis = -62_167_219_200_000;

/// `Wed, 21 Oct 2015 07:28:00 GMT`, as RFC 9110 §5.6.7 wants it; the fraction is dropped.
pub(crate) fn http_date(millis: UnixMillis) -> String {
    let printed = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp(millis));
    printed.unwrap_or_else(|_| EPOCH.to_owned())
}

/// The `Date` of answers, written once in a second.
#[derive(Default)]
pub(crate) struct DateHeader(Mutex<Option<(i64, HeaderValue)>>);

impl DateHeader {
    /// The date at a moment.
    pub(crate) fn at(&self, millis: UnixMillis) -> HeaderValue {
        let second = millis.div_euclid(1000);
        // Each change is whole: a panic elsewhere leaves nothing half done.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, date)) if *of == second => date.clone(),
            _ => {
                let date = HeaderValue::try_from(http_date(millis));
                let date = date.unwrap_or(HeaderValue::from_static(EPOCH));
                *last = Some((second, date.clone()));
                date
            }
        }
    }
}

/// `2015-10-21T07:28:00.123Z`, as S3's documents have it. AWS writes `.000Z`; with the part of the second `aws s3 sync` uploads
/// nothing twice that was written within the second of its upload.
pub fn iso8601(millis: UnixMillis) -> String {
    let moment = timestamp(millis);
    let civil = jiff::tz::Offset::UTC.to_datetime(moment);
    let Ok(year @ 0..=9999) = u32::try_from(civil.year()) else {
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    };
    // By hand: a page of a listing has a thousand of them.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |end: usize, number: u32| {
        let mut rest = number;
        for digit in text[..end].iter_mut().rev().take_while(|digit| digit.is_ascii_digit()) {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(4, year);
    put(7, civil.month().unsigned_abs().into());
    put(10, civil.day().unsigned_abs().into());
    put(13, civil.hour().unsigned_abs().into());
    put(16, civil.minute().unsigned_abs().into());
    put(19, civil.second().unsigned_abs().into());
    put(23, civil.millisecond().unsigned_abs().into());
    String::from(std::str::from_utf8(&text).unwrap_or_default())
}

/// Reads any of RFC 9110's three forms, or ISO 8601; nothing if it is none of them.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    let text = text.trim();
    let parsed = rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let parsed = parsed.or_else(|| text.parse::<Timestamp>().ok());
    let parsed = parsed.or_else(|| {
        let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        forms.iter().find_map(|form| {
            let civil = strtime::parse(form, text).ok()?.to_datetime().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        })
    });
    parsed.and_then(millis_of)
}

/// Reads ISO 8601 alone.
pub(crate) fn parse_iso8601(text: &str) -> Option<UnixMillis> {
    text.trim().parse::<Timestamp>().ok().and_then(millis_of)
}

/// A moment that can be written as it was read.
fn millis_of(moment: Timestamp) -> Option<UnixMillis> {
    Some(moment.as_millisecond()).filter(|millis| *millis >= YEAR_0_MS)
}

/// A moment outside of what dates can say is shown as the nearest that they can.
fn timestamp(millis: UnixMillis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: UnixMillis = 1_445_412_480_123;

    #[test]
    fn moments_are_written() {
        assert_eq!(http_date(MOMENT), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(iso8601(MOMENT), "2015-10-21T07:28:00.123Z");
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        for millis in [YEAR_0_MS, -1, 1, 951_782_399_999, 951_782_400_000, 253_402_214_399_999] {
            let formatted = timestamp(millis).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
            assert_eq!(iso8601(millis), formatted);
        }
    }

    #[test]
    fn the_date_of_answers_is_that_of_their_moment() {
        let header = DateHeader::default();
        for millis in [MOMENT, MOMENT + 500, MOMENT + 1000, MOMENT, -1] {
            assert_eq!(header.at(millis), http_date(millis), "{millis}");
        }
    }

    #[test]
    fn moments_are_read() {
        let second = MOMENT / 1000 * 1000;
        for (text, expected) in [
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(second)),
            ("Wed, 21 Oct 2015 07:28:00 +0000", Some(second)),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", Some(second)),
            ("Wed Oct 21 07:28:00 2015", Some(second)),
            ("2015-10-21T07:28:00.123Z", Some(MOMENT)),
            ("0000-01-01T00:00:00Z", Some(YEAR_0_MS)),
            ("-000001-12-31T23:59:59Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
