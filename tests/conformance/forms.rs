//! PostObject: forms as browsers send them, signed and not, as their policy says and not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::clock::{amz_date, now_seconds};
use crate::harness::digest::{crc32_base64, etag, md5_base64};
use crate::harness::sigv4::Signer;
use crate::harness::{Ask, Client, Response, Server};

const BUCKET: &str = "forms";
const KEY: &str = "uploads/a b.txt";
const FILE: &[u8] = b"--boundary is not \r\n--the end";

/// A form before it is signed.
struct Form {
    fields: Vec<(String, String)>,
    conditions: Vec<Value>,
    /// Seconds that the policy is good for.
    lives_seconds: i64,
    file: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    V2,
    V4,
}

impl Form {
    fn new() -> Self {
        let form = Self {
            fields: vec![("key".to_owned(), KEY.to_owned())],
            conditions: vec![json!({"bucket": BUCKET}), json!(["starts-with", "$key", "uploads/"])],
            lives_seconds: 600,
            file: FILE.to_vec(),
        };
        form.field("acl", "private")
    }

    /// A field with a condition that names it.
    fn field(mut self, name: &str, value: &str) -> Self {
        self.conditions.push(json!(["eq", format!("${name}"), value]));
        self.free(name, value)
    }

    /// A field that no condition names.
    fn free(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    fn condition(mut self, condition: Value) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Signs the policy with the client's keys.
    fn signed(mut self, client: &Client, signature: Signature) -> Self {
        let now = now_seconds();
        let signer = Signer::new(&client.keys, &client.region, "s3", &amz_date(now));
        if signature == Signature::V4 {
            let credential = format!("{}/{}", client.keys.access, signer.scope);
            self = self
                .field("x-amz-algorithm", "AWS4-HMAC-SHA256")
                .field("x-amz-credential", &credential)
                .field("x-amz-date", &signer.amz_date.clone());
        }
        let end = jiff::Timestamp::from_second(now + self.lives_seconds).unwrap().to_string();
        let policy = json!({"expiration": end, "conditions": self.conditions});
        let policy = STANDARD.encode(policy.to_string());
        match signature {
            Signature::V4 => {
                let made = signer.text(&policy);
                self.free("policy", &policy).free("x-amz-signature", &made)
            }
            Signature::V2 => {
                let key = client.keys.secret.as_bytes();
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
                let made = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
                let access_key_id = &client.keys.access.clone();
                self.free("AWSAccessKeyId", access_key_id)
                    .free("policy", &policy)
                    .free("signature", &made)
            }
        }
    }

    fn send(&self, client: &Client) -> Response {
        self.send_to(client, BUCKET)
    }

    fn send_to(&self, client: &Client, bucket: &str) -> Response {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let head =
                format!("--boundary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(format!("{head}{value}\r\n").as_bytes());
        }
        let head = "--boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c:\\me\\my.txt\"\r\n\
                    Content-Type: text/html\r\n\r\n";
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.file);
        body.extend_from_slice(b"\r\n--boundary--\r\n");
        let ask = Ask::bucket("POST", bucket).anonymous().body(body);
        client.send(&ask.header("content-type", "multipart/form-data; boundary=boundary"))
    }
}

fn server() -> Server {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    server
}

