//! What an ID token says: for whom, by whom, until when
//! (<https://openid.net/specs/openid-connect-core-1_0.html#IDToken>, RFC 7519).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

use super::json::Object;
use super::jws::Token;
use crate::policy::folded;

/// How far the provider's clock may be off, in seconds.
pub const CLOCK_LEEWAY_S: i64 = 60;
const SUBJECT_BYTES_MAX: usize = 255;
/// Tags of a session (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>).
const TAGS_MAX: usize = 50;
/// The claim in which a provider gives tags, and what begins the names of its flat form.
const TAGS: &str = "https://aws.amazon.com/tags";
const PRINCIPAL_TAGS: &str = "principal_tags";
const TRANSITIVE_KEYS: &str = "transitive_tag_keys";

/// What a token has to say to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The provider, as the very same text.
    pub issuer: &'a str,
    /// Whom tokens may be for: one of these must be among a token's audiences.
    pub audiences: &'a [String],
    /// The time.
    pub now: Timestamp,
}

/// Why a token says nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// The payload is no JSON object, or a name stands twice in it.
    #[error("the token's claims are not a JSON object")]
    Malformed,
    /// A claim that has to be there is not.
    #[error("the token lacks the claim {0}")]
    Missing(&'static str),
    /// A claim is not what its name promises.
    #[error("the token's claim {0} is malformed")]
    Invalid(&'static str),
    /// Another provider's.
    #[error("the token is another issuer's")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it was made in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// The value of a claim, as text: numbers and booleans as JSON writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// A text, a number or a boolean.
    One(String),
    /// A list of such.
    Many(Vec<String>),
}

/// Tags that a provider gives the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenTags {
    /// Keys and values, by key.
    pub principal_tags: BTreeMap<String, String>,
    /// Keys of those that follow into further sessions.
    pub transitive_keys: Vec<String>,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `sub`: whom the provider knows, at most 255 bytes.
    pub subject: String,
    /// `aud`: at least one, and one of those expected.
    pub audiences: Vec<String>,
    /// `azp`: the client that the token was given to.
    pub authorized_party: Option<String>,
    /// `exp`.
    pub expires: Timestamp,
    /// `iat`.
    pub issued: Timestamp,
    /// Every claim that is a text, a number, a boolean or a list of such, those above included.
    pub values: BTreeMap<String, ClaimValue>,
    /// The tags of `https://aws.amazon.com/tags`, nested or flat.
    pub tags: TokenTags,
}

/// The issuer that a token claims, to find the provider that must have signed it. Proves nothing.
pub fn unverified_issuer(token: &Token<'_>) -> Option<String> {
    Object::parse(token.payload())?.text("iss").map(str::to_owned)
}

impl Claims {
    /// Reads the payload of a token whose signature is right.
    pub(super) fn of(payload: &[u8], expected: &Expected<'_>) -> Result<Self, ClaimError> {
        let object = Object::parse(payload).ok_or(ClaimError::Malformed)?;
        let issuer = text(&object, "iss")?.ok_or(ClaimError::Missing("iss"))?;
        if issuer != expected.issuer {
            return Err(ClaimError::Issuer);
        }
        let audiences = audiences(&object)?;
        if !audiences.iter().any(|audience| expected.audiences.contains(audience)) {
            return Err(ClaimError::Audience);
        }
        let (expires, issued) = lifetime(&object, expected.now)?;
        let subject = text(&object, "sub")?.ok_or(ClaimError::Missing("sub"))?;
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(ClaimError::Invalid("sub"));
        }
        let authorized_party = text(&object, "azp")?;
        let tags = tags(&object)?;
        let members = object.into_members().into_iter();
        let values = members.filter_map(|(name, value)| Some((name, ClaimValue::of(&value)?)));
        Ok(Self {
            issuer,
            subject,
            audiences,
            authorized_party,
            expires,
            issued,
            values: values.collect(),
            tags,
        })
    }

    /// Whom AWS takes the token to be for: the authorized party if there is one, else the first audience.
    pub fn effective_audience(&self) -> &str {
        let first = self.audiences.first().map(String::as_str).unwrap_or_default();
        self.authorized_party.as_deref().unwrap_or(first)
    }
}

impl ClaimValue {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(list) => list.iter().map(scalar).collect::<Option<_>>().map(Self::Many),
            value => scalar(value).map(Self::One),
        }
    }

    /// The texts: one or many.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(object: &Object, name: &'static str) -> Result<Option<String>, ClaimError> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(ClaimError::Invalid(name));
    object.get(name).map(text).transpose()
}

