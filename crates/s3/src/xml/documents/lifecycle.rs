//! `LifecycleConfiguration`: the lifecycle rules of a bucket, validated as AWS validates them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>. There is one
//! storage class, so a rule that is right and has a transition is refused with 501.
//!
//! A filter by the end of keys is ours: it is written as a tag of the reserved key
//! [`SUFFIX_TAG`], which every client can send, shows, and sends back unharmed.

use std::collections::HashSet;

use tidelock_store::{
    Expiration, FilterForm, Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration,
    OBJECT_KEY_BYTES_MAX, TransitionMinimum,
};

use super::super::{Element, XmlWriter, parse};
use super::tagging::tag;
use super::{boolean, once};
use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};

/// The tag of a filter that stands for the end of the key.
pub(crate) const SUFFIX_TAG: &str = "tidelock:suffix";
/// Rules of one bucket (AWS: 1,000).
const RULES_MAX: usize = 1000;
/// Characters of a rule's name (AWS: 255).
const RULE_ID_CHARS_MAX: usize = 255;
/// Days of a rule (AWS: what fits 31 bits).
const DAYS_MAX: i64 = i32::MAX as i64;
/// Newer noncurrent versions that a rule keeps (AWS: 100).
const NEWER_VERSIONS_MAX: u32 = 100;
/// A day of the dates in rules.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// The least that `And` must hold.
const AND_CONDITIONS_MIN: usize = 2;
/// Classes of AWS that objects may be moved to.
const TRANSITION_CLASSES: [&str; 6] =
    ["GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"];

/// A rule, and whether it moves objects to another storage class.
struct ParsedRule {
    rule: LifecycleRule,
    has_transition: bool,
}

/// Reads the document. A rule without a name gets the one that `name` makes of its place.
///
/// # Errors
///
/// `MalformedXML`, `InvalidArgument` and `InvalidRequest` as AWS's; 501 for transitions.
pub(crate) fn parse_lifecycle(
    document: &[u8],
    minimum: TransitionMinimum,
    name: impl Fn(usize) -> String,
) -> S3Result<Lifecycle> {
    let root = parse(document)?;
    root.expect_root("LifecycleConfiguration")?;
    if root.children().is_empty() || root.children().len() > RULES_MAX {
        return Err(S3Error::malformed_xml());
    }
    let mut parsed = Vec::new();
    for (place, element) in root.children().iter().enumerate() {
        element.expect_root("Rule")?;
        parsed.push(parse_rule(element, || name(place))?);
    }
    let has_prefixes = |it: &ParsedRule| it.rule.form == FilterForm::Prefix;
    if parsed.iter().any(has_prefixes) && !parsed.iter().all(has_prefixes) {
        return Err(S3Error::invalid_request(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the \
             Filter.",
        ));
    }
    let mut ids = HashSet::new();
    if !parsed.iter().all(|it| ids.insert(it.rule.id.as_str())) {
        return Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "Rule ID must be unique. Found same ID for more than one rule",
        ));
    }
    if parsed.iter().any(|it| it.has_transition) {
        return Err(S3Error::with_message(
            ErrorCode::NotImplemented,
            "Transitions are not implemented: STANDARD is the only storage class",
        ));
    }
    Ok(Lifecycle { rules: parsed.into_iter().map(|it| it.rule).collect(), minimum })
}