#[test]
fn a_signed_form_stores_its_file() {
    let server = server();
    let root = server.root();
    for signature in [Signature::V2, Signature::V4] {
        let form = Form::new()
            .field("Content-Type", "text/plain")
            .field("x-amz-meta-who", "me")
            .field("x-amz-checksum-crc32", &crc32_base64(FILE))
            .field(
                "tagging",
                "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
            )
            .free("x-ignore-button", "Send");
        let answer = form.signed(&root, signature).send(&root).expect(204);
        assert_eq!(answer.etag(), etag(FILE));
        let location = format!("http://{}/{BUCKET}/uploads/a%20b.txt", root.host);
        assert_eq!(answer.header("location"), Some(location.as_str()));
        let got = root.send(&Ask::object("GET", BUCKET, KEY)).expect(200);
        assert_eq!(got.body, FILE, "{signature:?}");
        let header = |name| got.header(name).unwrap_or_default();
        assert_eq!(
            [header("content-type"), header("x-amz-meta-who"), header("x-amz-tagging-count")],
            ["text/plain", "me", "1"]
        );
        root.send(&Ask::object("DELETE", BUCKET, KEY)).expect(204);
    }
    let named = Form::new()
        .free("key", "uploads/${filename}")
        .condition(json!(["eq", "$key", "uploads/my.txt"]))
        .condition(json!({"x-amz-meta-name": "my.txt"}))
        .free("x-amz-meta-name", "${filename}");
    named.signed(&root, Signature::V4).send(&root).expect(204);
    let got = root.send(&Ask::object("GET", BUCKET, "uploads/my.txt")).expect(200);
    assert_eq!(got.header("x-amz-meta-name"), Some("my.txt"));
    let large = Form { file: crate::harness::chance::body(3, 3 << 20), ..Form::new() };
    let large = large.signed(&root, Signature::V4);
    large.send(&root).expect(204);
    let got = root.send(&Ask::object("GET", BUCKET, KEY)).expect(200);
    assert!(got.body == large.file, "every byte");
}

