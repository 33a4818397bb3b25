//! Whose signature a form carries, and whether it is one.
//!
//! Both versions sign the policy as it stands in the form, in Base64. Version 2 is an HMAC with the secret
//! itself: AWS and others still take it for forms, and old pages make no other
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;

use crate::identity::SecretAccessKey;
use crate::sigv4::{ALGORITHM, AmzDate, Credential, Malformed, Signature, SigningKey};

const SERVICE: &str = "s3";

/// What a form says of who signed it.
#[derive(Debug)]
pub enum PostClaim<'a> {
    /// Nothing: it has no policy.
    Anonymous,
    /// A field that has to be there is missing.
    Missing(&'static str),
    /// A field cannot be what it has to be.
    Malformed(&'static str),
    /// Somebody signed.
    Signed(PostSignature<'a>),
}

/// A signature of a form's policy.
#[derive(Debug)]
pub struct PostSignature<'a> {
    policy: &'a str,
    form: SignatureForm<'a>,
}

#[derive(Debug)]
enum SignatureForm<'a> {
    V2 { access_key_id: &'a str, signature: &'a str },
    V4 { credential: Box<Credential<'a>>, date: AmzDate, signature: &'a str },
}

/// Reads who signed a form; `field` gives its fields by lower-case name.
pub fn claim<'a>(field: impl Fn(&str) -> Option<&'a str>) -> PostClaim<'a> {
    let v4 = field("x-amz-algorithm").or_else(|| field("x-amz-credential"));
    let is_signed = v4.or_else(|| field("awsaccesskeyid")).or_else(|| field("signature"));
    let Some(policy) = field("policy") else {
        return if is_signed.is_some() {
            PostClaim::Missing("policy")
        } else {
            PostClaim::Anonymous
        };
    };
    let form = if v4.is_some() { of_v4(&field) } else { of_v2(&field) };
    match form {
        Ok(form) => PostClaim::Signed(PostSignature { policy, form }),
        Err(claim) => claim,
    }
}

fn of_v2<'a>(field: &impl Fn(&str) -> Option<&'a str>) -> Result<SignatureForm<'a>, PostClaim<'a>> {
    let access_key_id = field("awsaccesskeyid").ok_or(PostClaim::Missing("AWSAccessKeyId"))?;
    let signature = field("signature").ok_or(PostClaim::Missing("signature"))?;
    Ok(SignatureForm::V2 { access_key_id, signature })
}

fn of_v4<'a>(field: &impl Fn(&str) -> Option<&'a str>) -> Result<SignatureForm<'a>, PostClaim<'a>> {
    let needed = |name| field(name).ok_or(PostClaim::Missing(name));
    if needed("x-amz-algorithm")? != ALGORITHM {
        return Err(PostClaim::Malformed("x-amz-algorithm"));
    }
    let malformed = |_: Malformed| PostClaim::Malformed("x-amz-credential");
    let credential = Credential::parse(Cow::Borrowed(needed("x-amz-credential")?));
    let credential = Box::new(credential.map_err(malformed)?);
    let date = AmzDate::parse(needed("x-amz-date")?.as_bytes());
    let date = date.ok_or(PostClaim::Malformed("x-amz-date"))?;
    let scope = credential.scope();
    if scope.service != SERVICE || scope.date != date.day() {
        return Err(PostClaim::Malformed("x-amz-credential"));
    }
    let signature = needed("x-amz-signature")?;
    Ok(SignatureForm::V4 { credential, date, signature })
}

