//! How times, sizes and addresses are written for people.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use tidelock_client::state::Value;

use crate::PREFIX;

/// RFC 3986 unreserved characters stay.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// When a page is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// A time as a page shows it: how long ago, and the whole of it for whoever points at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) ago: String,
    pub(crate) at: String,
}

impl Moment {
    /// A time in ISO 8601, as seen from here.
    pub(crate) fn told(self, at: &str) -> Told {
        let ago = at.parse::<Timestamp>().map(|then| self.ago(then));
        Told { ago: ago.unwrap_or_else(|_| at.to_owned()), at: at.to_owned() }
    }

    fn ago(self, then: Timestamp) -> String {
        let seconds = self.0.as_second() - then.as_second();
        let unit = |count: i64, unit: &str| format!("{count} {unit}");
        match seconds {
            ..-60 => "in the future".to_owned(),
            -60..10 => "just now".to_owned(),
            10..60 => format!("{} ago", unit(seconds, "s")),
            60..3_600 => format!("{} ago", unit(seconds / 60, "min")),
            3_600..172_800 => format!("{} ago", unit(seconds / 3_600, "h")),
            172_800.. => format!("{} ago", unit(seconds / 86_400, "d")),
        }
    }
}

/// Bytes, in the largest unit that leaves a number before the point.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: &[(&str, u64)] = &[("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    match unit {
        None => format!("{bytes} B"),
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// What of an ARN tells people apart: `user/ann`, `assumed-role/ci/run-7`, `root`.
pub(crate) fn short_arn(arn: &str) -> &str {
    match arn.splitn(6, ':').nth(5) {
        Some(name) => name,
        None => arn,
    }
}

/// `text` as it stands in a query.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The path of a page with fields in its query.
pub(crate) fn place(page: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("{PREFIX}{page}?{}", fields.collect::<Vec<_>>().join("&"))
}

/// A word of a command line, quoted where a shell would take it apart.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `BUCKET/KEY` of a command line.
pub(crate) fn address(bucket: &str, key: &str) -> String {
    quoted(&format!("{bucket}/{key}"))
}

/// A value of a state.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Masked => "(sensitive value)".to_owned(),
        Value::Json(json) => json.clone(),
        Value::Long { bytes } => format!("({bytes} bytes)"),
    }
}

/// A time that is still to come, to the minute: `2026-12-01 13:40 UTC`.
pub(crate) fn minute(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// JSON, laid out for people; a text that is none as it is.
pub(crate) fn json(text: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
    parsed.and_then(|it| serde_json::to_string_pretty(&it).ok()).unwrap_or_else(|| text.to_owned())
}

/// What the operation of a lock is, in a word: `apply` of `OperationTypeApply`.
pub(crate) fn operation(words: &str) -> String {
    let word = words.strip_prefix("OperationType").unwrap_or(words);
    if word.is_empty() { "unknown".to_owned() } else { word.to_lowercase() }
}

/// The URL in a text that has one: where a run is shown.
pub(crate) fn link_in(text: &str) -> Option<String> {
    let start = text.find("https://").or_else(|| text.find("http://"))?;
    let link = text[start..].split_whitespace().next()?;
    Some(link.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = Moment(Timestamp::from_second(1_000_000_000).unwrap());
        let rows = [
            (0, "just now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 d ago"),
            (-120, "in the future"),
        ];
        for (seconds, expected) in rows {
            let then = Timestamp::from_second(1_000_000_000 - seconds).unwrap();
            assert_eq!(now.told(&then.to_string()).ago, expected);
        }
        assert_eq!(now.told("yesterday").ago, "yesterday");
    }

    #[test]
    fn times_to_come_are_told_to_the_minute() {
        let rows = [
            ("2026-12-01T13:40:48.000Z", "2026-12-01 13:40 UTC"),
            ("2026-12-01T13:40:48+02:00", "2026-12-01 11:40 UTC"),
            ("never", "never"),
        ];
        for (text, expected) in rows {
            assert_eq!(minute(text), expected);
        }
    }

    #[test]
    fn sizes_keep_one_digit() {
        let rows = [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_600, "1.5 KiB")];
        for (bytes, expected) in rows {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn names_are_short_and_words_quoted() {
        let rows = [
            ("arn:aws:iam::000000000000:user/ann", "user/ann"),
            ("arn:aws:sts::0:assumed-role/ci/run:7", "assumed-role/ci/run:7"),
            ("anonymous", "anonymous"),
        ];
        for (arn, expected) in rows {
            assert_eq!(short_arn(arn), expected);
        }
        assert_eq!(quoted("a/b.tfstate"), "a/b.tfstate");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(place("/state", &[("key", "a b&c")]), "/_/console/state?key=a%20b%26c");
        assert_eq!(link_in("x https://a.test/1 y").as_deref(), Some("https://a.test/1"));
        assert_eq!(link_in("javascript:alert(1)"), None);
    }
}
