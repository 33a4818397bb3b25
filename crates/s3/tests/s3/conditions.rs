//! Conditional requests end to end, by the rows of AWS's rules, in both lanes: the superset that gives
//! every form its meaning of RFC 9110, and AWS's own answers.

use crate::fixture::Fixture;
use http::Method;
use tidelock_s3::S3Config;

const ONE: &[u8] = b"one";
/// The MD5 of [`ONE`].
const ONE_ETAG: &str = "f97c5d29941bfb1b2fdab0874906ab82";

async fn lane(strict_aws_conditions: bool) -> Fixture {
    let fixture = Fixture::with(S3Config { strict_aws_conditions, ..S3Config::default() });
    fixture.put("/bucket", b"").await;
    fixture
}

/// What is under the key before the request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Object,
    DeleteMarker,
}

async fn prepare(fixture: &Fixture, before: Before) -> String {
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let name = match before {
        Before::DeleteMarker => "versioned",
        Before::Nothing | Before::Object => "plain",
    };
    let bucket = format!("/{name}");
    fixture.put(&bucket, b"").await;
    if before == Before::DeleteMarker {
        fixture.put(&format!("{bucket}?versioning"), versioning).await;
    }
    let target = format!("{bucket}/key");
    match before {
        Before::Nothing => {}
        Before::Object => drop(fixture.put(&target, ONE).await),
        Before::DeleteMarker => {
            fixture.put(&target, ONE).await;
            fixture.delete(&target).await;
        }
    }
    target
}

