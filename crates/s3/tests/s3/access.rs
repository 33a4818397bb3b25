//! What policies say of requests whose document says what is asked for.

use std::convert::Infallible;
use std::time::Duration;

use crate::fixture::{self, Answer, Fixture};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::poll_fn;
use futures_util::stream::once;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use ring::hmac;
use serde_json::json;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{Signer, payload_hash};
use tidelock_s3::{S3Config, SignatureVersion};
use tidelock_store::{NewRole, Principal};
use tokio::sync::oneshot;

const TARGET: &str = "/bucket/key";
const RETENTION: &str = "<Retention><Mode>MODE</Mode><RetainUntilDate>2040-01-01T00:00:00.000Z\
                         </RetainUntilDate></Retention>";
const HOLD: &str = "<LegalHold><Status>MODE</Status></LegalHold>";
const TAGGING: &str =
    "<Tagging><TagSet><Tag><Key>env</Key><Value>MODE</Value></Tag></TagSet></Tagging>";

/// A bucket with Object Lock and an object, and a user that may do one thing to it.
async fn with_user(action: &str, key: &str, value: &str) -> (Fixture, Fixture) {
    let root = Fixture::new();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    root.send(Method::PUT, "/bucket", &lock, b"").await;
    root.put(TARGET, b"body").await;
    let policy = allow(action, &format!("{{\"StringEquals\":{{\"{key}\":\"{value}\"}}}}"));
    let ci = user(&root, &[policy]).await;
    (root, ci)
}

/// A user with these statements.
async fn user(root: &Fixture, statements: &[String]) -> Fixture {
    let actor = Principal::root();
    root.store.create_user(&actor, "ci").await.unwrap();
    let policy = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","));
    root.store.put_user_policy(&actor, "ci", ("p", &policy)).await.unwrap();
    let made = root.store.create_access_key(&actor, "ci", None).await.unwrap();
    root.signing_as(&made.key.access_key_id, &made.secret_access_key)
}

fn allow(action: &str, condition: &str) -> String {
    statement("Allow", action, condition)
}

fn statement(effect: &str, action: &str, condition: &str) -> String {
    format!(
        "{{\"Effect\":\"{effect}\",\"Action\":\"{action}\",\"Resource\":\"*\",\
         \"Condition\":{condition}}}"
    )
}

/// A request whose body is sent when `meanwhile` has been done: not before it is asked for, so that the head
/// has been judged, unless the head alone is answered.
async fn send_late(
    who: &Fixture,
    (target, body): (&str, &str),
    meanwhile: impl Future<Output = Answer>,
) -> String {
    let (asked, is_asked) = oneshot::channel();
    let (sent, arrives) = oneshot::channel();
    let mut asked = Some(asked);
    let mut arrives = Box::pin(arrives);
    let frame = poll_fn(move |context| {
        asked.take().into_iter().for_each(|asked| asked.send(()).unwrap());
        arrives.as_mut().poll(context)
    });
    let frames = once(async move { Ok::<_, Infallible>(Frame::data(frame.await.unwrap())) });
    let (request, _) =
        who.sign(Method::PUT, target, &[], body.len(), &payload_hash(body.as_bytes()), "s3");
    let request = request.body(StreamBody::new(frames)).unwrap();
    let answer = who.run(request);
    let rest = async {
        // Nobody asks for the body of a request that is refused.
        let _: Result<(), _> = is_asked.await;
        assert_eq!(meanwhile.await.verdict(), "200");
        let _: Result<(), _> = sent.send(Bytes::copy_from_slice(body.as_bytes()));
    };
    let (answer, ()) = tokio::join!(answer, rest);
    answer.verdict()
}

