//! What lifecycle rules say of one version: pure functions of the rule, the version and the time.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

use tidelock_meta::UnixMillis;
use tidelock_meta::record::lifecycle::{Expiration, LifecycleFilter, LifecycleRule};
use tidelock_meta::record::version::{ObjectFacts, ObjectVersion};

/// The moment from which what happened at `since_ms` is so many days old: AWS counts to the next midnight
/// after that.
pub(super) fn due_ms(since_ms: UnixMillis, days: u32, day_ms: i64) -> UnixMillis {
    let day_ms = day_ms.max(1);
    let then = since_ms.saturating_add(i64::from(days).saturating_mul(day_ms));
    then.div_euclid(day_ms).saturating_add(1).saturating_mul(day_ms)
}

/// Whether a rule may be about versions of this key.
pub(super) fn is_about_key(filter: &LifecycleFilter, key: &str) -> bool {
    filter.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
        && filter.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix))
}

/// Whether it is about an object of this size with these tags, under a key that it is about.
pub(super) fn is_about_object(
    filter: &LifecycleFilter,
    size: u64,
    tags: &[(String, String)],
) -> bool {
    filter.tags.iter().all(|tag| tags.contains(tag))
        && filter.larger_than.is_none_or(|limit| size > limit)
        && filter.smaller_than.is_none_or(|limit| size < limit)
}

/// The same of a version. A delete marker has neither tags nor a size.
fn is_about_version(filter: &LifecycleFilter, object: Option<&ObjectFacts>) -> bool {
    match object {
        Some(facts) => is_about_object(filter, facts.size, &facts.tags),
        None => {
            filter.tags.is_empty() && filter.larger_than.is_none() && filter.smaller_than.is_none()
        }
    }
}

/// When a rule ends an object that was written at `modified_ms` and that it is about.
pub(super) fn expires_ms(
    rule: &LifecycleRule,
    modified_ms: UnixMillis,
    day_ms: i64,
) -> Option<UnixMillis> {
    match rule.expiration? {
        Expiration::Days(days) => Some(due_ms(modified_ms, days, day_ms)),
        Expiration::Date(date_ms) => Some(date_ms),
        Expiration::ExpiredObjectDeleteMarker(_) => None,
    }
}

/// The rule among those about its key that has a current version expire by now.
pub(super) fn expiring<'a>(
    rules: &[&'a LifecycleRule],
    current: &ObjectVersion,
    now: UnixMillis,
    day_ms: i64,
) -> Option<&'a LifecycleRule> {
    let facts = current.object()?;
    rules.iter().copied().find(|rule| {
        is_about_version(&rule.filter, Some(facts))
            && expires_ms(rule, current.modified_ms, day_ms).is_some_and(|due_ms| due_ms <= now)
    })
}

/// The rule among those about its key that has a delete marker go behind which nothing is: one that says
/// so, or one by which an object of its age would expire.
pub(super) fn expiring_marker<'a>(
    rules: &[&'a LifecycleRule],
    marker: &ObjectVersion,
    now: UnixMillis,
    day_ms: i64,
) -> Option<&'a LifecycleRule> {
    rules.iter().copied().find(|rule| {
        let is_due = match rule.expiration {
            Some(Expiration::ExpiredObjectDeleteMarker(expires)) => expires,
            Some(Expiration::Days(_) | Expiration::Date(_)) => {
                expires_ms(rule, marker.modified_ms, day_ms).is_some_and(|due_ms| due_ms <= now)
            }
            None => false,
        };
        is_due && is_about_version(&rule.filter, None)
    })
}

/// The rule among those about its key that has a noncurrent version expire by now. It ceased to be current
/// at `since_ms`, and `newer` noncurrent versions are newer.
pub(super) fn expiring_noncurrent<'a>(
    rules: &[&'a LifecycleRule],
    version: &ObjectVersion,
    (since_ms, newer): (UnixMillis, usize),
    now: UnixMillis,
    day_ms: i64,
) -> Option<&'a LifecycleRule> {
    rules.iter().copied().find(|rule| {
        let Some(noncurrent) = rule.noncurrent else { return false };
        let kept = noncurrent.newer.map_or(0, |kept| kept as usize);
        newer >= kept
            && due_ms(since_ms, noncurrent.days, day_ms) <= now
            && is_about_version(&rule.filter, version.object())
    })
}

