//! Requests that mean harm: paths that lead elsewhere, heads that end in two places, documents that grow.
//! Of each: what it gets, and that nothing was reached that should not have been.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use super::script::{Row, Step, bucket, create_upload, get, object, put, row};
use crate::harness::ask::Payload;
use crate::harness::{Ask, Client, Response, Server};

/// What Ann keeps, and Mallory is after.
const SECRET: &str = "the crown jewels";
/// A connection that is to be closed is closed by then.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// In the end of each hostile request: it must not be taken for a request.
const SMUGGLED: &str = "0\r\n\r\nGET /_/health/live HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server with Ann's `vault` and Mallory's `den`.
struct World {
    server: Server,
    ann: Client,
    mallory: Client,
}

impl World {
    fn new() -> Self {
        let server = Server::start(&["--domain", "s3.test", "--metrics-token", "let-me-see"]);
        let (ann, mallory) = (server.user("ann"), server.user("mallory"));
        ann.send(&Ask::bucket("PUT", "vault")).expect(200);
        ann.send(&Ask::object("PUT", "vault", "secret").body(SECRET)).expect(200);
        mallory.send(&Ask::bucket("PUT", "den")).expect(200);
        Self { server, ann, mallory }
    }

    /// That Ann's bucket holds what it held.
    fn is_untouched(&self, after: &str) {
        let listed = self.ann.send(&Ask::bucket("GET", "vault").query("versions", "")).expect(200);
        let keys = crate::harness::xml::texts(&listed.text(), "Key");
        assert_eq!(keys, ["secret"], "{after}");
        let read = self.ann.send(&Ask::object("GET", "vault", "secret")).expect(200);
        assert_eq!(read.text(), SECRET, "{after}");
    }
}

/// That an answer tells nothing of Ann's, of users, or of metrics.
fn tells_nothing(answer: &Response, place: &str) {
    let text = answer.text();
    for word in [SECRET, "tidelock_requests", "\"users\"", "root:x"] {
        assert!(!text.contains(word), "{place} tells {word}:\n{text}");
    }
}

/// A path as it is sent, and what Mallory's GET of it is answered with.
const PATHS: &[(&str, u16, &str)] = &[
    ("/vault/secret", 403, "AccessDenied"),
    ("/vault/%73ecret", 403, "AccessDenied"),
    ("/%76ault/secret", 403, "AccessDenied"),
    ("/vault/secret%00", 403, "AccessDenied"),
    // A key has no directories: dots and slashes are characters of it.
    ("/den/../vault/secret", 404, "NoSuchKey"),
    ("/den/%2e%2e/vault/secret", 404, "NoSuchKey"),
    ("/den/%2E%2E%2Fvault%2Fsecret", 404, "NoSuchKey"),
    ("/den/..%5c..%5cvault%5csecret", 404, "NoSuchKey"),
    ("/den/%252e%252e/vault/secret", 404, "NoSuchKey"),
    ("/den//vault/secret", 404, "NoSuchKey"),
    ("/den/./secret", 404, "NoSuchKey"),
    ("/den/../_/api/v1/users", 404, "NoSuchKey"),
    ("/den/../../../../etc/passwd", 404, "NoSuchKey"),
    ("/den/%00", 404, "NoSuchKey"),
    // Nor has the name of a bucket.
    ("/./vault/secret", 400, "InvalidBucketName"),
    ("/../vault/secret", 400, "InvalidBucketName"),
    ("/%2e%2e/vault/secret", 400, "InvalidBucketName"),
    ("/den%2f..%2fvault/secret", 400, "InvalidBucketName"),
    ("/vault%00/secret", 400, "InvalidBucketName"),
    ("/vault%20/secret", 400, "InvalidBucketName"),
    ("//vault/secret", 400, "InvalidURI"),
    // Names are UTF-8 in its one form, and percent signs come with two digits.
    ("/den/%c0%ae%c0%ae/vault/secret", 400, "InvalidURI"),
    ("/den/%e0%80%ae%e0%80%ae/secret", 400, "InvalidURI"),
    ("/vault/%f0%80%80%afsecret", 400, "InvalidURI"),
    ("/den/%ed%a0%80", 400, "InvalidURI"),
    ("/den/%ff", 400, "InvalidURI"),
    ("/den/%zz", 400, "InvalidURI"),
    ("/den/%2", 400, "InvalidURI"),
    // Tidelock's own paths are these and no others.
    ("/%5f/api/v1/users", 400, "InvalidBucketName"),
    ("/_%2fapi/v1/users", 400, "InvalidBucketName"),
    ("/_/../vault/secret", 404, ""),
    ("/_/%2e%2e/vault/secret", 404, ""),
    ("/_//metrics", 404, ""),
    ("/_/./metrics", 404, ""),
    ("/_/health/live/../../metrics", 404, ""),
    ("/_/metrics", 401, ""),
    ("/_/api/v1/users", 403, ""),
    ("/_/api/v1/audit/../users", 404, ""),
    ("/_/api/v1/%75sers", 404, ""),
];