fn parse_rule(element: &Element, name: impl FnOnce() -> String) -> S3Result<ParsedRule> {
    let (mut id, mut enabled, mut filter) = (None, None, None);
    let (mut expiration, mut noncurrent, mut abort) = (None, None, None);
    let mut has_transition = false;
    for child in element.children() {
        match child.name() {
            "ID" => once(&mut id, child.text().to_owned())?,
            "Status" => once(&mut enabled, status(child)?)?,
            "Prefix" => {
                let prefix = Some(prefix(child)?);
                let of_prefix = LifecycleFilter { prefix, ..LifecycleFilter::default() };
                once(&mut filter, (FilterForm::Prefix, of_prefix))?;
            }
            "Filter" => once(&mut filter, parse_filter(child)?)?,
            "Expiration" => once(&mut expiration, parse_expiration(child)?)?,
            "NoncurrentVersionExpiration" => once(&mut noncurrent, parse_noncurrent(child)?)?,
            "AbortIncompleteMultipartUpload" => once(&mut abort, parse_abort(child)?)?,
            "Transition" | "NoncurrentVersionTransition" => {
                check_transition(child)?;
                has_transition = true;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let id = id.filter(|id| !id.is_empty()).unwrap_or_else(name);
    if id.chars().count() > RULE_ID_CHARS_MAX {
        return Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "ID length should not exceed allowed limit of 255",
        ));
    }
    let enabled = enabled.ok_or_else(S3Error::malformed_xml)?;
    let (form, filter) = filter.ok_or_else(S3Error::malformed_xml)?;
    let rule = LifecycleRule {
        id,
        enabled,
        form,
        filter,
        expiration,
        noncurrent,
        abort_uploads_days: abort,
    };
    check_actions(&rule, has_transition)?;
    Ok(ParsedRule { rule, has_transition })
}

/// A rule does something, and nothing that its filter cannot tell of.
fn check_actions(rule: &LifecycleRule, has_transition: bool) -> S3Result<()> {
    let (expiration, noncurrent) = (&rule.expiration, &rule.noncurrent);
    let acts = expiration.is_some() || noncurrent.is_some() || rule.abort_uploads_days.is_some();
    if !acts && !has_transition {
        return Err(S3Error::invalid_request(
            "At least one action needs to be specified in a rule",
        ));
    }
    let filter = &rule.filter;
    let has_size = filter.larger_than.is_some() || filter.smaller_than.is_some();
    let is_about_objects = !filter.tags.is_empty() || has_size;
    let is_of_markers = matches!(expiration, Some(Expiration::ExpiredObjectDeleteMarker(_)));
    if rule.abort_uploads_days.is_some() && is_about_objects {
        return Err(S3Error::invalid_request(
            "AbortIncompleteMultipartUpload cannot be specified with Tags or sizes.",
        ));
    }
    if is_of_markers && is_about_objects {
        return Err(S3Error::invalid_request(
            "ExpiredObjectDeleteMarker cannot be specified with Tags or sizes.",
        ));
    }
    Ok(())
}

fn status(element: &Element) -> S3Result<bool> {
    match element.trimmed() {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(S3Error::malformed_xml()),
    }
}

fn prefix(element: &Element) -> S3Result<String> {
    let prefix = element.text();
    if prefix.len() > OBJECT_KEY_BYTES_MAX {
        return Err(S3Error::invalid_request("The maximum size of a prefix is 1024."));
    }
    Ok(prefix.to_owned())
}

fn parse_filter(element: &Element) -> S3Result<(FilterForm, LifecycleFilter)> {
    match element.children() {
        [] => Ok((FilterForm::Filter, LifecycleFilter::default())),
        [and] if and.name() == "And" => {
            if and.children().len() < AND_CONDITIONS_MIN {
                return Err(S3Error::malformed_xml());
            }
            Ok((FilterForm::And, conditions(and.children())?))
        }
        [_] => Ok((FilterForm::Filter, conditions(element.children())?)),
        _ => Err(S3Error::malformed_xml()),
    }
}

fn conditions(elements: &[Element]) -> S3Result<LifecycleFilter> {
    let mut filter = LifecycleFilter::default();
    for element in elements {
        match element.name() {
            "Prefix" => once(&mut filter.prefix, prefix(element)?)?,
            "Tag" => match tag(element)? {
                (key, suffix) if key == SUFFIX_TAG => once(&mut filter.suffix, suffix)?,
                tag => filter.tags.push(tag),
            },
            "ObjectSizeGreaterThan" => once(&mut filter.larger_than, element.parsed()?)?,
            "ObjectSizeLessThan" => once(&mut filter.smaller_than, element.parsed()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let mut keys = HashSet::new();
    if !filter.tags.iter().all(|(key, _)| keys.insert(key)) {
        return Err(S3Error::invalid_request("Duplicate Tag Keys are not allowed."));
    }
    if let (Some(greater), Some(less)) = (filter.larger_than, filter.smaller_than)
        && less <= greater
    {
        return Err(S3Error::invalid_request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
        ));
    }
    Ok(filter)
}

fn parse_expiration(element: &Element) -> S3Result<Expiration> {
    let [when] = element.children() else { return Err(S3Error::malformed_xml()) };
    match when.name() {
        "Days" => days(when, "'Days' for Expiration action must be a positive integer")
            .map(Expiration::Days),
        "Date" => midnight(when).map(Expiration::Date),
        "ExpiredObjectDeleteMarker" => boolean(when).map(Expiration::ExpiredObjectDeleteMarker),
        _ => Err(S3Error::malformed_xml()),
    }
}

fn parse_noncurrent(element: &Element) -> S3Result<NoncurrentExpiration> {
    let (mut noncurrent_days, mut newer) = (None, None);
    for child in element.children() {
        match child.name() {
            "NoncurrentDays" => {
                let message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a \
                               positive integer";
                once(&mut noncurrent_days, days(child, message)?)?;
            }
            "NewerNoncurrentVersions" => once(&mut newer, newer_versions(child)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let days = noncurrent_days.ok_or_else(S3Error::malformed_xml)?;
    Ok(NoncurrentExpiration { days, newer })
}

fn newer_versions(element: &Element) -> S3Result<u32> {
    match element.parsed::<i64>()? {
        number if number > 0 && number <= i64::from(NEWER_VERSIONS_MAX) => {
            u32::try_from(number).map_err(|_| S3Error::malformed_xml())
        }
        _ => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "'NewerNoncurrentVersions' must be a positive integer, and at most 100",
        )),
    }
}

fn parse_abort(element: &Element) -> S3Result<u32> {
    let [initiated] = element.children() else { return Err(S3Error::malformed_xml()) };
    initiated.expect_root("DaysAfterInitiation")?;
    let message = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a \
                   positive integer";
    days(initiated, message)
}

/// Says what is wrong with a transition, if something is.
fn check_transition(element: &Element) -> S3Result<()> {
    let (mut when, mut class) = (None, None);
    for child in element.children() {
        match (element.name(), child.name()) {
            ("Transition", "Days") | (_, "NoncurrentDays") => {
                if child.parsed::<i64>()? < 0 {
                    return Err(S3Error::with_message(
                        ErrorCode::InvalidArgument,
                        "'Days' in Transition action must be nonnegative",
                    ));
                }
                once(&mut when, ())?;
            }
            ("Transition", "Date") => {
                midnight(child)?;
                once(&mut when, ())?;
            }
            (_, "NewerNoncurrentVersions") => {
                newer_versions(child)?;
            }
            (_, "StorageClass") if TRANSITION_CLASSES.contains(&child.trimmed()) => {
                once(&mut class, ())?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    when.and(class).ok_or_else(S3Error::malformed_xml)
}

fn days(element: &Element, message: &'static str) -> S3Result<u32> {
    match element.parsed::<i64>()? {
        number if number > 0 && number <= DAYS_MAX => {
            u32::try_from(number).map_err(|_| S3Error::malformed_xml())
        }
        _ => Err(S3Error::with_message(ErrorCode::InvalidArgument, message)),
    }
}

fn midnight(element: &Element) -> S3Result<i64> {
    let date_ms = date::parse_iso8601(element.trimmed()).ok_or_else(S3Error::malformed_xml)?;
    if date_ms.rem_euclid(DAY_MS) != 0 {
        let message = "'Date' must be at midnight GMT";
        return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
    }
    Ok(date_ms)
}

/// Writes what [`parse_lifecycle`] reads.
pub(crate) fn lifecycle_document(lifecycle: &Lifecycle) -> String {
    XmlWriter::s3_document("LifecycleConfiguration", |xml| {
        for rule in &lifecycle.rules {
            xml.element("Rule", |xml| write_rule(xml, rule));
        }
    })
}

fn write_rule(xml: &mut XmlWriter, rule: &LifecycleRule) {
    xml.text("ID", &rule.id);
    match rule.form {
        FilterForm::Prefix => xml.optional("Prefix", rule.filter.prefix.as_deref()),
        FilterForm::Filter => xml.element("Filter", |xml| write_conditions(xml, &rule.filter)),
        FilterForm::And => xml.element("Filter", |xml| {
            xml.element("And", |xml| write_conditions(xml, &rule.filter));
        }),
    }
    xml.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    if let Some(expiration) = rule.expiration {
        xml.element("Expiration", |xml| match expiration {
            Expiration::Days(days) => xml.value("Days", days),
            Expiration::Date(date_ms) => xml.text("Date", &date::iso8601(date_ms)),
            Expiration::ExpiredObjectDeleteMarker(expires) => {
                xml.value("ExpiredObjectDeleteMarker", expires);
            }
        });
    }
    if let Some(noncurrent) = rule.noncurrent {
        xml.element("NoncurrentVersionExpiration", |xml| {
            xml.value("NoncurrentDays", noncurrent.days);
            if let Some(newer) = noncurrent.newer {
                xml.value("NewerNoncurrentVersions", newer);
            }
        });
    }
    if let Some(days) = rule.abort_uploads_days {
        xml.element("AbortIncompleteMultipartUpload", |xml| {
            xml.value("DaysAfterInitiation", days);
        });
    }
}

fn write_conditions(xml: &mut XmlWriter, filter: &LifecycleFilter) {
    xml.optional("Prefix", filter.prefix.as_deref());
    let suffix = filter.suffix.as_deref().map(|suffix| (SUFFIX_TAG, suffix));
    let tags = filter.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in suffix.into_iter().chain(tags) {
        xml.element("Tag", |xml| {
            xml.text("Key", key);
            xml.text("Value", value);
        });
    }
    if let Some(size) = filter.larger_than {
        xml.value("ObjectSizeGreaterThan", size);
    }
    if let Some(size) = filter.smaller_than {
        xml.value("ObjectSizeLessThan", size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRE: &str = "<Expiration><Days>1</Days></Expiration>";

    fn check_document(inside: &str, expected: Result<(), &str>) {
        let document = format!("<LifecycleConfiguration>{inside}</LifecycleConfiguration>");
        let minimum = TransitionMinimum::default();
        let read = |document: &str| {
            let name = |place| format!("made-{place}");
            parse_lifecycle(document.as_bytes(), minimum, name)
        };
        let parsed = read(&document);
        let shown = parsed.as_ref().map(|_| ()).map_err(|error| error.code().as_str());
        assert_eq!(shown, expected, "{inside}");
        if let Ok(lifecycle) = parsed {
            assert_eq!(read(&lifecycle_document(&lifecycle)).unwrap(), lifecycle, "{inside}");
        }
    }

    fn check(filter: &str, actions: &str, expected: Result<(), &str>) {
        let rule = format!("<Rule>{filter}<Status>Enabled</Status>{actions}</Rule>");
        check_document(&rule, expected);
    }

    #[test]
    fn rules_are_named_and_told_apart() {
        let rule = |id: &str, status: &str| {
            format!("<Rule><ID>{id}</ID><Filter/><Status>{status}</Status>{EXPIRE}</Rule>")
        };
        check_document(&(rule("a", "Enabled") + &rule("b", "Disabled")), Ok(()));
        check_document(&(rule("", "Enabled") + &rule("", "Enabled")), Ok(()));
        check_document(&rule("a", "Enabled").repeat(2), Err("InvalidArgument"));
        check_document(&rule(&"a".repeat(255), "Enabled"), Ok(()));
        check_document(&rule(&"a".repeat(256), "Enabled"), Err("InvalidArgument"));
        check_document(&rule("a", "enabled"), Err("MalformedXML"));
        check_document("", Err("MalformedXML"));
        check_document(&rule("", "Enabled").repeat(1000), Ok(()));
        check_document(&rule("", "Enabled").repeat(1001), Err("MalformedXML"));
        let old = format!("<Rule><Prefix>a</Prefix><Status>Enabled</Status>{EXPIRE}</Rule>");
        check_document(&old, Ok(()));
        check_document(&(rule("a", "Enabled") + &old), Err("InvalidRequest"));
        check_document(
            &format!("<Rule><Status>Enabled</Status>{EXPIRE}</Rule>"),
            Err("MalformedXML"),
        );
    }

    #[test]
    fn filters_are_one_condition_or_several() {
        let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>.v</Value></Tag>");
        let suffix = tag(SUFFIX_TAG);
        let prefix = "<Prefix>a/</Prefix>";
        let sizes = |greater, less| {
            format!(
                "<ObjectSizeGreaterThan>{greater}</ObjectSizeGreaterThan>\
                 <ObjectSizeLessThan>{less}</ObjectSizeLessThan>"
            )
        };
        let filter = |inside: &str, expected| {
            check(&format!("<Filter>{inside}</Filter>"), EXPIRE, expected);
        };
        let and = |inside: &str, expected| filter(&format!("<And>{inside}</And>"), expected);
        for one in ["", prefix, &tag("t"), &suffix] {
            filter(one, Ok(()));
        }
        filter(&format!("{prefix}{suffix}"), Err("MalformedXML"));
        and(&format!("{prefix}{suffix}{}{}{}", tag("t"), tag("u"), sizes(1, 3)), Ok(()));
        and(prefix, Err("MalformedXML"));
        and(&format!("{}{}", tag("t"), tag("t")), Err("InvalidRequest"));
        and(&sizes(3, 3), Err("InvalidRequest"));
        filter(&format!("<Prefix>{}</Prefix>", "a".repeat(1025)), Err("InvalidRequest"));
        filter("<Other/>", Err("MalformedXML"));
        let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>\
                     </AbortIncompleteMultipartUpload>";
        check(&format!("<Filter>{suffix}</Filter>"), abort, Ok(()));
        check(&format!("<Filter>{}</Filter>", tag("t")), abort, Err("InvalidRequest"));
        let markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>\
                       </Expiration>";
        check("<Filter/>", markers, Ok(()));
        check(&format!("<Filter>{}</Filter>", tag("t")), markers, Err("InvalidRequest"));
    }

    #[test]
    fn actions_are_checked() {
        let one = |actions: &str, expected| check("<Filter/>", actions, expected);
        let expiration = |inside: &str, expected| {
            one(&format!("<Expiration>{inside}</Expiration>"), expected);
        };
        expiration("<Days>2147483647</Days>", Ok(()));
        expiration("<Days>0</Days>", Err("InvalidArgument"));
        expiration("<Days>2147483648</Days>", Err("InvalidArgument"));
        expiration("<Days>x</Days>", Err("MalformedXML"));
        expiration("<Date>2017-09-27T00:00:00Z</Date>", Ok(()));
        expiration("<Date>2017-09-27T00:00:01Z</Date>", Err("InvalidArgument"));
        expiration("<Date>20200101</Date>", Err("MalformedXML"));
        expiration("<Days>1</Days><Date>2017-09-27T00:00:00Z</Date>", Err("MalformedXML"));
        one("", Err("InvalidRequest"));
        let noncurrent = |inside: &str, expected| {
            let action = "NoncurrentVersionExpiration";
            one(&format!("<{action}>{inside}</{action}>"), expected);
        };
        let (days, newer) = ("<NoncurrentDays>1</NoncurrentDays>", "NewerNoncurrentVersions");
        noncurrent(days, Ok(()));
        noncurrent(&format!("{days}<{newer}>100</{newer}>"), Ok(()));
        noncurrent(&format!("{days}<{newer}>101</{newer}>"), Err("InvalidArgument"));
        noncurrent(&format!("<{newer}>1</{newer}>"), Err("MalformedXML"));
        noncurrent("<NoncurrentDays>0</NoncurrentDays>", Err("InvalidArgument"));
        let transition = |when: &str, class: &str, expected| {
            let class = format!("<StorageClass>{class}</StorageClass>");
            one(&format!("{EXPIRE}<Transition>{when}{class}</Transition>"), expected);
        };
        transition("<Days>0</Days>", "GLACIER", Err("NotImplemented"));
        transition("<Days>-1</Days>", "GLACIER", Err("InvalidArgument"));
        transition("<Days>1</Days>", "GOLD", Err("MalformedXML"));
        transition("<Date>20220927</Date>", "GLACIER", Err("MalformedXML"));
        transition("", "GLACIER", Err("MalformedXML"));
    }
}
