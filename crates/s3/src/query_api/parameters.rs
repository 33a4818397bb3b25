//! What an action of STS is asked with: names, terms, tags and policies, checked.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::time::Duration;

use tidelock_auth::policy::{Policy, PolicyKind, folded};
use tidelock_store::ACCOUNT_ID;

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::query::Query;

/// Longest key of a session's tag, in characters.
pub(super) const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of one.
pub(super) const TAG_VALUE_CHARS_MAX: usize = 256;
/// Shortest session, in seconds.
pub(super) const TERM_S_MIN: u64 = 900;

const TAGS_MAX: usize = 50;
/// Longest session policy, in characters.
const POLICY_CHARS_MAX: usize = 2_048;
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=64;
const TERM_S_DEFAULT: u64 = 3_600;
/// The longest term that a role can be asked for at all.
const TERM_S_MAX: u64 = 43_200;

/// What all actions that begin a session of a role are asked with.
pub(super) struct RoleRequest<'a> {
    pub(super) arn: &'a str,
    pub(super) role: &'a str,
    pub(super) session_name: &'a str,
    pub(super) term_s: u64,
    pub(super) policy: Option<&'a str>,
}

impl<'a> RoleRequest<'a> {
    pub(super) fn of(query: &'a Query) -> S3Result<Self> {
        let arn = required(query, "RoleArn")?;
        let prefix = format!("arn:aws:iam::{ACCOUNT_ID}:role/");
        let role = arn.strip_prefix(&prefix).filter(|name| !name.is_empty());
        let role = role.ok_or_else(|| invalid(format!("{arn} is invalid")))?;
        if query.pairs().any(|(name, _)| name.starts_with("PolicyArns.")) {
            return Err(invalid("PolicyArns: there are no managed policies".to_owned()));
        }
        Ok(Self {
            arn,
            role,
            session_name: name(query, "RoleSessionName")?,
            term_s: term_s(query, TERM_S_DEFAULT, TERM_S_MAX)?,
            policy: policy(query)?,
        })
    }

    /// The term, if the role allows it.
    pub(super) fn term(&self, max_s: u32) -> S3Result<Duration> {
        if self.term_s > u64::from(max_s) {
            let reason =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(invalid(reason.to_owned()));
        }
        Ok(Duration::from_secs(self.term_s))
    }
}

pub(super) fn required<'a>(query: &'a Query, name: &str) -> S3Result<&'a str> {
    query.filled(name).ok_or_else(|| {
        invalid(format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"))
    })
}

/// `DurationSeconds`.
pub(super) fn term_s(query: &Query, default_s: u64, max_s: u64) -> S3Result<u64> {
    let Some(text) = query.filled("DurationSeconds") else { return Ok(default_s) };
    let seconds = text.parse().ok().filter(|seconds| (TERM_S_MIN..=max_s).contains(seconds));
    seconds.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy \
             constraint: Member must have value between {TERM_S_MIN} and {max_s}"
        ))
    })
}

/// `RoleSessionName` and what has its form.
fn name<'a>(query: &'a Query, parameter: &str) -> S3Result<&'a str> {
    let text = required(query, parameter)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if NAME_CHARS.contains(&text.len()) && text.bytes().all(legal) {
        return Ok(text);
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{text}' at '{parameter}' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [\\w+=,.@-]{{2,64}}"
    )))
}

/// `SourceIdentity`, if there is one.
pub(super) fn source_identity(query: &Query) -> S3Result<Option<String>> {
    match query.has("SourceIdentity") {
        true => Ok(Some(name(query, "SourceIdentity")?.to_owned())),
        false => Ok(None),
    }
}

fn policy(query: &Query) -> S3Result<Option<&str>> {
    let Some(text) = query.filled("Policy") else { return Ok(None) };
    if text.chars().count() > POLICY_CHARS_MAX {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must \
             have length less than or equal to {POLICY_CHARS_MAX}"
        )));
    }
    match Policy::parse(text, PolicyKind::Identity) {
        Ok(_) => Ok(Some(text)),
        Err(error) => {
            Err(S3Error::with_message(ErrorCode::MalformedPolicyDocument, error.to_string()))
        }
    }
}