type Row =
    (&'static str, Before, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// Name, what was before, headers, the superset's answer, AWS's answer.
const WRITES: &[Row] = &[
    ("W1", Before::Nothing, &[("if-none-match", "*")], "200", "200"),
    (
        "W2",
        Before::Object,
        &[("if-none-match", "*")],
        "412 PreconditionFailed",
        "412 PreconditionFailed",
    ),
    ("W3", Before::DeleteMarker, &[("if-none-match", "*")], "200", "200"),
    (
        "W5 equal",
        Before::Object,
        &[("if-none-match", ONE_ETAG)],
        "412 PreconditionFailed",
        "501 NotImplemented",
    ),
    ("W5 other", Before::Object, &[("if-none-match", "\"x\"")], "200", "501 NotImplemented"),
    ("W6", Before::Object, &[("if-match", ONE_ETAG)], "200", "200"),
    (
        "W7",
        Before::Object,
        &[("if-match", "\"x\"")],
        "412 PreconditionFailed",
        "412 PreconditionFailed",
    ),
    ("W8", Before::Nothing, &[("if-match", ONE_ETAG)], "404 NoSuchKey", "404 NoSuchKey"),
    ("W9", Before::DeleteMarker, &[("if-match", ONE_ETAG)], "404 NoSuchKey", "404 NoSuchKey"),
    ("W10 there", Before::Object, &[("if-match", "*")], "200", "501 NotImplemented"),
    (
        "W10 not there, W13",
        Before::Nothing,
        &[("if-match", "*")],
        "404 NoSuchKey",
        "501 NotImplemented",
    ),
    (
        "W11",
        Before::Object,
        &[("if-match", ONE_ETAG), ("if-none-match", "*")],
        "412 PreconditionFailed",
        "501 NotImplemented",
    ),
    (
        "W12",
        Before::Object,
        &[("if-match", "bad-char_/")],
        "412 PreconditionFailed",
        "412 PreconditionFailed",
    ),
    (
        "empty If-None-Match",
        Before::Object,
        &[("if-none-match", "")],
        "400 InvalidArgument",
        "400 InvalidArgument",
    ),
    (
        "empty If-Match",
        Before::Object,
        &[("if-match", "")],
        "400 InvalidArgument",
        "400 InvalidArgument",
    ),
];

#[tokio::test]
async fn puts() {
    for (name, before, headers, superset, aws) in WRITES {
        for (strict, expected) in [(false, superset), (true, aws)] {
            let fixture = lane(strict).await;
            let target = prepare(&fixture, *before).await;
            let answer = fixture.send(Method::PUT, &target, headers, b"two").await;
            assert_eq!(answer.verdict(), *expected, "{name} strict={strict}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn copies_and_their_destinations() {
    for (name, before, headers, superset, aws) in WRITES {
        for (strict, expected) in [(false, superset), (true, aws)] {
            let fixture = lane(strict).await;
            fixture.put("/bucket/source", b"two").await;
            let target = prepare(&fixture, *before).await;
            let mut headers = headers.to_vec();
            headers.push(("x-amz-copy-source", "bucket/source"));
            let answer = fixture.send(Method::PUT, &target, &headers, b"").await;
            assert_eq!(answer.verdict(), *expected, "{name} strict={strict}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn refusals_name_their_condition() {
    let strict = lane(true).await;
    strict.put("/bucket/key", ONE).await;
    for (headers, expected) in [
        (&[("if-none-match", "*")][..], "<Condition>If-None-Match</Condition>"),
        (&[("if-match", "x")], "<Condition>If-Match</Condition>"),
        (
            &[("if-none-match", "x")],
            "<Header>If-None-Match</Header><additionalMessage>We don't accept the provided value of \
             If-None-Match header for this API</additionalMessage>",
        ),
        (
            &[("if-match", "x"), ("if-none-match", "*")],
            "<Header>If-Match,If-None-Match</Header><additionalMessage>Multiple conditional request \
             headers present in the request</additionalMessage>",
        ),
    ] {
        let answer = strict.send(Method::PUT, "/bucket/key", headers, b"two").await;
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
    let missing = strict.send(Method::PUT, "/bucket/none", &[("if-match", "x")], b"").await;
    assert!(missing.body.contains("<Key>none</Key>"), "{}", missing.body);
}

/// What happens to the key while the upload is under way.
#[derive(Clone, Copy, Debug)]
enum During {
    Nothing,
    Put(&'static [u8]),
    Delete,
    DeleteAndPut(&'static [u8]),
}

#[tokio::test]
async fn completions() {
    type Row = (&'static str, bool, During, (&'static str, &'static str), &'static str);
    let rows: &[Row] = &[
        ("M1", false, During::Put(b"two"), ("if-none-match", "*"), "412 PreconditionFailed"),
        ("M2", true, During::Delete, ("if-none-match", "*"), "409 ConditionalRequestConflict"),
        ("M4", true, During::Put(b"two"), ("if-match", ONE_ETAG), "412 PreconditionFailed"),
        (
            "M5",
            true,
            During::Put(b"two"),
            ("if-match", "b8a9f715dbb64fd5c56e7783c6820a61"),
            "409 ConditionalRequestConflict",
        ),
        ("M6", true, During::Put(ONE), ("if-match", ONE_ETAG), "409 ConditionalRequestConflict"),
        ("M7", true, During::Delete, ("if-match", ONE_ETAG), "404 NoSuchKey"),
        (
            "M8",
            true,
            During::DeleteAndPut(ONE),
            ("if-match", ONE_ETAG),
            "409 ConditionalRequestConflict",
        ),
        ("M10", true, During::Nothing, ("if-match", ONE_ETAG), "200"),
        ("nothing there", false, During::Nothing, ("if-none-match", "*"), "200"),
    ];
    for (name, exists, during, condition, expected) in rows {
        for strict in [false, true] {
            let fixture = lane(strict).await;
            if *exists {
                fixture.put("/bucket/key", ONE).await;
            }
            let (id, list) = fixture.upload("/bucket/key", &[b"part"]).await;
            if matches!(during, During::Delete | During::DeleteAndPut(_)) {
                fixture.delete("/bucket/key").await;
            }
            if let During::Put(body) | During::DeleteAndPut(body) = during {
                fixture.put("/bucket/key", body).await;
            }
            let target = format!("/bucket/key?uploadId={id}");
            let answer = fixture.send(Method::POST, &target, &[*condition], list.as_bytes()).await;
            assert_eq!(answer.verdict(), *expected, "{name} strict={strict}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn deletes() {
    let rows: &[(&str, Before, (&str, &str), &str)] = &[
        ("X1", Before::Object, ("if-match", ONE_ETAG), "204"),
        ("X2", Before::Object, ("if-match", "x"), "412 PreconditionFailed"),
        ("X3", Before::Object, ("if-match", "*"), "204"),
        ("X4", Before::DeleteMarker, ("if-match", "*"), "412 PreconditionFailed"),
        ("X5", Before::Nothing, ("if-match", ONE_ETAG), "404 NoSuchKey"),
        ("X6", Before::Object, ("x-amz-if-match-size", "3"), "501 NotImplemented"),
    ];
    for (name, before, condition, expected) in rows {
        for strict in [false, true] {
            let fixture = lane(strict).await;
            let target = prepare(&fixture, *before).await;
            let answer = fixture.send(Method::DELETE, &target, &[*condition], b"").await;
            assert_eq!(answer.verdict(), *expected, "{name} strict={strict}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn deletes_of_many() {
    let fixture = lane(false).await;
    for key in ["a", "b", "c"] {
        fixture.put(&format!("/bucket/{key}"), ONE).await;
    }
    let body = format!(
        "<Delete><Object><Key>a</Key><ETag>{ONE_ETAG}</ETag></Object><Object><Key>b</Key>\
         <ETag>x</ETag></Object><Object><Key>c</Key><ETag>*</ETag></Object></Delete>"
    );
    // The MD5 of a document is required; any checksum will do.
    let headers = [("x-amz-sdk-checksum-algorithm", "SHA256")];
    let answer = fixture.send(Method::POST, "/bucket?delete=", &headers, body.as_bytes()).await;
    let expected = "<Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>PreconditionFailed</Code>\
                    <Message>At least one of the pre-conditions you specified did not hold</Message>\
                    </Error><Deleted><Key>c</Key></Deleted></DeleteResult>";
    assert!(answer.body.ends_with(expected), "{}", answer.body);
    let unchecked = fixture.send(Method::POST, "/bucket?delete=", &[], body.as_bytes()).await;
    assert_eq!(unchecked.verdict(), "400 InvalidRequest");
}

#[tokio::test]
async fn reads() {
    type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let rows: &[Row] = &[
        (&[("if-match", ONE_ETAG)], "200", "200"),
        (&[("if-match", "x")], "412 PreconditionFailed", "412 PreconditionFailed"),
        (&[("if-none-match", ONE_ETAG)], "304", "412 PreconditionFailed"),
        (&[("if-none-match", "x")], "200", "200"),
        (
            &[("if-modified-since", "Fri, 15 Jan 2027 08:00:00 GMT")],
            "304",
            "412 PreconditionFailed",
        ),
        (&[("if-modified-since", "Fri, 15 Jan 2100 08:00:00 GMT")], "200", "200"),
        (
            &[("if-unmodified-since", "Fri, 15 Jan 2027 07:59:59 GMT")],
            "412 PreconditionFailed",
            "412 PreconditionFailed",
        ),
        (&[("if-unmodified-since", "Fri, 15 Jan 2027 08:00:00 GMT")], "200", "200"),
    ];
    let fixture = lane(false).await;
    fixture.put("/bucket/key", ONE).await;
    for (headers, read, copied) in rows {
        let answer = fixture.send(Method::GET, "/bucket/key", headers, b"").await;
        assert_eq!(answer.verdict(), *read, "{headers:?}");
        if answer.status.as_u16() == 304 {
            assert_eq!(answer.header("etag"), format!("\"{ONE_ETAG}\""));
            assert!(answer.body.is_empty() && !answer.header("last-modified").is_empty());
        }
        let head = fixture.send(Method::HEAD, "/bucket/key", headers, b"").await;
        assert_eq!(head.status, answer.status, "{headers:?}");
        assert!(head.body.is_empty());

        let names: Vec<_> =
            headers.iter().map(|(name, _)| format!("x-amz-copy-source-{name}")).collect();
        let mut source = vec![("x-amz-copy-source", "bucket/key")];
        source.extend(names.iter().zip(*headers).map(|(name, (_, value))| (name.as_str(), *value)));
        let copy = fixture.send(Method::PUT, "/bucket/copy", &source, b"").await;
        assert_eq!(copy.verdict(), *copied, "{headers:?}: {}", copy.body);
    }
}