/// A header that says something else than the document is not believed.
#[tokio::test]
async fn documents_say_what_is_asked_for() {
    // What is done, which condition key has to have which value, what the document says, and a header.
    let rows = [
        (
            "s3:PutObjectTagging",
            "tagging",
            "s3:RequestObjectTag/env",
            "dev",
            TAGGING,
            "x-amz-tagging",
        ),
        (
            "s3:PutObjectRetention",
            "retention",
            "s3:object-lock-mode",
            "GOVERNANCE",
            RETENTION,
            "x-amz-object-lock-mode",
        ),
        (
            "s3:PutObjectLegalHold",
            "legal-hold",
            "s3:object-lock-legal-hold",
            "ON",
            HOLD,
            "x-amz-object-lock-legal-hold",
        ),
    ];
    for (action, query, key, value, document, header) in rows {
        let (_root, ci) = with_user(action, key, value).await;
        let other = match value {
            "dev" => "prod",
            "ON" => "OFF",
            _ => "COMPLIANCE",
        };
        let claimed =
            if header == "x-amz-tagging" { format!("env={value}") } else { value.to_owned() };
        let target = format!("{TARGET}?{query}=");
        for (said, expected) in
            [(value, "200"), (other, "403 AccessDenied"), ("", "403 AccessDenied")]
        {
            for headers in [&[][..], &[(header, claimed.as_str())]] {
                let body = document.replace("MODE", said);
                let answer = ci.send(Method::PUT, &target, headers, body.as_bytes()).await;
                assert_eq!(answer.verdict(), expected, "{action} {said} {headers:?}");
            }
        }
    }
}

/// What was decided of an object, or of none, is no decision about the one that is there when the body comes.
#[tokio::test]
async fn whoever_is_judged_by_an_object_changes_no_other() {
    const OWNERSHIP: &[u8] = b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter\
                               </ObjectOwnership></Rule></OwnershipControls>";
    const TAGGED: &str = "{\"StringEquals\":{\"s3:ExistingObjectTag/team\":\"red\"}}";
    let list = format!(
        "<AccessControlPolicy><Owner><ID>{}</ID></Owner><AccessControlList/></AccessControlPolicy>",
        Principal::root().canonical_id
    );
    let red = [("x-amz-tagging", "team=red")];
    // What the user may, whether the object is there and tagged before, and what comes of it.
    let rows = [
        ("s3:ListBucket", "{}", false, "404 NoSuchKey"),
        ("s3:PutObjectAcl", TAGGED, true, "503 SlowDown"),
        ("s3:GetObject", "{}", true, "403 AccessDenied"),
    ];
    for (action, condition, is_there, expected) in rows {
        let root = Fixture::new();
        root.put("/bucket", b"").await;
        root.put("/bucket?ownershipControls=", OWNERSHIP).await;
        if is_there {
            root.send(Method::PUT, TARGET, &red, b"red").await;
        }
        let ci = user(&root, &[allow(action, condition)]).await;
        let meanwhile = root.put(TARGET, b"another");
        let found = send_late(&ci, ("/bucket/key?acl=", &list), meanwhile).await;
        assert_eq!(found, expected, "{action}");
    }
}

/// A session, in the caller's words.
async fn assume(who: &Fixture, role: &str, parameters: &str) -> Result<Fixture, String> {
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/{role}\
         &RoleSessionName=run&{parameters}"
    );
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let hash = payload_hash(form.as_bytes());
    let answer = who.send_with(Method::POST, "/", &form_type, form.as_bytes(), &hash, "sts").await;
    match answer.status.is_success() {
        true => {
            let session =
                who.signing_as(answer.text("AccessKeyId"), answer.text("SecretAccessKey"));
            Ok(Fixture { token: Some(answer.text("SessionToken").to_owned()), ..session })
        }
        false => Err(answer.text("Code").to_owned()),
    }
}