/// The rule among those about its key that has an upload aborted by now.
pub(super) fn aborting<'a>(
    rules: &[&'a LifecycleRule],
    initiated_ms: UnixMillis,
    now: UnixMillis,
    day_ms: i64,
) -> Option<&'a LifecycleRule> {
    rules.iter().copied().find(|rule| {
        rule.abort_uploads_days.is_some_and(|days| due_ms(initiated_ms, days, day_ms) <= now)
    })
}

/// The longest prefix that all keys have which one of the rules can be about.
pub(super) fn common_prefix(rules: &[LifecycleRule]) -> &str {
    let mut prefixes = rules.iter().map(|rule| rule.filter.prefix.as_deref().unwrap_or_default());
    let Some(first) = prefixes.next() else { return "" };
    prefixes.fold(first, |common, prefix| {
        let same = common.bytes().zip(prefix.bytes()).take_while(|(one, other)| one == other);
        let mut length = same.count();
        while !common.is_char_boundary(length) {
            length -= 1;
        }
        &common[..length]
    })
}

#[cfg(test)]
mod tests {
    use tidelock_meta::record::lifecycle::FilterForm;

    use super::*;

    const DAY_MS: i64 = 24 * 3600 * 1000;

    fn rule(filter: LifecycleFilter) -> LifecycleRule {
        LifecycleRule {
            id: "r".to_owned(),
            enabled: true,
            form: FilterForm::And,
            filter,
            expiration: None,
            noncurrent: None,
            abort_uploads_days: None,
        }
    }

    #[test]
    fn days_end_at_midnight() {
        for (since_ms, days, expected) in [
            (0, 1, 2 * DAY_MS),
            (1, 1, 2 * DAY_MS),
            (DAY_MS - 1, 1, 2 * DAY_MS),
            (DAY_MS, 3, 5 * DAY_MS),
            (0, u32::MAX, (i64::from(u32::MAX) + 1) * DAY_MS),
        ] {
            assert_eq!(due_ms(since_ms, days, DAY_MS), expected, "{since_ms} {days}");
        }
    }

    #[test]
    fn filters_hold_or_not() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let check = |filter: &LifecycleFilter, key, size, tags: &[_], expected| {
            let holds = is_about_key(filter, key) && is_about_object(filter, size, tags);
            assert_eq!(holds, expected, "{filter:?} {key} {size} {tags:?}");
        };
        check(&LifecycleFilter::default(), "a", 0, &[], true);
        let ends = LifecycleFilter {
            prefix: Some("logs/".to_owned()),
            suffix: Some(".tflock".to_owned()),
            ..LifecycleFilter::default()
        };
        check(&ends, "logs/a.tflock", 0, &[], true);
        check(&ends, "logs/a", 0, &[], false);
        check(&ends, "a.tflock", 0, &[], false);
        let sized = LifecycleFilter {
            larger_than: Some(10),
            smaller_than: Some(20),
            ..LifecycleFilter::default()
        };
        for (size, expected) in [(10, false), (11, true), (19, true), (20, false)] {
            check(&sized, "a", size, &[], expected);
        }
        let tagged =
            LifecycleFilter { tags: vec![tag("a", "1"), tag("b", "2")], ..Default::default() };
        check(&tagged, "a", 0, &[tag("b", "2"), tag("a", "1"), tag("c", "3")], true);
        check(&tagged, "a", 0, &[tag("a", "1")], false);
        check(&tagged, "a", 0, &[tag("a", "2"), tag("b", "2")], false);
    }

    #[test]
    fn rules_share_a_prefix() {
        for (prefixes, expected) in [
            (&["logs/a", "logs/b"][..], "logs/"),
            (&["logs/"], "logs/"),
            (&["a", "b"], ""),
            (&["aä", "aö"], "a"),
            (&["a", ""], ""),
            (&[], ""),
        ] {
            let prefixed = |prefix: &&str| {
                let prefix = Some((*prefix).to_owned());
                rule(LifecycleFilter { prefix, ..LifecycleFilter::default() })
            };
            let rules: Vec<_> = prefixes.iter().map(prefixed).collect();
            assert_eq!(common_prefix(&rules), expected, "{prefixes:?}");
        }
    }
}