#[test]
fn paths_that_lead_elsewhere() {
    let world = World::new();
    for (path, status, code) in PATHS {
        let answer = world.mallory.send(&Ask::new("GET", path));
        assert_eq!((answer.status, answer.code().as_str()), (*status, *code), "GET {path}");
        tells_nothing(&answer, path);
        for method in ["PUT", "DELETE", "HEAD"] {
            let answer = world.mallory.send(&Ask::new(method, path).body("mine"));
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            tells_nothing(&answer, path);
        }
        let copied = Ask::object("PUT", "den", "copy").header("x-amz-copy-source", path);
        let answer = world.mallory.send(&copied);
        assert!([400, 403, 404].contains(&answer.status), "copy of {path}: {}", answer.text());
        world.is_untouched(path);
    }
}

/// Where the bucket is in the name of the host, the whole path is the key.
#[test]
fn hosts_that_lead_elsewhere() {
    let world = World::new();
    let rows = [
        ("vault.s3.test", "/secret", 403, "AccessDenied"),
        ("VAULT.S3.TEST:9000", "/secret", 403, "AccessDenied"),
        ("den.s3.test", "/../vault/secret", 404, "NoSuchKey"),
        ("den.s3.test", "/vault/secret", 404, "NoSuchKey"),
        ("den.s3.test", "/_/api/v1/users", 404, "NoSuchKey"),
        ("den.s3.test", "/_/metrics", 404, "NoSuchKey"),
        ("den.vault.s3.test", "/secret", 404, "NoSuchBucket"),
        ("den%2fvault.s3.test", "/secret", 400, "InvalidBucketName"),
    ];
    for (host, path, status, code) in rows {
        let answer = world.mallory.with_host(host).send(&Ask::new("GET", path));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{host}{path}");
        tells_nothing(&answer, host);
    }
    world.is_untouched("hosts");
}

/// A policy is held against the very key that is read: no other spelling gets around it.
#[test]
fn spellings_that_policies_see_through() {
    let world = World::new();
    let resource = |path: &str| format!("arn:aws:s3:::vault{path}");
    let allowed = |prefix: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource("/*")},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resource("/sec*")},
            {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": resource(""),
             "Condition": {"StringEquals": {"s3:prefix": prefix}}}]})
        .to_string()
    };
    let set = |prefix: &str| {
        let ask = Ask::bucket("PUT", "vault").query("policy", "").body(allowed(prefix));
        world.ann.send(&ask).expect(204);
    };
    set("open/");
    for path in ["/vault/secret", "/vault/%73ecret", "/vault/s%65cret", "/vault/%73%65cret"] {
        let answer = world.mallory.send(&Ask::new("GET", path)).expect(403);
        tells_nothing(&answer, path);
    }
    for path in ["/vault//secret", "/vault/./secret", "/vault/open/../secret", "/vault/Secret"] {
        assert_eq!(world.mallory.send(&Ask::new("GET", path)).expect(403).code(), "AccessDenied");
    }
    // Said twice, a parameter is what the policy was asked about, whichever comes first.
    let list = |prefixes: &[&str]| {
        let ask = Ask::bucket("GET", "vault").query("list-type", "2");
        prefixes.iter().fold(ask, |ask, prefix| ask.query("prefix", prefix))
    };
    world.mallory.send(&list(&["open/"])).expect(200);
    for (allowed, prefixes) in
        [("open/", ["open/", ""]), ("open/", ["open/", "s"]), ("t", ["s", "t"])]
    {
        set(allowed);
        let answer = world.mallory.send(&list(&prefixes));
        assert!(!answer.text().contains("<Key>"), "{prefixes:?}: {}", answer.text());
    }
}

