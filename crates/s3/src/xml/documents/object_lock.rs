//! The documents of Object Lock: a bucket's configuration, a version's retention and legal hold.

use tidelock_store::{DefaultRetention, ObjectLock, RetentionMode, RetentionPeriod};

use super::super::{Element, XmlWriter, parse};
use super::once;
use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};

/// AWS's longest default retention.
const DEFAULT_DAYS_MAX: i64 = 36_500;
/// The same in years.
const DEFAULT_YEARS_MAX: i64 = 100;

/// Reads `<ObjectLockConfiguration>`.
///
/// # Errors
///
/// `MalformedXML`; `InvalidRetentionPeriod` for a period that is not positive or too long.
pub(crate) fn parse_object_lock(document: &[u8]) -> S3Result<ObjectLock> {
    let root = parse(document)?;
    root.expect_root("ObjectLockConfiguration")?;
    let (mut enabled, mut rule) = (None, None);
    for child in root.children() {
        match (child.name(), child.trimmed()) {
            ("ObjectLockEnabled", "Enabled") => once(&mut enabled, ())?,
            ("Rule", _) => once(&mut rule, default_retention(child)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    enabled.ok_or_else(S3Error::malformed_xml)?;
    Ok(ObjectLock { default_retention: rule })
}

fn default_retention(rule: &Element) -> S3Result<DefaultRetention> {
    let [retention] = rule.children() else { return Err(S3Error::malformed_xml()) };
    retention.expect_root("DefaultRetention")?;
    let (mut mode, mut period) = (None, None);
    for child in retention.children() {
        match child.name() {
            "Mode" => once(&mut mode, parse_mode(child.trimmed())?)?,
            "Days" => {
                let days = positive(child, DEFAULT_DAYS_MAX)?;
                once(&mut period, RetentionPeriod::Days(days))?;
            }
            "Years" => {
                let years = positive(child, DEFAULT_YEARS_MAX)?;
                once(&mut period, RetentionPeriod::Years(years))?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let retention = mode.zip(period).map(|(mode, period)| DefaultRetention { mode, period });
    retention.ok_or_else(S3Error::malformed_xml)
}

fn positive(element: &Element, max: i64) -> S3Result<u32> {
    let number: i64 = element.parsed()?;
    let invalid = |message| S3Error::with_message(ErrorCode::InvalidRetentionPeriod, message);
    match number {
        ..=0 => Err(invalid("Default retention period must be a positive integer value.")),
        number if number > max => Err(invalid("Default retention period is too large")),
        number => u32::try_from(number).map_err(|_| S3Error::malformed_xml()),
    }
}

fn parse_mode(text: &str) -> S3Result<RetentionMode> {
    mode_of_text(text).ok_or_else(S3Error::malformed_xml)
}

/// The mode of this name.
pub(crate) fn mode_of_text(text: &str) -> Option<RetentionMode> {
    match text {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

/// The name of a mode.
pub(crate) fn mode_text(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

/// Writes what [`parse_object_lock`] reads.
pub(crate) fn object_lock_document(lock: &ObjectLock) -> String {
    XmlWriter::s3_document("ObjectLockConfiguration", |xml| {
        xml.text("ObjectLockEnabled", "Enabled");
        let Some(retention) = lock.default_retention else { return };
        xml.element("Rule", |xml| {
            xml.element("DefaultRetention", |xml| {
                xml.text("Mode", mode_text(retention.mode));
                match retention.period {
                    RetentionPeriod::Days(days) => xml.value("Days", days),
                    RetentionPeriod::Years(years) => xml.value("Years", years),
                }
            });
        });
    })
}

/// Reads `<Retention>`: mode and date, in milliseconds since 1970; none where it has neither.
///
/// # Errors
///
/// `MalformedXML`.
pub(crate) fn parse_retention(document: &[u8]) -> S3Result<Option<(RetentionMode, i64)>> {
    let root = parse(document)?;
    root.expect_root("Retention")?;
    let (mut mode, mut until_ms) = (None, None);
    for child in root.children() {
        match child.name() {
            "Mode" => once(&mut mode, parse_mode(child.trimmed())?)?,
            "RetainUntilDate" => {
                let moment = date::parse_iso8601(child.trimmed());
                once(&mut until_ms, moment.ok_or_else(S3Error::malformed_xml)?)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (mode, until_ms) {
        (Some(mode), Some(until_ms)) => Ok(Some((mode, until_ms))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(S3Error::malformed_xml()),
    }
}

/// Reads `<LegalHold>`: whether it is on.
///
/// # Errors
///
/// `MalformedXML`.
pub(crate) fn parse_legal_hold(document: &[u8]) -> S3Result<bool> {
    let root = parse(document)?;
    root.expect_root("LegalHold")?;
    let [status] = root.children() else { return Err(S3Error::malformed_xml()) };
    match (status.name(), status.trimmed()) {
        ("Status", "ON") => Ok(true),
        ("Status", "OFF") => Ok(false),
        _ => Err(S3Error::malformed_xml()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: S3Result<T>) -> Result<T, &'static str> {
        result.map_err(|error| error.code().as_str())
    }

    #[test]
    fn configurations_are_read_and_given_back() {
        let days = |days| DefaultRetention {
            mode: RetentionMode::Governance,
            period: RetentionPeriod::Days(days),
        };
        let check = |inside: &str, expected: Result<Option<DefaultRetention>, &str>| {
            let document = format!("<ObjectLockConfiguration>{inside}</ObjectLockConfiguration>");
            let lock = code(parse_object_lock(document.as_bytes()));
            assert_eq!(lock.map(|lock| lock.default_retention), expected, "{inside}");
            if let Ok(lock) = lock {
                let back = parse_object_lock(object_lock_document(&lock).as_bytes());
                assert_eq!(code(back), Ok(lock), "{inside}");
            }
        };
        let on = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        let rule = |mode: &str, period: &str| {
            format!(
                "{on}<Rule><DefaultRetention><Mode>{mode}</Mode>{period}</DefaultRetention></Rule>"
            )
        };
        check(on, Ok(None));
        check(&rule("GOVERNANCE", "<Days>1</Days>"), Ok(Some(days(1))));
        let years = RetentionPeriod::Years(100);
        let compliance = DefaultRetention { mode: RetentionMode::Compliance, period: years };
        check(&rule("COMPLIANCE", "<Years>100</Years>"), Ok(Some(compliance)));
        check(&rule("GOVERNANCE", "<Days>1</Days><Years>1</Years>"), Err("MalformedXML"));
        check(&rule("GOVERNANCE", ""), Err("MalformedXML"));
        check(&rule("governance", "<Days>1</Days>"), Err("MalformedXML"));
        check(&rule("GOVERNANCE", "<Days>0</Days>"), Err("InvalidRetentionPeriod"));
        check(&rule("GOVERNANCE", "<Years>-1</Years>"), Err("InvalidRetentionPeriod"));
        check(&rule("GOVERNANCE", "<Years>101</Years>"), Err("InvalidRetentionPeriod"));
        check("<ObjectLockEnabled>Disabled</ObjectLockEnabled>", Err("MalformedXML"));
        check("", Err("MalformedXML"));
        check(&format!("{on}<Rule/>"), Err("MalformedXML"));
    }

    #[test]
    fn retentions_and_holds_are_read() {
        let retention = |inside: &str| {
            code(parse_retention(format!("<Retention>{inside}</Retention>").as_bytes()))
        };
        let date = "<RetainUntilDate>1970-01-01T00:00:01Z</RetainUntilDate>";
        let both = format!("<Mode>COMPLIANCE</Mode>{date}");
        assert_eq!(retention(&both), Ok(Some((RetentionMode::Compliance, 1000))));
        assert_eq!(retention(""), Ok(None));
        assert_eq!(retention(date), Err("MalformedXML"));
        assert_eq!(retention(&format!("<Mode>abc</Mode>{date}")), Err("MalformedXML"));
        let hold = |status: &str| {
            let document = format!("<LegalHold><Status>{status}</Status></LegalHold>");
            code(parse_legal_hold(document.as_bytes()))
        };
        assert_eq!(hold("ON"), Ok(true));
        assert_eq!(hold("OFF"), Ok(false));
        assert_eq!(hold("abc"), Err("MalformedXML"));
    }
}
