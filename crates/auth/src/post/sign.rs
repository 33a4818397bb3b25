//! Signs a form: the fields that a page puts before the file, so that a browser may send one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sigv4::{ALGORITHM, AmzDate, Scope, Signer, SigningKey};

impl Signer<'_> {
    /// The fields that sign a form: its policy, which says `conditions` and those for the other fields
    /// returned, and its signature. The form's own fields need a condition each, and so does its bucket.
    ///
    /// The form is good for `expires_s` seconds, and no longer than the session that signs it.
    pub fn sign_form(
        &self,
        mut conditions: Vec<Value>,
        expires_s: u32,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        // A time before the year 0 is nobody's: every server refuses a form that ended in 1970.
        let date = AmzDate::at(now).unwrap_or_else(AmzDate::epoch);
        let scope = Scope { date: date.day(), region: self.region, service: self.service };
        let mut fields = vec![
            ("x-amz-algorithm", ALGORITHM.to_owned()),
            ("x-amz-credential", format!("{}/{scope}", self.access_key_id)),
            ("x-amz-date", date.as_str().to_owned()),
        ];
        if let Some(token) = self.session_token {
            fields.push(("x-amz-security-token", token.to_owned()));
        }
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        let end = Timestamp::from_second(now.as_second() + i64::from(expires_s));
        let end = end.unwrap_or(Timestamp::UNIX_EPOCH).to_string();
        let policy = json!({ "expiration": end, "conditions": conditions });
        let policy = STANDARD.encode(policy.to_string());
        let key = SigningKey::derive(self.secret, &scope);
        let signature = key.sign(policy.as_bytes()).as_str().to_owned();
        fields.extend([("policy", policy), ("x-amz-signature", signature)]);
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{AccessKeyId, SecretAccessKey};
    use crate::post::{PolicyViolation, PostClaim, PostPolicy, claim};

    #[test]
    fn a_form_is_signed_as_it_is_verified() {
        let (id, secret) = (AccessKeyId::parse("ASIAEXAMPLE").unwrap(), SecretAccessKey::new("s"));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for session_token in [None, Some("token")] {
            let (region, service) = ("us-east-1", "s3");
            let signer =
                Signer { access_key_id: &id, secret: &secret, session_token, region, service };
            let conditions = vec![json!({"bucket": "b"}), json!(["starts-with", "$key", "a/"])];
            let fields = signer.sign_form(conditions, 60, now);
            let value = |name: &str| fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
            assert_eq!(value("x-amz-security-token"), session_token);
            let PostClaim::Signed(signature) = claim(value) else { panic!("{fields:?}") };
            assert_eq!(signature.access_key_id(), "ASIAEXAMPLE");
            assert!(signature.is_of(&secret));
            assert!(!signature.is_of(&SecretAccessKey::new("another")));
            let policy = PostPolicy::parse(&signature.document().unwrap()).unwrap();
            let mut form: Vec<(String, String)> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            form.push(("key".to_owned(), "a/b".to_owned()));
            assert_eq!(policy.check(&form, "b", now), Ok(()));
            let late = Timestamp::from_second(now.as_second() + 60).unwrap();
            assert_eq!(policy.check(&form, "b", late), Err(PolicyViolation::Expired));
        }
    }
}