/// A tag that a session inherits has one value, however its key is written later.
#[tokio::test]
async fn inherited_tags_have_one_value() {
    let root = Fixture::new();
    root.put("/bucket", b"").await;
    for key in ["red", "blue"] {
        root.put(&format!("/bucket/{key}"), b"x").await;
    }
    let assumes = allow("sts:*", "{}");
    let ci = user(&root, std::slice::from_ref(&assumes)).await;
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},
                    "Action":["sts:AssumeRole","sts:TagSession"]}}"#;
    let reads = r#"{"Effect":"Allow","Action":"s3:GetObject",
                    "Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/workspace}"}"#;
    let policy = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{assumes},{reads}]}}");
    for name in ["one", "two"] {
        let new = NewRole {
            name: name.to_owned(),
            trust_policy: trust.to_owned(),
            policies: vec![("p".to_owned(), policy.clone())],
            session_max_s: 3_600,
        };
        root.store.create_role(&Principal::root(), new).await.unwrap();
    }
    // How the key is written for the first session, as a transitive one, and for the second session.
    let rows = [
        ("workspace", "workspace", None),
        ("workspace", "WorkSpace", None),
        ("workspace", "workspace", Some("workspace")),
        ("workspace", "workspace", Some("Workspace")),
        ("Workspace", "workspace", Some("wOrkspace")),
        ("workspace", "workspace", Some("wor%E2%84%AAspace")),
    ];
    for (first, transitive, second) in rows {
        let tagged =
            |key: &str, value: &str| format!("Tags.member.1.Key={key}&Tags.member.1.Value={value}");
        let passed = format!("{}&TransitiveTagKeys.member.1={transitive}", tagged(first, "red"));
        let outer = assume(&ci, "one", &passed).await.unwrap();
        let inner = second.map(|key| tagged(key, "blue")).unwrap_or_default();
        let inner = assume(&outer, "two", &inner).await;
        let row = format!("{first} {transitive} {second:?}");
        match (second, inner) {
            (None, Ok(inner)) => {
                assert_eq!(inner.get("/bucket/red").await.verdict(), "200", "{row}");
                assert_eq!(inner.get("/bucket/blue").await.verdict(), "403 AccessDenied", "{row}");
            }
            (None, Err(code)) => panic!("{row}: {code}"),
            (Some(_), refused) => {
                assert_eq!(refused.err().as_deref(), Some("ValidationError"), "{row}")
            }
        }
    }
}

/// What a session brings along into another one is for that one's trust policy to allow, and stays what it is.
#[tokio::test]
async fn what_a_session_brings_along_is_asked_of_the_next_role() {
    const TAG: &str = "Tags.member.1.Key=a&Tags.member.1.Value=b";
    const ALL: &str = r#"["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]"#;
    let root = Fixture::new();
    let assumes = allow("sts:*", "{}");
    let ci = user(&root, std::slice::from_ref(&assumes)).await;
    let policy = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{assumes}]}}");
    for (name, actions, condition) in [
        ("first", ALL, "{}"),
        ("alices", ALL, r#"{"StringEquals":{"sts:SourceIdentity":"alice"}}"#),
        ("plain", r#""sts:AssumeRole""#, "{}"),
    ] {
        let trust = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"000000000000"}},
                "Action":{actions},"Condition":{condition}}}}}"#
        );
        let new = NewRole {
            name: name.to_owned(),
            trust_policy: trust,
            policies: vec![("p".to_owned(), policy.clone())],
            session_max_s: 3_600,
        };
        root.store.create_role(&Principal::root(), new).await.unwrap();
    }
    let transitive = format!("{TAG}&TransitiveTagKeys.member.1=a");
    let rows = [
        ("SourceIdentity=mallory", "alices", "", Err("AccessDenied")),
        ("SourceIdentity=mallory", "alices", "SourceIdentity=alice", Err("AccessDenied")),
        ("SourceIdentity=mallory", "first", "SourceIdentity=alice", Err("AccessDenied")),
        ("SourceIdentity=alice", "alices", "", Ok(())),
        ("SourceIdentity=alice", "alices", "SourceIdentity=alice", Ok(())),
        ("", "alices", "SourceIdentity=alice", Ok(())),
        ("SourceIdentity=alice", "plain", "", Err("AccessDenied")),
        (&transitive, "plain", "", Err("AccessDenied")),
        (TAG, "plain", "", Ok(())),
        ("", "plain", "", Ok(())),
    ];
    for (before, role, parameters, expected) in rows {
        let outer = assume(&ci, "first", before).await.unwrap();
        let inner = assume(&outer, role, parameters).await;
        let found = inner.as_ref().map(|_| ()).map_err(String::as_str);
        assert_eq!(found, expected, "{before}, then {role} {parameters}");
    }
}

