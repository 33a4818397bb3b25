//! What an ID token says, as far as the one who asked for it has to look
//! (<https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>).
//!
//! Signature, issuer, time and audience are for STS to verify, which is handed the very same token and refuses
//! one in which a name stands twice.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Oidc;
use crate::session::is_same;

/// Lengths of a session's name, in characters, and what it may have besides letters and digits
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=64;
const NAME_MARKS: &str = "_+=,.@-";
/// What stands for everything else in a name.
const OTHER: char = '-';

/// The claims of a token that nobody has verified yet.
pub(crate) struct IdToken(Map<String, Value>);

impl IdToken {
    /// Reads the claims of `token`; none if it is no JWT.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok().map(Self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether it was made for the sign-in with `nonce`, by the provider, for the console.
    pub(crate) fn is_for(&self, oidc: &Oidc, nonce: &str) -> bool {
        let own = oidc.client_id.as_str();
        let is_audience = match self.0.get("aud") {
            Some(Value::String(one)) => one == own,
            Some(Value::Array(many)) => many.iter().any(|one| one == own),
            _ => false,
        };
        let is_party = self.0.get("azp").is_none_or(|party| party == own);
        let is_issuer = self.text("iss") == Some(oidc.issuer.as_str());
        is_issuer
            && is_audience
            && is_party
            && is_same(nonce, self.text("nonce").unwrap_or_default())
    }

    /// What people know whoever it is for by, as a name of a session.
    pub(crate) fn session_name(&self) -> String {
        // An address that is only claimed may be somebody else's. Some providers write it as a text.
        let is_claimed = match self.0.get("email_verified") {
            Some(Value::Bool(is_verified)) => !is_verified,
            Some(Value::String(text)) => text != "true",
            _ => false,
        };
        let email = self.text("email").filter(|_| !is_claimed);
        let names = [email, self.text("preferred_username"), self.text("sub")];
        let name = names.into_iter().flatten().next().unwrap_or_default();
        let is_legal = |it: char| it.is_ascii_alphanumeric() || NAME_MARKS.contains(it);
        let legal = name.chars().map(|it| if is_legal(it) { it } else { OTHER });
        let mut name: String = legal.take(*NAME_CHARS.end()).collect();
        while name.len() < *NAME_CHARS.start() {
            name.push(OTHER);
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::tests::provider;

    fn token(payload: &str) -> Option<IdToken> {
        IdToken::read(&format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn a_token_is_for_one_sign_in_here() {
        let good = r#"{"iss":"https://id.test","aud":"console","nonce":"n"}"#;
        let with = |from: &str, to: &str| good.replace(from, to);
        let rows = [
            (good.to_owned(), true),
            (with(r#""console""#, r#"["x","console"]"#), true),
            (with(r#""console""#, r#"["x"]"#), false),
            (with(r#""console""#, r#""other""#), false),
            (with(r#""console""#, r#""console","azp":"console""#), true),
            (with(r#""console""#, r#""console","azp":"other""#), false),
            (with("id.test", "other.test"), false),
            (with(r#""n""#, r#""m""#), false),
            (with(r#""n""#, r#""""#), false),
            (with(r#""n""#, "7"), false),
            ("{}".to_owned(), false),
        ];
        for (payload, expected) in rows {
            assert_eq!(token(&payload).unwrap().is_for(&provider(), "n"), expected, "{payload}");
        }
        for text in ["", "a", "a.b", "a.b.c", "e30.W10.c2ln"] {
            assert!(IdToken::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn sessions_are_called_what_people_know() {
        let long = format!(r#"{{"sub":"{}"}}"#, "s".repeat(65));
        let most = "s".repeat(64);
        let rows = [
            (r#"{"sub":"7","email":"ann@x.test"}"#, "ann@x.test"),
            (r#"{"sub":"7","email":"ann@x.test","email_verified":true}"#, "ann@x.test"),
            (r#"{"sub":"7f","email":"ann@x.test","email_verified":false}"#, "7f"),
            (r#"{"sub":"7f","email":"ann@x.test","email_verified":"false"}"#, "7f"),
            (r#"{"sub":"7","email":"","preferred_username":"ann"}"#, "ann"),
            (r#"{"sub":"7f","email":7}"#, "7f"),
            (r#"{"sub":"auth0|ann müller"}"#, "auth0-ann-m-ller"),
            (r#"{"sub":"7"}"#, "7-"),
            ("{}", "--"),
            (long.as_str(), most.as_str()),
        ];
        for (payload, expected) in rows {
            assert_eq!(token(payload).unwrap().session_name(), expected, "{payload}");
        }
    }
}
