//! The policy of a form: until when it is good, and what its fields may be.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

/// Largest policy of a form, in bytes: all fields before the file have 20 KB
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>).
pub const POST_POLICY_BYTES_MAX: usize = 20 << 10;

/// Fields that no condition has to name: they carry the policy, or the file.
const FREE_FIELDS: &[&str] = &["awsaccesskeyid", "signature", "policy", "file", "x-amz-signature"];
/// What a form is sent to: a field of every form.
const BUCKET: &str = "bucket";
/// The field whose value may be a list: clients believe any of it.
const CONTENT_TYPE: &str = "content-type";
const IGNORED_PREFIX: &str = "x-ignore-";
/// The page computes a checksum of a file that the policy's author has not seen; all it can do is refuse
/// another file.
const CHECKSUM_PREFIX: &str = "x-amz-checksum-";

/// What a form may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
    content_length: Option<ContentLengthRange>,
}

/// How large the file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLengthRange {
    /// At least so many bytes.
    pub bytes_min: u64,
    /// At most so many bytes.
    pub bytes_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    /// In lower case.
    field: String,
    test: Test,
    /// As it stands in the policy, to name it.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Equals(String),
    StartsWith(String),
}

/// Why a text is not the policy of a form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPostPolicy {
    /// It is no JSON object.
    #[error("Invalid Policy: Invalid JSON.")]
    Json,
    /// It is longer than [`POST_POLICY_BYTES_MAX`].
    #[error("Invalid Policy: Policy is too large.")]
    TooLarge,
    /// Something is missing, or is there that has no place.
    #[error("Invalid Policy: {0}.")]
    Element(&'static str),
    /// A condition that there is not.
    #[error("Invalid Policy: Invalid condition: {0}")]
    Condition(String),
}

/// Why a form is not what its policy says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyViolation {
    /// Its time is over.
    #[error("Invalid according to Policy: Policy expired.")]
    Expired,
    /// A condition does not hold.
    #[error("Invalid according to Policy: Policy Condition failed: {0}")]
    Condition(String),
    /// A field that no condition names.
    #[error("Invalid according to Policy: Extra input fields: {0}")]
    ExtraField(String),
}