impl PostSignature<'_> {
    /// The key that it claims to be made with.
    pub fn access_key_id(&self) -> &str {
        match &self.form {
            SignatureForm::V2 { access_key_id, .. } => access_key_id,
            SignatureForm::V4 { credential, .. } => credential.access_key_id(),
        }
    }

    /// When it claims to be made; version 2 does not say so.
    pub fn signed_at(&self) -> Option<Timestamp> {
        match &self.form {
            SignatureForm::V2 { .. } => None,
            SignatureForm::V4 { date, .. } => Some(date.instant()),
        }
    }

    /// Whether it is of version 2.
    pub fn is_v2(&self) -> bool {
        matches!(self.form, SignatureForm::V2 { .. })
    }

    /// The policy as it was signed: in Base64.
    pub fn policy(&self) -> &str {
        self.policy
    }

    /// The policy's document; none if it is not Base64.
    pub fn document(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.policy.trim()).ok()
    }

    /// Whether it was made with `secret`, compared in constant time.
    pub fn is_of(&self, secret: &SecretAccessKey) -> bool {
        match &self.form {
            SignatureForm::V2 { signature, .. } => {
                let key =
                    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
                let signature = STANDARD.decode(signature.trim());
                signature.is_ok_and(|it| hmac::verify(&key, self.policy.as_bytes(), &it).is_ok())
            }
            SignatureForm::V4 { credential, signature, .. } => {
                let key = SigningKey::derive(secret, &credential.scope());
                Signature::parse(signature.as_bytes())
                    .is_some_and(|signature| key.verifies(self.policy.as_bytes(), &signature))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const POLICY: &str = "eyJleHBpcmF0aW9uIjoiMjAxNSJ9";

    fn form(pairs: &[(&'static str, &'static str)]) -> BTreeMap<&'static str, String> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    fn is_signed(fields: &BTreeMap<&'static str, String>, secret: &str) -> Option<bool> {
        match claim(|name| fields.get(name).map(String::as_str)) {
            PostClaim::Signed(signature) => {
                assert_eq!(signature.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
                Some(signature.is_of(&SecretAccessKey::new(secret)))
            }
            PostClaim::Anonymous | PostClaim::Missing(_) | PostClaim::Malformed(_) => None,
        }
    }

    #[test]
    fn signatures_of_version_2() {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let mut fields = form(&[("awsaccesskeyid", "AKIAIOSFODNN7EXAMPLE"), ("policy", POLICY)]);
        fields.insert("signature", STANDARD.encode(hmac::sign(&key, POLICY.as_bytes())));
        assert_eq!(is_signed(&fields, SECRET), Some(true));
        assert_eq!(is_signed(&fields, "another"), Some(false));
        fields.insert("policy", POLICY.to_lowercase());
        assert_eq!(is_signed(&fields, SECRET), Some(false));
        fields.remove("signature");
        assert_eq!(is_signed(&fields, SECRET), None);
    }

    #[test]
    fn signatures_of_version_4() {
        let scope = crate::sigv4::Scope { date: "20151229", region: "us-east-1", service: "s3" };
        let key = SigningKey::derive(&SecretAccessKey::new(SECRET), &scope);
        let mut fields = form(&[
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            ("x-amz-date", "20151229T000000Z"),
            ("policy", POLICY),
        ]);
        fields.insert("x-amz-signature", key.sign(POLICY.as_bytes()).as_str().to_owned());
        assert_eq!(is_signed(&fields, SECRET), Some(true));
        assert_eq!(is_signed(&fields, "another"), Some(false));
        for (name, value) in [
            ("x-amz-algorithm", "AWS4-HMAC-SHA1"),
            ("x-amz-date", "20151230T000000Z"),
            ("x-amz-date", "today"),
            ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/sts/aws4_request"),
            ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE"),
        ] {
            let mut wrong = fields.clone();
            wrong.insert(name, value.to_owned());
            assert_eq!(is_signed(&wrong, SECRET), None, "{name} {value}");
        }
    }

    #[test]
    fn the_example_of_aws() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
        let policy = concat!(
            "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7",
            "ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91",
            "c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3Qi",
            "OiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwi",
            "fSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRh",
            "LXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVT",
            "MjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNy",
            "ZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9",
            "LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAi",
            "MjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9",
        );
        let mut fields = form(&[
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            ("x-amz-date", "20151229T000000Z"),
            ("x-amz-signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
        ]);
        fields.insert("policy", policy.to_owned());
        assert_eq!(is_signed(&fields, SECRET), Some(true));
    }
}