/// What stands after `Host` in the head of a PUT that nobody signed, and the status it gets.
fn heads() -> Vec<(&'static str, String, u16)> {
    let many = |count: usize| (0..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
    let rows: Vec<(&str, &str, u16)> = vec![
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n", 400),
        ("a list of lengths", "Content-Length: 0, 0\r\n", 400),
        ("a length with a sign", "Content-Length: +0\r\n", 400),
        ("a negative length", "Content-Length: -1\r\n", 400),
        ("a length that is no number", "Content-Length: 0x5\r\n", 400),
        ("a length out of range", "Content-Length: 18446744073709551616\r\n", 400),
        ("length, coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 403),
        ("coding, length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 403),
        ("a coding that is none", "Transfer-Encoding: identity\r\n", 400),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", 400),
        ("chunked is not the last", "Transfer-Encoding: chunked, identity\r\n", 400),
        ("another coding before", "Transfer-Encoding: gzip, chunked\r\n", 400),
        ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n", 400),
        ("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("an odd space", "Transfer-Encoding: \x0bchunked\r\n", 400),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n", 400),
        ("a folded line", "X-A: a\r\n b\r\n", 400),
        ("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", 400),
        ("NUL in a value", "X-A: a\0b\r\n", 400),
        ("a lone CR", "X-A: a\rContent-Length: 5\r\n", 400),
        ("a name with a space", "X A: a\r\n", 400),
        ("no name", ": a\r\n", 400),
        ("two hosts", "Host: b\r\n", 400),
    ];
    let mut rows: Vec<_> =
        rows.into_iter().map(|(name, head, status)| (name, head.to_owned(), status)).collect();
    rows.push(("too many headers", many(101), 431));
    rows.push(("headers too large", format!("X-A: {}\r\n", "a".repeat(512 << 10)), 431));
    rows
}

/// A whole first line with its `Host`, and the status it gets.
fn first_lines() -> Vec<(&'static str, String, u16)> {
    let long = format!("GET /den/{} HTTP/1.1\r\nHost: a\r\n", "a".repeat(70 << 10));
    let rows: Vec<(&str, &str, u16)> = vec![
        ("no host", "GET /_/health/live HTTP/1.1\r\n", 400),
        ("another host in the target", "GET http://b/_/health/live HTTP/1.1\r\nHost: a\r\n", 400),
        ("somebody in the target", "GET http://a@b/den/k HTTP/1.1\r\nHost: b\r\n", 400),
        ("no version", "GET /den/k\r\n", 400),
        ("an unknown version", "GET /den/k HTTP/1.2\r\nHost: a\r\n", 400),
        ("NUL in the target", "GET /den/a\0b HTTP/1.1\r\nHost: a\r\n", 400),
        ("a space in the target", "GET /den/a b HTTP/1.1\r\nHost: a\r\n", 400),
        ("no slash", "GET den/k HTTP/1.1\r\nHost: a\r\n", 400),
        ("no target", "GET  HTTP/1.1\r\nHost: a\r\n", 400),
        ("no method", " /den/k HTTP/1.1\r\nHost: a\r\n", 400),
    ];
    let mut rows: Vec<_> =
        rows.into_iter().map(|(name, head, status)| (name, head.to_owned(), status)).collect();
    rows.push(("a target too long", long, 414));
    rows
}

/// Everything that comes until the server closes the connection.
fn all_answers(address: SocketAddr, wire: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(CLOSED_WITHIN)).unwrap();
    // A server that has seen enough may not read the rest.
    let _refused = std::io::Write::write_all(&mut stream, wire.as_bytes());
    let mut answers = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answers.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("not closed ({error}): {}", String::from_utf8_lossy(&answers)),
        }
    }
    String::from_utf8_lossy(&answers).into_owned()
}

#[test]
fn heads_that_end_in_two_places() {
    let world = World::new();
    let of_put = |(name, head, status)| {
        (name, format!("PUT /den/smuggled HTTP/1.1\r\nHost: a\r\n{head}\r\n{SMUGGLED}"), status)
    };
    let of_first = |(name, head, status)| (name, format!("{head}\r\n{SMUGGLED}"), status);
    let rows: Vec<(&str, String, u16)> =
        heads().into_iter().map(of_put).chain(first_lines().into_iter().map(of_first)).collect();
    let address = world.server.address;
    let asked: Vec<_> = rows
        .into_iter()
        .map(|(name, wire, status)| {
            (name, status, thread::spawn(move || all_answers(address, &wire)))
        })
        .collect();
    for (name, status, answers) in asked {
        let answers = answers.join().unwrap_or_else(|_| panic!("{name}"));
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{name}: {answers}");
        assert!(!answers.contains("live"), "{name}: {answers}");
    }
    world.mallory.send(&Ask::object("GET", "den", "smuggled")).expect(404);
}