fn audiences(object: &Object) -> Result<Vec<String>, ClaimError> {
    let texts = |list: &Vec<Value>| {
        list.iter().map(|it| it.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let audiences = match object.get("aud") {
        None => return Err(ClaimError::Missing("aud")),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(list)) => texts(list),
        Some(_) => None,
    };
    audiences.ok_or(ClaimError::Invalid("aud"))
}

/// When the token ends and was made, if it is in between.
fn lifetime(object: &Object, now: Timestamp) -> Result<(Timestamp, Timestamp), ClaimError> {
    let expires = instant(object, "exp")?.ok_or(ClaimError::Missing("exp"))?;
    let issued = instant(object, "iat")?.ok_or(ClaimError::Missing("iat"))?;
    let starts = instant(object, "nbf")?.unwrap_or(issued);
    let now_s = now.as_second();
    if now_s >= expires.as_second().saturating_add(CLOCK_LEEWAY_S) {
        return Err(ClaimError::Expired);
    }
    let begins_s = issued.as_second().max(starts.as_second());
    if now_s.saturating_add(CLOCK_LEEWAY_S) < begins_s {
        return Err(ClaimError::NotYetValid);
    }
    Ok((expires, issued))
}

/// A `NumericDate`: seconds since 1970, with or without a fraction, which is cut.
fn instant(object: &Object, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| {
        // A float past the range becomes its end, which is no timestamp.
        value.as_f64().map(|seconds| seconds.floor() as i64)
    });
    let instant = whole.and_then(|seconds| Timestamp::from_second(seconds).ok());
    instant.map(Some).ok_or(ClaimError::Invalid(name))
}

fn tags(object: &Object) -> Result<TokenTags, ClaimError> {
    let invalid = || ClaimError::Invalid(TAGS);
    let mut tags = TokenTags::default();
    let nested = object.get(TAGS).map(|tags| tags.as_object().ok_or_else(invalid)).transpose()?;
    let member = |name| nested.and_then(|nested| nested.get(name));
    if let Some(pairs) = member(PRINCIPAL_TAGS) {
        for (key, value) in pairs.as_object().ok_or_else(invalid)? {
            tags.principal_tags.insert(key.clone(), sole(value).ok_or_else(invalid)?);
        }
    }
    for (name, value) in object.members() {
        let flat = name.strip_prefix(TAGS).and_then(|rest| rest.strip_prefix('/'));
        let key = flat.and_then(|rest| rest.strip_prefix(PRINCIPAL_TAGS)?.strip_prefix('/'));
        if let Some(key) = key {
            tags.principal_tags.insert(key.to_owned(), sole(value).ok_or_else(invalid)?);
        }
    }
    let flat = object.get(&format!("{TAGS}/{TRANSITIVE_KEYS}"));
    if let Some(keys) = member(TRANSITIVE_KEYS).or(flat) {
        let keys = ClaimValue::of(keys).ok_or_else(invalid)?;
        tags.transitive_keys = keys.texts().to_vec();
    }
    let fits = tags.principal_tags.len() <= TAGS_MAX && tags.transitive_keys.len() <= TAGS_MAX;
    // Names of tags are compared without case: one of them would have two values.
    let names: BTreeSet<_> = tags.principal_tags.keys().map(|key| folded(key)).collect();
    if fits && names.len() == tags.principal_tags.len() { Ok(tags) } else { Err(invalid()) }
}