#[test]
fn the_answer_is_what_the_form_asks_for() {
    let server = server();
    let root = server.root();
    let quoted = crate::harness::sigv4::encode(&etag(FILE), false);
    let told = format!("bucket={BUCKET}&key=uploads%2Fa%20b.txt&etag={quoted}");
    let rows = [
        ("success_action_status", "200", 200, None),
        ("success_action_status", "201", 201, None),
        ("success_action_status", "404", 204, None),
        ("success_action_redirect", "http://a/b", 303, Some(format!("http://a/b?{told}"))),
        ("success_action_redirect", "http://a/b?c=d", 303, Some(format!("http://a/b?c=d&{told}"))),
        ("success_action_redirect", "javascript:1", 204, None),
        ("redirect", "https://a/", 303, Some(format!("https://a/?{told}"))),
    ];
    for (name, value, status, location) in rows {
        let form = Form::new().field(name, value).signed(&root, Signature::V4);
        let answer = form.send(&root).expect(status);
        if let Some(location) = location {
            assert_eq!(answer.header("location"), Some(location.as_str()));
        }
        if status == 201 {
            assert_eq!(answer.element("Key").as_deref(), Some(KEY));
            assert_eq!(answer.element("Bucket").as_deref(), Some(BUCKET));
            assert!(answer.text().contains("<PostResponse>"), "{}", answer.text());
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>: a temporary key's form has its token
/// in `x-amz-security-token`.
#[test]
fn a_session_signs_forms() {
    let server = server();
    let root = server.root();
    let ask =
        Ask::new("POST", "/").service("sts").body("Action=GetSessionToken&Version=2011-06-15");
    let made =
        root.send(&ask.header("content-type", "application/x-www-form-urlencoded")).expect(200);
    let of = |name: &str| made.element(name).unwrap();
    let (access, secret) = (of("AccessKeyId"), of("SecretAccessKey"));
    let session = root.with_keys(crate::harness::sigv4::Keys { access, secret });
    let token = of("SessionToken");
    let rows = [
        (Some(token.clone()), 204, ""),
        (Some(format!("{token}x")), 400, "InvalidToken"),
        (None, 403, "InvalidAccessKeyId"),
    ];
    for (token, status, code) in rows {
        for signature in [Signature::V2, Signature::V4] {
            let form = match &token {
                Some(token) => Form::new().field("x-amz-security-token", token),
                None => Form::new(),
            };
            let answer = form.signed(&session, signature).send(&root);
            let code_of = if answer.status == 204 { String::new() } else { answer.code() };
            assert_eq!((answer.status, code_of.as_str()), (status, code), "{}", answer.text());
        }
    }
    let unnamed = Form::new().signed(&session, Signature::V4).free("x-amz-security-token", &token);
    assert_eq!(unnamed.send(&root).expect(403).code(), "AccessDenied", "the policy has to name it");
}

#[test]
fn what_its_policy_does_not_say_is_refused() {
    let server = server();
    let root = server.root();
    let stranger = server.user("stranger");
    let sized = |bytes_min, bytes_max| {
        Form::new().condition(json!(["content-length-range", bytes_min, bytes_max]))
    };
    let plain = |form: Form| form.signed(&root, Signature::V4);
    let rows: Vec<(&str, Form, u16, &str)> = vec![
        ("no signature", Form::new(), 403, "AccessDenied"),
        ("another's bucket", Form::new().signed(&stranger, Signature::V4), 403, "AccessDenied"),
        ("an extra field", plain(Form::new()).free("x-amz-meta-a", "b"), 403, "AccessDenied"),
        ("another key", plain(Form::new().free("key", "other")), 403, "AccessDenied"),
        (
            "a condition unmet",
            plain(Form::new().condition(json!({"x-amz-meta-a": "b"}))),
            403,
            "AccessDenied",
        ),
        ("expired", plain(Form { lives_seconds: -1, ..Form::new() }), 403, "AccessDenied"),
        (
            "a policy changed",
            plain(Form::new()).free("policy", "e30="),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "a signature of version 2 changed",
            Form::new().signed(&root, Signature::V2).free("signature", "AAAA"),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "an unknown key",
            Form::new().signed(&root, Signature::V2).free("AWSAccessKeyId", "AKIANOBODY"),
            403,
            "InvalidAccessKeyId",
        ),
        (
            "a session token",
            plain(Form::new().field("x-amz-security-token", "t")),
            400,
            "InvalidToken",
        ),
        ("no policy", plain(Form::new()).without("policy"), 400, "InvalidArgument"),
        ("no date", plain(Form::new()).without("x-amz-date"), 400, "InvalidArgument"),
        ("no conditions", plain(Form::new().condition(json!({}))), 400, "InvalidPolicyDocument"),
        (
            "no key",
            plain(Form {
                conditions: vec![json!({"acl": "private"}), json!({"bucket": BUCKET})],
                ..Form::new().without("key")
            }),
            400,
            "InvalidArgument",
        ),
        (
            "a public ACL",
            plain(Form::new().without("acl").field("acl", "public-read")),
            403,
            "AccessDenied",
        ),
        ("too small", plain(sized(1_000, 2_000)), 400, "EntityTooSmall"),
        ("too large", plain(sized(0, 5)), 400, "EntityTooLarge"),
        (
            "a wrong checksum",
            plain(Form::new().field("x-amz-checksum-crc32", &crc32_base64(b"other"))),
            400,
            "BadDigest",
        ),
        (
            "a wrong MD5",
            plain(Form::new().field("Content-MD5", &md5_base64(b"other"))),
            400,
            "BadDigest",
        ),
        (
            "a bucket that no condition names",
            plain(Form {
                conditions: vec![json!(["starts-with", "$key", ""]), json!({"acl": "private"})],
                ..Form::new()
            }),
            403,
            "AccessDenied",
        ),
        ("wrong tags", plain(Form::new().field("tagging", "<Tagging>")), 400, "MalformedXML"),
    ];
    for (what, form, status, code) in rows {
        let answer = form.send(&root);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{what}: {}",
            answer.text()
        );
    }
    let listed = root.send(&Ask::bucket("GET", BUCKET)).expect(200);
    assert!(!listed.text().contains("<Key>"), "nothing was stored: {}", listed.text());
    let good = Form::new().signed(&root, Signature::V4);
    server.make_bucket("other", "");
    let wrong = good.send_to(&root, "other").expect(403);
    assert!(wrong.text().contains("Policy Condition failed"), "{}", wrong.text());
    let no_form = root.send(&Ask::bucket("POST", BUCKET).anonymous().body("x")).expect(412);
    assert_eq!(no_form.code(), "PreconditionFailed");
    good.send(&root).expect(204);
}
