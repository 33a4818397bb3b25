//! Signature Version 2 in the `Authorization` header: `AWS KEY:SIGNATURE`, an HMAC-SHA1 over a few lines
//! of the head (<https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>).
//!
//! AWS takes it for buckets made before June 2020 only. It covers neither the body nor what came into the
//! query after it: such requests are refused here, since anybody on the way could have made another of
//! them. Whoever calls decides whether version 2 is taken at all; presigned URLs of it are not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use percent_encoding::percent_decode_str;
use ring::hmac;

use crate::identity::SecretAccessKey;
use crate::sigv4::{AuthError, RequestHead, SKEW_MS_MAX, SignatureMismatch};

/// What of the query is signed: the sub-resources there were, and the headers of an answer.
const SIGNED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];
/// Sub-resources that no version 2 signs.
const REFUSED: &[&str] = &[
    "abac",
    "annotation",
    "annotationName",
    "attributes",
    "encryption",
    "intelligent-tiering",
    "legal-hold",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "ownershipControls",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "retention",
    "session",
];
const AMZ_PREFIX: &str = "x-amz-";
const DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// A request that says it is signed with version 2.
#[derive(Clone, Debug)]
pub struct SignedRequest<'a> {
    head: RequestHead<'a>,
    access_key_id: &'a str,
    signature: &'a str,
}

/// Whether a parameter of the query is signed or makes the request be refused.
pub fn covers(parameter: &str) -> bool {
    SIGNED.contains(&parameter) || REFUSED.contains(&parameter)
}

/// The request, if its one `Authorization` header is of version 2. All else is
/// [`sigv4::parse`](crate::sigv4::parse)'s to read, or to refuse.
pub fn parse(head: RequestHead<'_>) -> Option<SignedRequest<'_>> {
    let mut headers = head.headers.iter().filter(|it| it.0.eq_ignore_ascii_case("authorization"));
    let (Some((_, value)), None) = (headers.next(), headers.next()) else { return None };
    let text = std::str::from_utf8(value).ok()?.trim().strip_prefix("AWS ")?;
    let (access_key_id, signature) = text.trim().split_once(':')?;
    let is_whole = !access_key_id.is_empty() && !signature.is_empty();
    let is_sole = parameters(head.query).all(|(name, _)| !is_claim(&name));
    (is_whole && is_sole).then_some(SignedRequest { head, access_key_id, signature })
}

impl SignedRequest<'_> {
    /// The key that it claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        self.access_key_id
    }

    /// When it claims to be signed, if it says so.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.date().map(|(_, instant)| instant)
    }

    /// Whether it was signed with `secret`, not longer ago than a quarter of an hour.
    ///
    /// # Errors
    ///
    /// [`AuthError::Date`], [`AuthError::TimeTooSkewed`], [`AuthError::SignatureV2`] for what version 2
    /// does not sign, [`AuthError::SignatureMismatch`].
    pub fn verify(&self, secret: &SecretAccessKey, now: Timestamp) -> Result<(), AuthError> {
        let (text, date) = self.date().ok_or(AuthError::Date)?;
        if (now.as_millisecond() - date.as_millisecond()).abs() > SKEW_MS_MAX {
            return Err(AuthError::TimeTooSkewed {
                request_time: text,
                server_time: now,
                skew_ms_max: SKEW_MS_MAX,
            });
        }
        if parameters(self.head.query).any(|(name, _)| REFUSED.contains(&&*name)) {
            return Err(AuthError::SignatureV2);
        }
        let string_to_sign = self.string_to_sign();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
        let signature = STANDARD.decode(self.signature).unwrap_or_default();
        hmac::verify(&key, &string_to_sign, &signature).map_err(|_| {
            AuthError::SignatureMismatch(Box::new(SignatureMismatch {
                access_key_id: self.access_key_id.to_owned(),
                signature_provided: self.signature.to_owned(),
                string_to_sign: String::from_utf8_lossy(&string_to_sign).into_owned(),
                canonical_request: String::new(),
            }))
        })
    }

    /// `x-amz-date`, else `Date`: as sent, and as an instant since 1970.
    fn date(&self) -> Option<(String, Timestamp)> {
        let name = if self.has("x-amz-date") { "x-amz-date" } else { "date" };
        let text = String::from_utf8(self.values(name)).ok()?;
        let instant = DATES.parse_timestamp(text.trim()).ok()?;
        (instant >= Timestamp::UNIX_EPOCH).then_some((text, instant))
    }

    fn string_to_sign(&self) -> Vec<u8> {
        let mut out = self.head.method.as_bytes().to_vec();
        for name in ["content-md5", "content-type", "date"] {
            out.push(b'\n');
            if name != "date" || !self.has("x-amz-date") {
                out.extend(self.values(name));
            }
        }
        out.push(b'\n');
        let names = self.head.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        let names = names.filter(|name| name.starts_with(AMZ_PREFIX));
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            out.extend(name.bytes());
            out.push(b':');
            out.extend(self.values(&name));
            out.push(b'\n');
        }
        out.extend(self.head.path.bytes());
        let query = parameters(self.head.query).filter(|(name, _)| SIGNED.contains(&&**name));
        let query: BTreeMap<_, _> = query.collect();
        for (at, (name, value)) in query.iter().enumerate() {
            out.push(if at == 0 { b'?' } else { b'&' });
            out.extend(name.bytes());
            if let Some(value) = value {
                out.push(b'=');
                out.extend(value.as_ref());
            }
        }
        out
    }

    fn has(&self, name: &str) -> bool {
        self.head.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    /// The values of a header, trimmed and joined with commas.
    fn values(&self, name: &str) -> Vec<u8> {
        let named = self.head.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
        let values: Vec<_> = named.map(|(_, value)| value.trim_ascii()).collect();
        values.join(&b","[..])
    }
}