impl PostPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidPostPolicy> {
        if text.len() > POST_POLICY_BYTES_MAX {
            return Err(InvalidPostPolicy::TooLarge);
        }
        let whole: Value = serde_json::from_slice(text).map_err(|_| InvalidPostPolicy::Json)?;
        let whole = whole.as_object().ok_or(InvalidPostPolicy::Json)?;
        if whole.keys().any(|name| name != "expiration" && name != "conditions") {
            return Err(InvalidPostPolicy::Element("Unexpected element"));
        }
        let expiration = whole.get("expiration").and_then(Value::as_str);
        let missing = InvalidPostPolicy::Element("Policy missing expiration");
        let malformed = InvalidPostPolicy::Element("Invalid 'expiration' value");
        let expiration = instant(expiration.ok_or(missing)?).ok_or(malformed)?;
        let missing = InvalidPostPolicy::Element("Policy missing conditions");
        let listed = whole.get("conditions").and_then(Value::as_array).ok_or(missing)?;
        let mut policy = Self { expiration, conditions: Vec::new(), content_length: None };
        for condition in listed {
            policy.take(condition)?;
        }
        Ok(policy)
    }

    fn take(&mut self, condition: &Value) -> Result<(), InvalidPostPolicy> {
        let text = condition.to_string();
        let invalid = || InvalidPostPolicy::Condition(text.clone());
        if let Some(pairs) = condition.as_object() {
            if pairs.is_empty() {
                return Err(invalid());
            }
            for (field, value) in pairs {
                let value = value.as_str().ok_or_else(invalid)?;
                self.add(field, Test::Equals(value.to_owned()), &text);
            }
            return Ok(());
        }
        let Some([operator, first, second]) = condition.as_array().map(Vec::as_slice) else {
            return Err(invalid());
        };
        let operator = operator.as_str().ok_or_else(invalid)?.to_ascii_lowercase();
        if operator == "content-length-range" {
            let bytes_min = number(first).ok_or_else(invalid)?;
            let bytes_max = number(second).ok_or_else(invalid)?;
            let range = ContentLengthRange { bytes_min, bytes_max };
            self.content_length = Some(match self.content_length {
                None => range,
                Some(known) => ContentLengthRange {
                    bytes_min: known.bytes_min.max(bytes_min),
                    bytes_max: known.bytes_max.min(bytes_max),
                },
            });
            return Ok(());
        }
        let field = first.as_str().and_then(|name| name.strip_prefix('$')).ok_or_else(invalid)?;
        let value = second.as_str().ok_or_else(invalid)?.to_owned();
        match operator.as_str() {
            "eq" => self.add(field, Test::Equals(value), &text),
            "starts-with" => self.add(field, Test::StartsWith(value), &text),
            _ => return Err(invalid()),
        }
        Ok(())
    }

    fn add(&mut self, field: &str, test: Test, text: &str) {
        let (field, text) = (field.to_ascii_lowercase(), text.to_owned());
        self.conditions.push(Condition { field, test, text });
    }

    /// How large the file may be, if it says so.
    pub fn content_length(&self) -> Option<ContentLengthRange> {
        self.content_length
    }

    /// Whether a form is what the policy says. `fields` are all before the file, by lower-case name, and
    /// `bucket` is the one it was sent to, which a condition has to name like any other field.
    ///
    /// # Errors
    ///
    /// The first thing that is not.
    pub fn check(
        &self,
        fields: &[(String, String)],
        bucket: &str,
        now: Timestamp,
    ) -> Result<(), PolicyViolation> {
        if now >= self.expiration {
            return Err(PolicyViolation::Expired);
        }
        let value_of = |name: &str| match name {
            BUCKET => bucket,
            name => {
                let field = fields.iter().find(|(field, _)| field == name);
                field.map(|(_, value)| value.as_str()).unwrap_or_default()
            }
        };
        for Condition { field, test, text } in &self.conditions {
            let value = value_of(field);
            let holds = |value: &str| match test {
                Test::Equals(expected) => value == expected,
                Test::StartsWith(prefix) => value.starts_with(prefix.as_str()),
            };
            let all_hold = match field.as_str() {
                CONTENT_TYPE => holds(value) && value.split(',').map(str::trim).all(holds),
                _ => holds(value),
            };
            if !all_hold {
                return Err(PolicyViolation::Condition(text.clone()));
            }
        }
        let is_named = |name: &str| self.conditions.iter().any(|it| it.field == name);
        let is_free = |name: &str| {
            let prefixes = [IGNORED_PREFIX, CHECKSUM_PREFIX];
            FREE_FIELDS.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        let mut names = fields.iter().map(|(name, _)| name.as_str()).chain([BUCKET]);
        match names.find(|name| !is_free(name) && !is_named(name)) {
            Some(name) => Err(PolicyViolation::ExtraField(name.to_owned())),
            None => Ok(()),
        }
    }
}

/// An instant in UTC as ISO 8601 writes it: `2026-01-01T00:00:00Z`, with or without a fraction.
fn instant(text: &str) -> Option<Timestamp> {
    let is_exact = text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z');
    is_exact.then(|| text.parse().ok()).flatten()
}