/// HTTP/2 has two places for the host as well.
#[tokio::test]
async fn http2_names_one_host() {
    let server = Server::start(&[]);
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    for (host, status) in [(None, 200), (Some("a.test"), 200), (Some("b.test"), 400)] {
        let mut request = hyper::Request::get("http://a.test/_/health/live");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host:?}");
    }
    driver.abort();
}

/// What a lock says is shown to whoever is refused: on a terminal, with a command to paste.
#[test]
fn locks_that_speak_to_terminals() {
    let server = Server::start(&[]);
    assert!(server.cli(&["bootstrap", "states"]).status.success());
    let root = server.root();
    let lock = |id: &str| {
        let body = json!({"ID": id, "Operation": "\u{1b}[2J", "Who": "me\u{1b}]0;x\u{7}\r\nyou", "Info": "",
            "Version": "1.11.4", "Created": "2026-01-01T00:00:00Z", "Path": ""});
        let ask = Ask::object("PUT", "states", "app.tfstate.tflock").body(body.to_string());
        ask.header("if-none-match", "*")
    };
    root.send(&lock("1; rm -rf ~")).expect(200);
    let refused = root.send(&lock("2")).expect(412);
    assert_eq!(refused.code(), "PreconditionFailed");
    let told = refused.element("Message").unwrap();
    assert!(!told.contains(char::is_control) && !refused.text().contains("&#x"), "{told}");
    assert!(told.contains("me\\u{1b}]0;x\\u{7}\\r\\nyou"), "{told}");
    assert!(told.ends_with("lock release states/app.tfstate --id '1; rm -rf ~'"), "{told}");
}

/// A body whose chunks have no proper sizes is not stored, though whoever sends it may write.
#[test]
fn chunks_without_a_size() {
    let world = World::new();
    for body in [
        "10000000000000000\r\nabc",
        "-1\r\nabc",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let ask = Ask::object("PUT", "den", "k").payload(Payload::Unsigned).body(body);
        let answer = world.mallory.try_send(&ask.header("transfer-encoding", "chunked"));
        if let Ok(answer) = answer {
            assert!((400..500).contains(&answer.status), "{body:?}: {}", answer.text());
        }
        world.mallory.send(&Ask::object("GET", "den", "k")).expect(404);
    }
}

/// Tagging of an object with this inside and before.
fn tagging(before: &str, inside: &str) -> Step {
    let document = format!("{before}<Tagging><TagSet>{inside}</TagSet></Tagging>");
    object("PUT", "k").query("tagging", "").body(&document)
}

fn tags(count: usize) -> String {
    (0..count).map(|at| format!("<Tag><Key>k{at}</Key><Value>v</Value></Tag>")).collect()
}

/// What documents may not do. After each the object and its tags are as they were.
pub(crate) fn document_rows() -> Vec<Row> {
    let laughs: String = (1..10)
        .map(|at| {
            let before = at - 1;
            format!("<!ENTITY a{at} \"{}\">", format!("&a{before};").repeat(10))
        })
        .collect();
    let laughs = format!("<!DOCTYPE x [<!ENTITY a0 \"ha\">{laughs}]>");
    let file = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>";
    let tag = |value: &str| format!("<Tag><Key>a</Key><Value>{value}</Value></Tag>");
    let long_key = format!(">{}<", "k".repeat(129));
    let malformed = |step: Step| step.fails(400, "MalformedXML");
    let steps = [
        ("entities of entities", malformed(tagging(&laughs, &tag("&a9;")))),
        ("a file as an entity", malformed(tagging(file, &tag("&f;")))),
        ("a document type", malformed(tagging("<!DOCTYPE x>", &tag("1")))),
        ("an entity nobody defined", malformed(tagging("", &tag("&a;")))),
        ("elements in elements", malformed(tagging("", &"<a>".repeat(20_000)))),
        ("more bytes than allowed", {
            let long = tagging("", &tag(&"v".repeat(70 << 10)));
            long.fails(400, "MaxMessageLengthExceeded")
        }),
        ("11 tags", tagging("", &tags(11)).fails(400, "InvalidTag")),
        ("a tag twice", tagging("", &format!("{}{}", tag("1"), tag("2"))).fails(400, "InvalidTag")),
        ("a long key", tagging("", &tag("1").replace(">a<", &long_key)).fails(400, "InvalidTag")),
        ("a long value", tagging("", &tag(&"v".repeat(257))).fails(400, "InvalidTag")),
    ];
    let kept = || {
        let tags = object("GET", "k").query("tagging", "").has("Key", "kept").lacks("Value2");
        [get("k").reads("one"), tags]
    };
    let before = || [put("k", "one").header("x-amz-tagging", "kept=1")];
    let rows = steps.into_iter().map(|(rule, step)| {
        row(rule, before().into_iter().chain([step]).chain(kept()).collect::<Vec<_>>())
    });
    rows.chain(list_rows()).chain(setting_rows()).collect()
}