/// The value of a tag: a text, or a list of one.
fn sole(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) => match list.as_slice() {
            [one] => scalar(one),
            _ => None,
        },
        value => scalar(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims put over those of a good token, and what is wrong with it then.
    type ClaimRow<'a> = (&'a [(&'a str, &'a str)], Option<ClaimError>);

    const NOW_S: i64 = 1_800_000_000;
    const GOOD: [(&str, &str); 6] = [
        ("iss", r#""https://id.test""#),
        ("sub", r#""repo:org/name:ref:refs/heads/main""#),
        ("aud", r#""sts.tidelock""#),
        ("exp", "1800000300"),
        ("iat", "1800000000"),
        ("run", "7"),
    ];

    /// A good token's claims with some put over; empty is left out.
    fn read(over: &[(&str, &str)]) -> Result<Claims, ClaimError> {
        let kept = GOOD.iter().filter(|(name, _)| !over.iter().any(|it| it.0 == *name));
        let members = kept.chain(over).filter(|(_, value)| !value.is_empty());
        let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let expected = Expected {
            issuer: "https://id.test",
            audiences: &["other".to_owned(), "sts.tidelock".to_owned()],
            now: Timestamp::from_second(NOW_S).unwrap(),
        };
        Claims::of(format!("{{{}}}", members.join(",")).as_bytes(), &expected)
    }

    #[test]
    fn claims_are_taken_or_refused() {
        use ClaimError::{Audience, Expired, Invalid, Issuer, Malformed, Missing, NotYetValid};
        let long = format!("\"{}\"", "s".repeat(SUBJECT_BYTES_MAX + 1));
        let rows: &[ClaimRow<'_>] = &[
            (&[], None),
            (&[("iss", r#""https://id.test/""#)], Some(Issuer)),
            (&[("iss", "7")], Some(Invalid("iss"))),
            (&[("iss", "")], Some(Missing("iss"))),
            (&[("aud", r#"["x","sts.tidelock"]"#)], None),
            (&[("aud", r#"["x"]"#)], Some(Audience)),
            (&[("aud", "[]")], Some(Audience)),
            (&[("aud", r#""STS.tidelock""#)], Some(Audience)),
            (&[("aud", r#"["sts.tidelock",7]"#)], Some(Invalid("aud"))),
            (&[("aud", "{}")], Some(Invalid("aud"))),
            (&[("aud", "")], Some(Missing("aud"))),
            (&[("sub", "")], Some(Missing("sub"))),
            (&[("sub", r#""""#)], Some(Invalid("sub"))),
            (&[("sub", &long)], Some(Invalid("sub"))),
            (&[("azp", "7")], Some(Invalid("azp"))),
            (&[("exp", "")], Some(Missing("exp"))),
            (&[("exp", r#""1800000300""#)], Some(Invalid("exp"))),
            (&[("exp", "1e300")], Some(Invalid("exp"))),
            (&[("exp", "-1e300")], Some(Invalid("exp"))),
            (&[("exp", "1799999941")], None),
            (&[("exp", "1799999941.9")], None),
            (&[("exp", "1799999940")], Some(Expired)),
            (&[("exp", "9223372036854775807")], Some(Invalid("exp"))),
            (&[("iat", "")], Some(Missing("iat"))),
            (&[("iat", "1800000060")], None),
            (&[("iat", "1800000061")], Some(NotYetValid)),
            (&[("nbf", "1800000060")], None),
            (&[("nbf", "1800000061")], Some(NotYetValid)),
            (&[("nbf", "null")], Some(Invalid("nbf"))),
            (&[("run", "7"), ("run", "8")], Some(Malformed)),
            (&[("https://aws.amazon.com/tags", "7")], Some(Invalid(TAGS))),
        ];
        for (over, expected) in rows {
            assert_eq!(read(over).err(), *expected, "{over:?}");
        }
    }

    #[test]
    fn scalars_and_lists_of_them_are_told() {
        let claims = read(&[
            ("groups", r#"["a",1,true]"#),
            ("admin", "false"),
            ("nested", r#"{"a":1}"#),
            ("mixed", r#"["a",{}]"#),
            ("nothing", "null"),
            ("azp", r#""app""#),
        ]);
        let claims = claims.unwrap();
        let texts = |name| claims.values.get(name).map(|it: &ClaimValue| it.texts().join(" "));
        assert_eq!(texts("groups").as_deref(), Some("a 1 true"));
        assert_eq!(texts("admin").as_deref(), Some("false"));
        assert_eq!(texts("run").as_deref(), Some("7"));
        assert_eq!(texts("aud").as_deref(), Some("sts.tidelock"));
        for name in ["nested", "mixed", "nothing"] {
            assert_eq!(texts(name), None, "{name}");
        }
        assert_eq!(claims.effective_audience(), "app");
        assert_eq!(read(&[]).unwrap().effective_audience(), "sts.tidelock");
    }

    #[test]
    fn tags_come_nested_or_flat() {
        let nested = read(&[(
            "https://aws.amazon.com/tags",
            r#"{"principal_tags":{"team":["core"],"cost":"9"},"transitive_tag_keys":["team"]}"#,
        )]);
        let flat = read(&[
            ("https://aws.amazon.com/tags/principal_tags/team", r#""core""#),
            ("https://aws.amazon.com/tags/principal_tags/cost", "9"),
            ("https://aws.amazon.com/tags/transitive_tag_keys", r#"["team"]"#),
        ]);
        let expected = TokenTags {
            principal_tags: [("team", "core"), ("cost", "9")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            transitive_keys: vec!["team".to_owned()],
        };
        assert_eq!(nested.unwrap().tags, expected);
        assert_eq!(flat.unwrap().tags, expected);
        let twice = [
            r#"{"principal_tags":{"team":["a","b"]}}"#,
            r#"{"principal_tags":{"team":"a","Team":"b"}}"#,
            r#"{"principal_tags":{"workspace":"a","wor\u212aspace":"b"}}"#,
        ];
        for two in twice {
            assert_eq!(read(&[(TAGS, two)]).err(), Some(ClaimError::Invalid(TAGS)), "{two}");
        }
    }
}