/// The names of a query as sent, and their values decoded; none where no `=` stands.
fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Option<Cow<'_, [u8]>>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| match pair.split_once('=') {
        None => (decoded(pair), None),
        Some((name, value)) => (decoded(name), Some(percent_decode_str(value).into())),
    })
}

/// A name is compared as the server will read it.
fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// Whether a parameter claims a signature of its own.
fn is_claim(name: &str) -> bool {
    ["X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential", "Signature", "AWSAccessKeyId"]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys and requests of
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>, with the bucket in the
    /// path.
    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn verified(
        (method, target): (&str, &str),
        headers: Headers<'_>,
        signature: &str,
        now: &str,
    ) -> Result<(), AuthError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let authorization = format!("AWS {KEY}:{signature}");
        let mut all: Vec<_> = headers.iter().map(|(name, it)| (*name, it.as_bytes())).collect();
        all.push(("Authorization", authorization.as_bytes()));
        let request = parse(RequestHead { method, path, query, authority: None, headers: &all });
        let request = request.expect("is of version 2");
        assert_eq!(request.access_key_id(), KEY);
        request.verify(&SecretAccessKey::new(SECRET), now.parse().unwrap())
    }

    #[test]
    fn the_examples_of_aws() {
        let rows: &[((&str, &str), Headers<'_>, &str)] = &[
            (
                ("GET", "/awsexamplebucket1/photos/puppy.jpg"),
                &[("Date", "Tue, 27 Mar 2007 19:36:42 +0000")],
                "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
            ),
            (
                ("PUT", "/awsexamplebucket1/photos/puppy.jpg"),
                &[
                    ("Content-Type", "image/jpeg"),
                    ("Content-Length", "94328"),
                    ("Date", "Tue, 27 Mar 2007 21:15:45 +0000"),
                ],
                "iqRzw+ileNPu1fhspnRs8nOjjIA=",
            ),
            (
                ("GET", "/awsexamplebucket1/?prefix=photos&max-keys=50&marker=puppy"),
                &[("User-Agent", "Mozilla/5.0"), ("Date", "Tue, 27 Mar 2007 19:42:41 +0000")],
                "m0WP8eCtspQl5Ahe6L1SozdX9YA=",
            ),
            (
                ("GET", "/awsexamplebucket1/?acl"),
                &[("Date", "Tue, 27 Mar 2007 19:44:46 +0000")],
                "82ZHiFIjc+WbcwFKGUVEQspPn+0=",
            ),
        ];
        for (target, headers, signature) in rows {
            let now = "2007-03-27T19:50:00Z";
            let now = if target.0 == "PUT" { "2007-03-27T21:15:45Z" } else { now };
            assert_eq!(verified(*target, headers, signature, now), Ok(()), "{target:?}");
            let other = verified(("DELETE", target.1), headers, signature, now);
            assert!(matches!(other, Err(AuthError::SignatureMismatch(_))), "{target:?}");
        }
    }

    /// A request signed for the string that it should be.
    fn signed(target: (&str, &str), headers: Headers<'_>, expected: &str) -> Result<(), AuthError> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, expected.as_bytes()));
        verified(target, headers, &signature, "2007-03-27T19:36:42Z")
    }

    #[test]
    fn what_is_signed() {
        let date = "Tue, 27 Mar 2007 19:36:42 +0000";
        let headers: Headers<'_> = &[
            ("X-Amz-Meta-B", " 1 "),
            ("x-amz-meta-a", "2"),
            ("X-AMZ-META-B", "3"),
            ("Date", "ignored"),
            ("x-amz-date", date),
        ];
        let target = ("PUT", "/b/a%20b?versionId=v%2F1&x=y&acl&response-expires=a%20b");
        let expected = format!(
            "PUT\n\n\n\nx-amz-date:{date}\nx-amz-meta-a:2\nx-amz-meta-b:1,3\n\
             /b/a%20b?acl&response-expires=a b&versionId=v/1"
        );
        assert_eq!(signed(target, headers, &expected), Ok(()));
    }

    #[test]
    fn what_is_refused() {
        let date = ("Date", "Tue, 27 Mar 2007 19:36:42 +0000");
        let check = |target, header, expected: &str| {
            let error = signed(target, &[header], "x").unwrap_err();
            let shown = format!("{error:?}");
            assert!(shown.starts_with(expected), "{target:?} {header:?}: {shown}");
        };
        check(("GET", "/b/k"), date, "SignatureMismatch");
        check(("PUT", "/b?publicAccessBlock"), date, "SignatureV2");
        check(("PUT", "/b?public%41ccessBlock="), date, "SignatureV2");
        check(("GET", "/b"), ("Date", "Bad Date"), "Date");
        check(("GET", "/b"), ("x-amz-date", ""), "Date");
        check(("GET", "/b"), ("x-amz-date", "Tue, 07 Jul 1950 21:53:04 GMT"), "Date");
        // The day of the week is wrong, which nobody minds.
        check(("GET", "/b"), ("x-amz-date", "Tue, 07 Jul 2010 21:53:04 GMT"), "TimeTooSkewed");
        check(("GET", "/b"), ("x-amz-date", "Tue, 07 Jul 9999 21:53:04 GMT"), "TimeTooSkewed");
        check(("GET", "/b"), ("Other", ""), "Date");
    }

    #[test]
    fn what_is_not_of_version_2() {
        for (authorization, query) in [
            ("AWS4-HMAC-SHA256 Credential=a", ""),
            ("AWS HAHAHA", ""),
            ("AWS :a", ""),
            ("AWS a:", ""),
            ("aws a:b", ""),
            ("AWS a:b", "X-Amz-Algorithm=AWS4-HMAC-SHA256"),
            ("AWS a:b", "x=1&Signature=b"),
        ] {
            let headers: &[(&str, &[u8])] = &[("authorization", authorization.as_bytes())];
            let head = RequestHead { method: "GET", path: "/", query, authority: None, headers };
            assert!(parse(head).is_none(), "{authorization} {query}");
        }
        let headers: &[(&str, &[u8])] =
            &[("authorization", b"AWS a:b"), ("Authorization", b"AWS a:b")];
        let head = RequestHead { method: "GET", path: "/", query: "", authority: None, headers };
        assert!(parse(head).is_none(), "two claims");
    }
}