/// What a policy asks about, and what then comes of a request by a user who may do it otherwise.
struct Rule {
    statements: Vec<String>,
    method: Method,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    expected: &'static str,
}

fn rule(
    statements: Vec<String>,
    (method, target): (Method, &'static str),
    headers: &[(&'static str, &'static str)],
    expected: &'static str,
) -> Rule {
    Rule { statements, method, target, headers: headers.to_vec(), expected }
}

fn equals(key: &str, value: &str) -> String {
    format!("{{\"StringEquals\":{{\"{key}\":\"{value}\"}}}}")
}

/// May do everything but what has this value.
fn all_but(key: &str, value: &str) -> Vec<String> {
    vec![allow("s3:*", "{}"), statement("Deny", "s3:*", &equals(key, value))]
}

const VERSIONED: &[u8] =
    b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const DENIED: &str = "403 AccessDenied";

/// Holds each request against a new bucket, in which `key` has a version from before versions, and one more, and
/// `tagged` has a tag.
async fn check(rules: Vec<Rule>) {
    for (number, rule) in rules.into_iter().enumerate() {
        let root = Fixture::new();
        root.put("/bucket", b"").await;
        root.put(TARGET, b"first").await;
        root.put("/bucket?versioning=", VERSIONED).await;
        root.put(TARGET, b"second").await;
        root.send(Method::PUT, "/bucket/tagged", &[("x-amz-tagging", "team=red")], b"x").await;
        let ci = user(&root, &rule.statements).await;
        let answer = ci.send(rule.method.clone(), rule.target, &rule.headers, b"").await;
        let shown = format!("{number}: {} {} {:?}", rule.method, rule.target, rule.headers);
        assert_eq!(answer.verdict(), rule.expected, "{shown} {:?}", rule.statements);
    }
}

#[tokio::test]
async fn tags_are_seen_as_they_are_written() {
    let prod = || all_but("s3:RequestObjectTag/team", "prod");
    let put = || (Method::PUT, "/bucket/new");
    check(vec![
        rule(prod(), put(), &[("x-amz-tagging", "team=dev")], "200"),
        rule(prod(), put(), &[("x-amz-tagging", "team=prod")], DENIED),
        rule(prod(), put(), &[("x-amz-tagging", "team=prod&x=ê")], DENIED),
        rule(prod(), put(), &[("x-amz-tagging", "team=dev&x=ê")], "200"),
    ])
    .await;
}

/// The version that is asked for is the source's, whatever the query of the destination says.
#[tokio::test]
async fn a_copy_is_judged_by_the_version_that_it_reads() {
    const OTHER: &str = "00000000000000010000000000000002";
    let only = |effect: &str, version: &str| {
        let condition = equals("s3:VersionId", version);
        vec![allow("s3:PutObject", "{}"), statement(effect, "s3:GetObjectVersion", &condition)]
    };
    let but_null = || [only("Deny", "null"), vec![allow("s3:GetObjectVersion", "{}")]].concat();
    let source = [("x-amz-copy-source", "/bucket/key?versionId=null")];
    let copy = |target: &'static str| (Method::PUT, target);
    let part = |target: &'static str| (Method::PUT, target);
    check(vec![
        rule(only("Allow", "null"), copy("/bucket/new"), &source, "200"),
        rule(
            only("Allow", "null"),
            copy("/bucket/new?versionId=x"),
            &source,
            "400 InvalidArgument",
        ),
        rule(
            only("Allow", OTHER),
            copy("/bucket/new?versionId=00000000000000010000000000000002"),
            &source,
            "400 InvalidArgument",
        ),
        rule(but_null(), copy("/bucket/new?versionId=x"), &source, "400 InvalidArgument"),
        rule(but_null(), copy("/bucket/new"), &source, DENIED),
        rule(but_null(), part("/bucket/new?partNumber=1&uploadId=x&versionId=x"), &source, DENIED),
        rule(
            only("Allow", "null"),
            part("/bucket/new?partNumber=1&uploadId=x"),
            &source,
            "404 NoSuchUpload",
        ),
    ])
    .await;
}

/// One version has one name in policies, however it is written in the query.
#[tokio::test]
async fn versions_are_compared_as_they_are_shown() {
    let zeros = "00000000000000ab00000000000000cd";
    let denied = || all_but("s3:VersionId", zeros);
    let get = |target: &'static str| (Method::GET, target);
    check(vec![
        rule(denied(), get("/bucket/key?versionId=00000000000000ab00000000000000cd"), &[], DENIED),
        rule(denied(), get("/bucket/key?versionId=00000000000000AB00000000000000CD"), &[], DENIED),
        rule(denied(), get("/bucket/key?versionId=null"), &[], "200"),
    ])
    .await;
}

/// Only a condition that keeps what is there counts for one that a policy wants.
#[tokio::test]
async fn conditions_that_policies_want_are_kept() {
    let wants = |action: &str, key: &str| {
        let missing = format!("{{\"Null\":{{\"{key}\":\"true\"}}}}");
        vec![allow("s3:*", "{}"), statement("Deny", action, &missing)]
    };
    let once = || wants("s3:PutObject", "s3:if-none-match");
    let tagged = || wants("s3:PutObject", "s3:if-match");
    let deleted = || wants("s3:DeleteObject", "s3:if-match");
    let (put, delete) = (|| (Method::PUT, TARGET), || (Method::DELETE, TARGET));
    check(vec![
        rule(once(), put(), &[], DENIED),
        rule(once(), put(), &[("if-none-match", "*")], "412 PreconditionFailed"),
        rule(once(), put(), &[("if-none-match", "\"x\"")], DENIED),
        rule(once(), put(), &[("if-none-match", "")], DENIED),
        rule(once(), put(), &[("if-none-match", "x"), ("if-none-match", "*")], DENIED),
        rule(tagged(), put(), &[], DENIED),
        rule(tagged(), put(), &[("if-match", "*")], DENIED),
        rule(tagged(), put(), &[("if-match", "\"x\"")], "412 PreconditionFailed"),
        rule(tagged(), put(), &[("if-match", "")], "400 InvalidArgument"),
        rule(deleted(), delete(), &[], DENIED),
        rule(deleted(), delete(), &[("if-match", "\"x\"")], "412 PreconditionFailed"),
        rule(deleted(), delete(), &[("if-match", "*")], "204"),
    ])
    .await;
}

/// A form that uploads `/bucket/new`, with these fields, sent with these headers.
async fn post(
    who: &Fixture,
    version: SignatureVersion,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> String {
    let fields = [&[("key", "new")], fields].concat();
    let mut conditions = vec![json!({"bucket": "bucket"})];
    conditions.extend(fields.iter().map(|(name, value)| json!({*name: value})));
    let signed = match version {
        SignatureVersion::V4 => {
            let signer = Signer {
                access_key_id: &AccessKeyId::parse(who.key.as_str()).unwrap(),
                secret: &SecretAccessKey::new(who.secret.as_str()),
                session_token: None,
                region: "us-east-1",
                service: "s3",
            };
            signer.sign_form(conditions, 600, who.now())
        }
        SignatureVersion::V2 => {
            let policy = json!({"expiration": "2040-01-01T00:00:00Z", "conditions": conditions});
            let policy = BASE64_STANDARD.encode(policy.to_string());
            let signature = hmac_sha1(&who.secret, &policy);
            vec![("AWSAccessKeyId", who.key.clone()), ("policy", policy), ("signature", signature)]
        }
    };
    let fields = fields.into_iter().map(|(name, value)| (name, value.to_owned()));
    let mut body = String::new();
    for (name, value) in fields.chain(signed).chain([("file", "body".to_owned())]) {
        body += "--boundary\r\nContent-Disposition: form-data; ";
        body += &format!("name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--boundary--\r\n";
    let mut request = Request::builder().method(Method::POST).uri("/bucket");
    let form =
        [("host", fixture::HOST), ("content-type", "multipart/form-data; boundary=boundary")];
    for (name, value) in form.iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let request = request.header("content-length", body.len());
    who.run(request.body(Full::new(Bytes::from(body))).unwrap()).await.verdict()
}

fn hmac_sha1(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

#[tokio::test]
async fn policies_know_which_version_signs() {
    let root = Fixture::with(S3Config { allow_signature_v2: true, ..S3Config::default() });
    root.put("/bucket", b"").await;
    let newer =
        format!("{{\"StringNotEquals\":{{\"s3:signatureversion\":\"{}\"}}}}", "AWS4-HMAC-SHA256");
    let ci = user(&root, &[allow("s3:*", "{}"), statement("Deny", "s3:*", &newer)]).await;
    assert_eq!(post(&ci, SignatureVersion::V4, &[], &[]).await, "204");
    assert_eq!(post(&ci, SignatureVersion::V2, &[], &[]).await, DENIED);
    assert_eq!(ci.get("/bucket/new").await.verdict(), "200");
    let date = "Fri, 15 Jan 2027 08:00:00 GMT";
    let signature = hmac_sha1(&ci.secret, &format!("GET\n\n\n{date}\n/bucket/new"));
    let request = Request::builder()
        .uri("/bucket/new")
        .header("host", fixture::HOST)
        .header("date", date)
        .header("authorization", format!("AWS {}:{signature}", ci.key));
    let old = ci.run(request.body(Full::new(Bytes::new())).unwrap()).await;
    assert_eq!(old.verdict(), DENIED);
}

/// Seconds, as they are asked about in milliseconds, and days, as they are counted.
#[tokio::test]
async fn policies_know_how_old_signatures_are_and_how_long_locks_last() {
    let more = |key: &str, than: &str| {
        let condition = format!("{{\"NumericGreaterThan\":{{\"{key}\":\"{than}\"}}}}");
        vec![allow("s3:*", "{}"), statement("Deny", "s3:*", &condition)]
    };
    let old = Fixture::new();
    old.put("/bucket", b"").await;
    let ci = user(&old, &more("s3:signatureAge", "60000")).await;
    let sign = || ci.sign(Method::PUT, "/bucket/new", &[], 0, &payload_hash(b""), "s3").0;
    for (late_s, expected) in [(0, "200"), (60, "200"), (61, DENIED)] {
        let request = sign().body(Full::new(Bytes::new())).unwrap();
        old.clock.advance(Duration::from_secs(late_s));
        assert_eq!(ci.run(request).await.verdict(), expected, "{late_s}");
    }
    let root = Fixture::new();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    root.send(Method::PUT, "/bucket", &lock, b"").await;
    root.put(TARGET, b"body").await;
    let ci = user(&root, &more("s3:object-lock-remaining-retention-days", "10")).await;
    let day_ms = 24 * 3600 * 1000;
    for (days, more_ms, expected) in
        [(10, 0, "200"), (10, 1, DENIED), (9, 1, "200"), (40, 0, DENIED)]
    {
        let until = tidelock_s3::iso8601(fixture::START_MS + days * day_ms + more_ms);
        let headers = [
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-retain-until-date", until.as_str()),
            ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ];
        let put = ci.send(Method::PUT, "/bucket/new", &headers, b"").await;
        assert_eq!(put.verdict(), expected, "{until}");
        let document = format!(
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let bypass = [("x-amz-bypass-governance-retention", "true")];
        let target = "/bucket/key?retention=";
        let kept = ci.send(Method::PUT, target, &bypass, document.as_bytes()).await;
        assert_eq!(kept.verdict(), expected, "{until}");
    }
}

#[tokio::test]
async fn what_is_not_heeded_meets_no_policy() {
    let only = |key: &str, value: &str| vec![allow("s3:*", &equals(key, value))];
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    let put = || (Method::PUT, "/bucket/new");
    check(vec![
        rule(
            only("s3:x-amz-metadata-directive", "REPLACE"),
            put(),
            &[("x-amz-metadata-directive", "REPLACE")],
            DENIED,
        ),
        rule(
            only("s3:x-amz-storage-class", "STANDARD"),
            put(),
            &[("x-amz-storage-class", "STANDARD")],
            "200",
        ),
        rule(
            only("s3:x-amz-storage-class", "STANDARD"),
            (Method::GET, TARGET),
            &[("x-amz-storage-class", "STANDARD")],
            DENIED,
        ),
        rule(only("s3:BypassGovernanceRetention", "true"), put(), &bypass, DENIED),
        rule(
            only("s3:BypassGovernanceRetention", "true"),
            (Method::DELETE, TARGET),
            &bypass,
            "204",
        ),
        rule(
            only("s3:x-amz-copy-source", "/bucket/key"),
            put(),
            &[("x-amz-copy-source", "/bucket/key")],
            "200",
        ),
    ])
    .await;
}

/// A field is none of the request's headers, and counts where PutObject heeds the header of its name.
#[tokio::test]
async fn forms_are_judged_by_what_they_do() {
    type Pairs = &'static [(&'static str, &'static str)];
    let rows: [(&str, &str, Pairs, Pairs, &str); 6] = [
        ("s3:x-amz-copy-source", "/a/b", &[("x-amz-copy-source", "/a/b")], &[], DENIED),
        (
            "s3:x-amz-metadata-directive",
            "COPY",
            &[("x-amz-metadata-directive", "COPY")],
            &[],
            DENIED,
        ),
        ("s3:x-amz-content-sha256", "x", &[("x-amz-content-sha256", "x")], &[], DENIED),
        ("s3:x-amz-storage-class", "STANDARD", &[("x-amz-storage-class", "STANDARD")], &[], "204"),
        ("aws:UserAgent", "browser", &[], &[("user-agent", "browser")], "204"),
        ("aws:Referer", "https://a.test/", &[], &[("referer", "https://a.test/")], "204"),
    ];
    for (key, value, fields, headers, expected) in rows {
        let root = Fixture::new();
        root.put("/bucket", b"").await;
        let ci = user(&root, &[allow("s3:*", &equals(key, value))]).await;
        let found = post(&ci, SignatureVersion::V4, fields, headers).await;
        assert_eq!(found, expected, "{key}");
    }
}

#[tokio::test]
async fn a_copy_of_tags_needs_their_rights() {
    let may = |more: &[&str]| {
        let plain = ["s3:PutObject", "s3:GetObject"];
        let actions = plain.iter().chain(more);
        actions.map(|action| allow(action, "{}")).collect::<Vec<_>>()
    };
    let dev = equals("s3:RequestObjectTag/team", "dev");
    let only_dev = || vec![allow("s3:PutObject*", &dev), allow("s3:Get*", "{}")];
    let put = || (Method::PUT, "/bucket/new");
    let (key, tagged) =
        (("x-amz-copy-source", "bucket/key"), ("x-amz-copy-source", "bucket/tagged"));
    let replace = ("x-amz-tagging-directive", "REPLACE");
    let (read, write) = ("s3:GetObjectTagging", "s3:PutObjectTagging");
    let team = ("x-amz-tagging", "team=dev");
    check(vec![
        rule(may(&[]), put(), &[key], "200"),
        rule(may(&[]), put(), &[tagged], DENIED),
        rule(may(&[read]), put(), &[tagged], DENIED),
        rule(may(&[write]), put(), &[tagged], DENIED),
        rule(may(&[read, write]), put(), &[tagged], "200"),
        rule(may(&[]), put(), &[tagged, replace], "200"),
        rule(may(&[]), put(), &[key, replace, team], DENIED),
        rule(may(&[write]), put(), &[key, replace, team], "200"),
        rule(may(&[]), put(), &[key, team], "200"),
        rule(only_dev(), put(), &[key, replace, team], "200"),
        rule(only_dev(), put(), &[key, team], DENIED),
    ])
    .await;
}

#[tokio::test]
async fn a_bucket_is_made_with_what_its_maker_may_set() {
    let may = |more: &[&str]| {
        let actions = ["s3:CreateBucket"].iter().chain(more).map(|action| allow(action, "{}"));
        actions.collect::<Vec<_>>()
    };
    let make = || (Method::PUT, "/made");
    let (acl, owners) = ("s3:PutBucketAcl", "s3:PutBucketOwnershipControls");
    let (locks, versions) = ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning");
    let public = ("x-amz-acl", "public-read");
    let grant = ("x-amz-grant-read", "uri=http://acs.amazonaws.com/groups/global/AllUsers");
    let owned = ("x-amz-object-ownership", "ObjectWriter");
    let lock = ("x-amz-bucket-object-lock-enabled", "true");
    check(vec![
        rule(may(&[]), make(), &[], "200"),
        rule(may(&[]), make(), &[("x-amz-acl", "private")], "200"),
        rule(may(&[owners]), make(), &[owned, public], DENIED),
        rule(may(&[owners]), make(), &[owned, grant], DENIED),
        rule(may(&[owners, acl]), make(), &[owned, public], "200"),
        rule(may(&[owners, acl]), make(), &[owned, grant], "200"),
        rule(may(&[]), make(), &[owned], DENIED),
        rule(may(&[owners]), make(), &[owned], "200"),
        rule(may(&[]), make(), &[lock], DENIED),
        rule(may(&[locks]), make(), &[lock], DENIED),
        rule(may(&[versions]), make(), &[lock], DENIED),
        rule(may(&[locks, versions]), make(), &[lock], "200"),
        rule(may(&[]), make(), &[("x-amz-bucket-object-lock-enabled", "false")], "200"),
    ])
    .await;
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions>
#[tokio::test]
async fn whoever_a_list_lets_write_destroys_no_version() {
    let root = Fixture::new();
    root.send(Method::PUT, "/bucket", &[("x-amz-object-ownership", "ObjectWriter")], b"").await;
    root.put("/bucket?versioning=", VERSIONED).await;
    let version = root.put(TARGET, b"body").await.header("x-amz-version-id").to_owned();
    let ci = user(&root, &[allow("s3:ListBucket", "{}")]).await;
    let users = root.store.list_users(&Principal::root()).await.unwrap();
    let grants = [
        ("x-amz-grant-write", format!("id={}", users[0].canonical_id)),
        ("x-amz-grant-full-control", format!("id={}", Principal::root().canonical_id)),
    ];
    let headers = grants.each_ref().map(|(name, value)| (*name, value.as_str()));
    let listed = root.send(Method::PUT, "/bucket?acl=", &headers, b"").await;
    assert_eq!(listed.verdict(), "200");
    let of_version = format!("{TARGET}?versionId={version}");
    assert_eq!(ci.delete(&of_version).await.verdict(), DENIED);
    assert_eq!(ci.delete(TARGET).await.verdict(), "204");
    let many =
        format!("<Delete><Object><Key>key</Key><VersionId>{version}</VersionId></Object></Delete>");
    let sum = [("x-amz-sdk-checksum-algorithm", "SHA256")];
    let denied = ci.send(Method::POST, "/bucket?delete=", &sum, many.as_bytes()).await;
    assert_eq!(denied.text("Code"), "AccessDenied", "{}", denied.body);
    assert_eq!(root.delete(&of_version).await.verdict(), "204");
}

/// What a caller reads of themselves is what policies compare.
#[tokio::test]
async fn policies_know_the_id_that_sts_reports() {
    let root = Fixture::new();
    root.put("/bucket", b"").await;
    root.put(TARGET, b"body").await;
    let ci = user(&root, &[]).await;
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let hash = payload_hash(form.as_bytes());
    let found = ci.send_with(Method::POST, "/", &form_type, form.as_bytes(), &hash, "sts").await;
    for (id, expected) in [(found.text("UserId"), "200"), ("AIDAANOTHER", DENIED)] {
        let policy = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":{}}}",
            allow("s3:*", &equals("aws:userid", id))
        );
        root.store.put_user_policy(&Principal::root(), "ci", ("p", &policy)).await.unwrap();
        assert_eq!(ci.get(TARGET).await.verdict(), expected, "{id}");
    }
}