/// `Tags.member.N.Key` and `.Value`.
pub(super) fn tags(query: &Query) -> S3Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for number in 1..=TAGS_MAX + 1 {
        let Some(key) = query.value(&format!("Tags.member.{number}.Key")) else { break };
        let value = query.value(&format!("Tags.member.{number}.Value")).unwrap_or_default();
        let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
        let fits =
            (1..=TAG_KEY_CHARS_MAX).contains(&key_chars) && value_chars <= TAG_VALUE_CHARS_MAX;
        let is_twice = tags.iter().any(|(known, _)| is_same_key(known, key));
        let is_ours = folded(key).starts_with("aws:");
        if !fits || is_twice || is_ours || tags.len() == TAGS_MAX {
            return Err(invalid(format!("The tag {key} is not valid, or there are more than 50")));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// Whether two keys of tags name one tag: case means nothing in them, as in the condition keys that they
/// become (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know>).
pub(super) fn is_same_key(left: &str, right: &str) -> bool {
    folded(left) == folded(right)
}

/// `TransitiveTagKeys.member.N`
pub(super) fn transitive_tag_keys(query: &Query) -> Vec<String> {
    let member = |number| query.value(&format!("TransitiveTagKeys.member.{number}"));
    (1..=TAGS_MAX).map_while(|number| member(number).map(str::to_owned)).collect()
}

pub(super) fn invalid(reason: String) -> S3Error {
    S3Error::with_message(ErrorCode::ValidationError, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "RoleArn=arn:aws:iam::000000000000:role/ci&RoleSessionName=run-7";
    const SHORT_NAME: &str = "RoleArn=arn:aws:iam::000000000000:role/ci&RoleSessionName=x";

    #[test]
    fn requests_are_taken_or_refused() {
        let long = format!("&Policy={}", "x".repeat(POLICY_CHARS_MAX + 1));
        let rows = [
            ("", None),
            ("&DurationSeconds=900", None),
            ("&DurationSeconds=899", Some(ErrorCode::ValidationError)),
            ("&DurationSeconds=43201", Some(ErrorCode::ValidationError)),
            ("&DurationSeconds=x", Some(ErrorCode::ValidationError)),
            ("&Policy={}", Some(ErrorCode::MalformedPolicyDocument)),
            (long.as_str(), Some(ErrorCode::ValidationError)),
            ("&PolicyArns.member.1.arn=x", Some(ErrorCode::ValidationError)),
        ];
        for (more, expected) in rows {
            let query = Query::parse(&format!("{GOOD}{more}")).unwrap();
            assert_eq!(RoleRequest::of(&query).err().map(|it| it.code()), expected, "{more}");
        }
        for text in ["", "RoleSessionName=run-7", "RoleArn=x&RoleSessionName=run-7", SHORT_NAME] {
            let query = Query::parse(text).unwrap();
            let refused = RoleRequest::of(&query).err().map(|it| it.code());
            assert_eq!(refused, Some(ErrorCode::ValidationError), "{text}");
        }
        let query = Query::parse(GOOD).unwrap();
        let request = RoleRequest::of(&query).unwrap();
        assert!(request.term(3_600).is_ok() && request.term(3_599).is_err());
    }

    #[test]
    fn tags_are_pairs_in_order() {
        let read = |text: &str| tags(&Query::parse(text).unwrap());
        let both = "Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=c";
        let expected = [("a", "b"), ("c", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(read(both).unwrap(), expected);
        let twice = "Tags.member.1.Key=a&Tags.member.2.Key=A";
        let kelvin = "Tags.member.1.Key=k&Tags.member.2.Key=%E2%84%AA";
        for text in [twice, kelvin, "Tags.member.1.Key=", "Tags.member.1.Key=aws:x"] {
            assert_eq!(read(text).unwrap_err().code(), ErrorCode::ValidationError, "{text}");
        }
    }
}
