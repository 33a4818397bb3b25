//! The date of a request, in the one form that signatures use.
//!
//! Knows no clock: what time it is now is the caller's to say.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// `yyyyMMdd'T'HHmmss'Z'`, and the instant it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AmzDate {
    basic: [u8; 16],
    instant: Timestamp,
}

impl AmzDate {
    /// Reads ISO 8601's basic form, as in `x-amz-date`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let basic: [u8; 16] = text.try_into().ok()?;
        if basic[8] != b'T' || basic[15] != b'Z' {
            return None;
        }
        let two = |at: usize| number(&basic[at..at + 2]);
        let year = number(&basic[..4])?;
        let [month, day, hour, minute, second] =
            [two(4)?, two(6)?, two(9)?, two(11)?, two(13)?].map(|part| part as i8);
        let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let instant = TimeZone::UTC.to_timestamp(civil).ok()?;
        Some(Self { basic, instant })
    }

    /// Reads the `Date` header: basic ISO 8601, or the date form of HTTP (RFC 9110, 5.6.7).
    pub(crate) fn parse_date_header(text: &[u8]) -> Option<Self> {
        let http_date = || {
            let text = std::str::from_utf8(text).ok()?;
            let instant = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Self::at(instant)
        };
        Self::parse(text).or_else(http_date)
    }

    /// The date of an instant; none outside the years 0 to 9999, which the form cannot hold.
    pub(crate) fn at(instant: Timestamp) -> Option<Self> {
        let civil = Offset::UTC.to_datetime(instant);
        let mut basic = *b"00000000T000000Z";
        let year = u16::try_from(civil.year()).ok()?;
        digits(&mut basic[..4], year);
        let parts = [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()];
        for (at, part) in [4, 6, 9, 11, 13].into_iter().zip(parts) {
            digits(&mut basic[at..at + 2], u16::from(part.unsigned_abs()));
        }
        Some(Self { basic, instant })
    }

    /// 1970-01-01T00:00:00Z.
    pub(crate) fn epoch() -> Self {
        Self { basic: *b"19700101T000000Z", instant: Timestamp::UNIX_EPOCH }
    }

    /// The instant, in whole seconds.
    pub(crate) fn instant(&self) -> Timestamp {
        self.instant
    }

    /// The whole date and time.
    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.basic).unwrap_or_default()
    }

    /// `yyyyMMdd`: the day that the credential scope must name.
    pub(crate) fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }
}

/// Whether `text` has the form of a scope's day.
pub(crate) fn is_day(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of at most four digits; none if a byte is no digit.
fn number(text: &[u8]) -> Option<i16> {
    text.iter().try_fold(0, |sum: i16, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i16::from(byte - b'0'))
    })
}

/// Writes `value` into `out`, with leading zeros.
fn digits(out: &mut [u8], mut value: u16) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let rows: &[(&str, Option<i64>)] = &[
            ("20130524T000000Z", Some(1_369_353_600)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("Fri, 24 May 2013 00:00:00 GMT", Some(1_369_353_600)),
            ("20230229T000000Z", None),
            ("20130524T000000", None),
            ("20130524 000000Z", None),
            ("2013-05-24T00:00:00Z", None),
            ("201305240000000Z", None),
            ("+0130524T000000Z", None),
            ("", None),
        ];
        for (text, seconds) in rows {
            let date = AmzDate::parse_date_header(text.as_bytes());
            assert_eq!(date.map(|date| date.instant().as_second()), *seconds, "{text}");
            if let Some(date) = date {
                assert_eq!(AmzDate::at(date.instant()), Some(date), "{text}");
                assert_eq!(AmzDate::parse(date.as_str().as_bytes()), Some(date), "{text}");
            }
        }
    }
}