/// Lists of keys and parts that are longer than allowed: nothing of them is done.
fn list_rows() -> Vec<Row> {
    let keys = |count: usize| {
        let keys: String = (0..count).map(|_| "<Object><Key>k</Key></Object>".to_owned()).collect();
        bucket("POST")
            .query("delete", "")
            .header("content-md5", "{md5}")
            .body(&format!("<Delete>{keys}</Delete>"))
    };
    let part = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>";
    let parts =
        format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", part.repeat(10_001));
    let numbered =
        |number: &str| put("k", "x").query("partNumber", number).query("uploadId", "{up}");
    vec![
        row(
            "1,001 keys",
            [put("k", "1"), keys(1001).fails(400, "MalformedXML"), get("k").reads("1")],
        ),
        row("no keys", [keys(0).fails(400, "MalformedXML")]),
        row(
            "too many elements",
            [
                put("k", "1"),
                {
                    let many = format!("<Delete>{}</Delete>", "<a/>".repeat(100_001));
                    let step = bucket("POST").query("delete", "").header("content-md5", "{md5}");
                    step.body(&many).fails(400, "MalformedXML")
                },
                get("k").reads("1"),
            ],
        ),
        row(
            "10,001 parts",
            [
                create_upload("k", "up"),
                object("POST", "k")
                    .query("uploadId", "{up}")
                    .body(&parts)
                    .fails(400, "MalformedXML"),
            ],
        ),
        row(
            "numbers of parts",
            [
                create_upload("k", "up"),
                numbered("0").fails(400, "InvalidArgument"),
                numbered("10001").fails(400, "InvalidArgument"),
                numbered("-1").fails(400, "InvalidArgument"),
                numbered("18446744073709551617").fails(400, "InvalidArgument"),
            ],
        ),
        row(
            "keys of a page",
            [
                put("k", "1"),
                bucket("GET").query("max-keys", "2147483647").has("MaxKeys", "1000"),
                bucket("GET").query("max-keys", "-1").fails(400, "InvalidArgument"),
                bucket("GET")
                    .query("max-keys", "99999999999999999999")
                    .fails(400, "InvalidArgument"),
            ],
        ),
    ]
}

/// Settings of a bucket that are longer than allowed: it has none afterwards.
fn setting_rows() -> Vec<Row> {
    let long =
        |count: usize| format!("{{\"Version\":\"2012-10-17\",\"Id\":\"{}\"}}", "a".repeat(count));
    let deep = format!("{{\"Statement\":{}", "[".repeat(15_000));
    let policy = |document: &str| {
        bucket("PUT").query("policy", "").body(document).fails(400, "MalformedPolicy")
    };
    let no_policy = || bucket("GET").query("policy", "").fails(404, "NoSuchBucketPolicy");
    let rule =
        "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>";
    let cors = format!("<CORSConfiguration>{}</CORSConfiguration>", rule.repeat(101));
    let expiry =
        "<Rule><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule>";
    let lifecycle =
        format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", expiry.repeat(1001));
    let bucket_tags = format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags(51));
    let set = |query: &str, document: &str| bucket("PUT").query(query, "").body(document);
    vec![
        row("a policy too long", [policy(&long(20 << 10)), no_policy()]),
        row("a policy far too long", [policy(&long(1 << 20)), no_policy()]),
        row("lists in lists", [policy(&deep), no_policy()]),
        row(
            "101 CORS rules",
            [
                set("cors", &cors).fails(400, "InvalidRequest"),
                bucket("GET").query("cors", "").fails(404, "NoSuchCORSConfiguration"),
            ],
        ),
        row(
            "1,001 lifecycle rules",
            [
                set("lifecycle", &lifecycle).fails(400, "MalformedXML"),
                bucket("GET").query("lifecycle", "").fails(404, "NoSuchLifecycleConfiguration"),
            ],
        ),
        row(
            "51 tags of a bucket",
            [
                set("tagging", &bucket_tags).fails(400, "InvalidTag"),
                bucket("GET").query("tagging", "").fails(404, "NoSuchTagSet"),
            ],
        ),
    ]
}