/// A number of bytes: forms have it as a number or as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields put over those of a good form, and what is wrong with it then.
    type FormRow<'a> = (&'a [(&'a str, &'a str)], Option<PolicyViolation>);

    const GOOD: &str = r#""expiration":"2026-01-01T00:00:00Z""#;

    #[test]
    fn what_is_no_policy_is_refused() {
        let with = |conditions: &str| format!("{{{GOOD},\"conditions\":{conditions}}}");
        let rows = [
            ("{".to_owned(), "Invalid JSON"),
            ("[]".to_owned(), "Invalid JSON"),
            ("{}".to_owned(), "missing expiration"),
            (format!("{{{GOOD}}}"), "missing conditions"),
            (r#"{"EXPIRATION":"2026-01-01T00:00:00Z","conditions":[]}"#.to_owned(), "Unexpected"),
            (r#"{"expiration":"soon","conditions":[]}"#.to_owned(), "'expiration'"),
            (
                r#"{"expiration":"2026-01-01 00:00:00+00:00","conditions":[]}"#.to_owned(),
                "'expiration'",
            ),
            (with("{}"), "missing conditions"),
            (with("[{}]"), "Invalid condition: {}"),
            (with("[1]"), "Invalid condition"),
            (with(r#"[{"acl":1}]"#), "Invalid condition"),
            (with(r#"[["eq","$key"]]"#), "Invalid condition"),
            (with(r#"[["eq","key","a"]]"#), "Invalid condition"),
            (with(r#"[["is","$key","a"]]"#), "Invalid condition"),
            (with(r#"[["content-length-range",0]]"#), "Invalid condition"),
            (with(r#"[["content-length-range",-1,0]]"#), "Invalid condition"),
            (with(&format!("[\"{}\"]", "a".repeat(POST_POLICY_BYTES_MAX))), "too large"),
        ];
        for (text, expected) in rows {
            let error = PostPolicy::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{}: {error}", &text[..text.len().min(99)]);
        }
    }

    #[test]
    fn forms_are_what_the_policy_says_or_refused() {
        let text = format!(
            r#"{{{GOOD},"conditions":[{{"BUCKET":"b"}},["Starts-With","$Key","user/"],
            {{"acl":"private"}},["starts-with","$Content-Type","image/"],["eq","$x-amz-meta-a","1"],["starts-with","$x-amz-meta-b",""],
            ["content-length-range","1",9],["content-length-range",0,7]]}}"#
        );
        let policy = PostPolicy::parse(text.as_bytes()).unwrap();
        let range = ContentLengthRange { bytes_min: 1, bytes_max: 7 };
        assert_eq!(policy.content_length(), Some(range));
        let good = [
            ("key", "user/k"),
            ("acl", "private"),
            ("content-type", "image/png"),
            ("x-amz-meta-a", "1"),
        ];
        let failed = |text: &str| Some(PolicyViolation::Condition(text.to_owned()));
        let extra = |name: &str| Some(PolicyViolation::ExtraField(name.to_owned()));
        let rows: &[FormRow<'_>] = &[
            (&[], None),
            (&[("x-amz-meta-b", "any")], None),
            (&[("x-ignore-this", "any"), ("policy", "p"), ("signature", "s")], None),
            (&[("x-amz-checksum-sha256", "any")], None),
            (&[("x-amz-meta-c", "any")], extra("x-amz-meta-c")),
            (&[("content-type", "image/png, image/gif")], None),
            (
                &[("content-type", "image/png,text/html")],
                failed(r#"["starts-with","$Content-Type","image/"]"#),
            ),
            (&[("key", "other/k")], failed(r#"["Starts-With","$Key","user/"]"#)),
            (&[("acl", "")], failed(r#"{"acl":"private"}"#)),
            (&[("x-amz-meta-a", "2")], failed(r#"["eq","$x-amz-meta-a","1"]"#)),
        ];
        for (over, expected) in rows {
            let over = over.iter().copied();
            let kept = good.into_iter().filter(|(name, _)| !over.clone().any(|it| it.0 == *name));
            let fields: Vec<_> =
                kept.chain(over.clone()).map(|(name, value)| (name.into(), value.into())).collect();
            let now = "2025-12-31T23:59:59Z".parse().unwrap();
            assert_eq!(policy.check(&fields, "b", now).err(), *expected, "{fields:?}");
            let other = policy.check(&fields, "c", now).err();
            assert_eq!(other, failed(r#"{"BUCKET":"b"}"#));
            let late = "2026-01-01T00:00:00Z".parse().unwrap();
            assert_eq!(policy.check(&fields, "b", late), Err(PolicyViolation::Expired));
        }
        let unnamed = format!("{{{GOOD},\"conditions\":[]}}");
        let unnamed = PostPolicy::parse(unnamed.as_bytes()).unwrap();
        let now = "2025-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(
            unnamed.check(&[], "b", now).err(),
            extra("bucket"),
            "no policy is for any bucket"
        );
    }
}
