//! How a request is vouched for: every payload mode of Signature Version 4, and every way to get it
//! wrong, over the wire.

use crate::harness::ask::Tamper;
use crate::harness::digest::{crc32_base64, sha256_base64, sha256_hex};
use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client, Payload, Server};

/// Smallest chunk AWS takes but for the last one.
const CHUNK_BYTES: usize = 8192;
const BUCKET: &str = "payloads";

fn body() -> Vec<u8> {
    crate::harness::chance::body(7, 3 * CHUNK_BYTES + 123)
}

fn trailer(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn modes_that_hold() -> Vec<(&'static str, Payload)> {
    let (chunk_bytes, tamper) = (CHUNK_BYTES, Tamper::Nothing);
    let crc32 = trailer("x-amz-checksum-crc32", crc32_base64(&body()));
    let sha256 = trailer("x-amz-checksum-sha256", sha256_base64(&body()));
    vec![
        ("signed", Payload::Signed),
        ("unsigned", Payload::Unsigned),
        ("chunks", Payload::Chunks { chunk_bytes, tamper }),
        ("one chunk", Payload::Chunks { chunk_bytes: 1 << 20, tamper }),
        (
            "chunks, crc32 trailer",
            Payload::ChunksWithTrailer { chunk_bytes, trailer: crc32.clone(), tamper },
        ),
        (
            "chunks, sha256 trailer",
            Payload::ChunksWithTrailer { chunk_bytes, trailer: sha256.clone(), tamper },
        ),
        ("unsigned, crc32 trailer", Payload::UnsignedWithTrailer { chunk_bytes, trailer: crc32 }),
        ("unsigned, sha256 trailer", Payload::UnsignedWithTrailer { chunk_bytes, trailer: sha256 }),
    ]
}

fn modes_that_fail() -> Vec<(&'static str, Payload, u16, &'static str)> {
    let chunk_bytes = CHUNK_BYTES;
    let nothing = Tamper::Nothing;
    let crc32 = trailer("x-amz-checksum-crc32", crc32_base64(&body()));
    let wrong = trailer("x-amz-checksum-crc32", crc32_base64(b"other"));
    let said = |text: &str| Payload::Said(text.to_owned());
    vec![
        ("hash of another body", said(&sha256_hex(b"other")), 400, "XAmzContentSHA256Mismatch"),
        ("no hash at all", Payload::Unsaid, 400, "InvalidRequest"),
        ("a hash that is none", said("abc"), 400, "InvalidArgument"),
        (
            "a byte changed in a chunk",
            Payload::Chunks { chunk_bytes, tamper: Tamper::Byte },
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "the last chunk missing",
            Payload::Chunks { chunk_bytes, tamper: Tamper::CutShort },
            400,
            "IncompleteBody",
        ),
        (
            "a byte changed before a trailer",
            Payload::ChunksWithTrailer {
                chunk_bytes,
                trailer: crc32.clone(),
                tamper: Tamper::Byte,
            },
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "another's trailer signature",
            Payload::ChunksWithTrailer {
                chunk_bytes,
                trailer: crc32,
                tamper: Tamper::TrailerSignature,
            },
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "a trailer of another body",
            Payload::UnsignedWithTrailer { chunk_bytes, trailer: wrong.clone() },
            400,
            "BadDigest",
        ),
        (
            "a signed trailer of another body",
            Payload::ChunksWithTrailer { chunk_bytes, trailer: wrong, tamper: nothing },
            400,
            "BadDigest",
        ),
    ]
}

#[test]
fn payload_modes() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    for (name, payload) in modes_that_hold() {
        let ask = Ask::object("PUT", BUCKET, name).body(body()).payload(payload);
        let put = root.send(&ask);
        assert_eq!(put.status, 200, "{name}: {}", put.text());
        let got = root.send(&Ask::object("GET", BUCKET, name)).expect(200);
        assert!(got.body == body(), "{name}: another body came back");
        assert_eq!(got.header("content-encoding"), None, "{name}: aws-chunked was kept");
    }
    for (name, payload, status, code) in modes_that_fail() {
        let ask = Ask::object("PUT", BUCKET, name).body(body()).payload(payload);
        let put = send_whole(&root, &ask);
        assert_eq!((put.0, put.1.as_str()), (status, code), "{name}: {}", put.2);
        root.send(&Ask::object("GET", BUCKET, name)).expect(404);
    }
}

/// Sends a body that ends early too: closes its side, so that the server sees the end.
fn send_whole(client: &Client, ask: &Ask) -> (u16, String, String) {
    let response = client.send(ask);
    (response.status, response.code(), response.text())
}

#[test]
fn a_content_encoding_beside_aws_chunked_is_kept() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let payload = Payload::Chunks { chunk_bytes: CHUNK_BYTES, tamper: Tamper::Nothing };
    let ask = Ask::object("PUT", BUCKET, "k").header("content-encoding", "aws-chunked,gzip");
    server.root().send(&ask.body(body()).payload(payload)).expect(200);
    let got = server.root().send(&Ask::object("GET", BUCKET, "k")).expect(200);
    assert_eq!(got.header("content-encoding"), Some("gzip"));
}

#[test]
fn signatures_that_are_refused() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    let get = || Ask::bucket("GET", BUCKET).query("list-type", "2");
    let wrong_secret = root.with_keys(Keys::new(&root.keys.access, "not the secret"));
    let nobody = root.with_keys(Keys::new("NOBODYNOBODYNOBODY00", "x"));
    let v2 = "AWS ROOTROOTROOTROOT0001:frJIUN8DYpKDtOLCwo//yllqDzg=";
    let malformed = "AWS4-HMAC-SHA256 nonsense";
    let rows = [
        ("right", root.send(&get()), 200, ""),
        ("any region", root.with_region("home-lab").send(&get()), 200, ""),
        ("wrong secret", wrong_secret.send(&get()), 403, "SignatureDoesNotMatch"),
        ("unknown key", nobody.send(&get()), 403, "InvalidAccessKeyId"),
        ("anonymous", root.send(&get().anonymous()), 403, "AccessDenied"),
        ("20 minutes behind", root.send(&get().skewed(-1200)), 403, "RequestTimeTooSkewed"),
        ("20 minutes ahead", root.send(&get().skewed(1200)), 403, "RequestTimeTooSkewed"),
        ("10 minutes behind", root.send(&get().skewed(-600)), 200, ""),
        ("SigV2", root.send(&get().header("authorization", v2)), 400, "InvalidRequest"),
        (
            "malformed",
            root.send(&get().header("authorization", malformed)),
            400,
            "AuthorizationHeaderMalformed",
        ),
        ("another service", root.send(&get().service("ec2")), 400, "AuthorizationHeaderMalformed"),
    ];
    for (name, response, status, code) in rows {
        let found = (response.status, response.code());
        assert_eq!(found, (status, code.to_owned()), "{name}: {}", response.text());
    }
    let v2 = root.send(&get().header("authorization", v2));
    let message = v2.element("Message").unwrap();
    assert!(message.contains("Please use AWS4-HMAC-SHA256"), "{message}");
}

#[test]
fn presigned_targets() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    root.send(&Ask::object("PUT", BUCKET, "a b+c").body("one")).expect(200);
    let get = || Ask::object("GET", BUCKET, "a b+c");
    let fresh = root.presign(&get(), 60);
    let expired = root.presign(&get().skewed(-120), 60);
    let early = root.presign(&get().skewed(1200), 60);
    let other_key = fresh.replace("a%20b%2Bc", "other");
    let too_long = root.presign(&get(), 604_801);
    let put = root.presign(&Ask::object("PUT", BUCKET, "new"), 60);
    let rows = [
        ("fresh", "GET", fresh.as_str(), 200, ""),
        ("HEAD with the URL of a GET", "HEAD", &fresh, 403, ""),
        ("expired", "GET", &expired, 403, "AccessDenied"),
        ("not yet valid", "GET", &early, 403, "AccessDenied"),
        ("another key", "GET", &other_key, 403, "SignatureDoesNotMatch"),
        ("more than a week", "GET", &too_long, 400, "AuthorizationQueryParametersError"),
        ("PUT", "PUT", &put, 200, ""),
    ];
    for (name, method, target, status, code) in rows {
        let response = root.send_target(method, target, if method == "PUT" { b"new" } else { b"" });
        let found = (response.status, response.code());
        assert_eq!(found, (status, code.to_owned()), "{name}: {}", response.text());
    }
    // A browser may open this one as a page, and it is not the console's to trust.
    let opened = root.send_target("GET", &fresh, b"");
    assert_eq!(opened.header("content-security-policy"), Some("sandbox"));
    assert_eq!(root.send(&get()).header("content-security-policy"), None);
    let expired = root.send_target("GET", &expired, b"");
    assert_eq!(expired.element("Message").as_deref(), Some("Request has expired"));
    assert_eq!(root.send(&Ask::object("GET", BUCKET, "new")).expect(200).body, b"new");
}

/// SDKs move headers into the query of a presigned URL.
#[test]
fn conditions_in_a_presigned_target() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    root.send(&Ask::object("PUT", BUCKET, "k").body("one")).expect(200);
    let put = || Ask::object("PUT", BUCKET, "k");
    let rows = [
        (put().query("If-None-Match", "*"), 412),
        (put().query("If-Match", "\"none\""), 412),
        (Ask::object("GET", BUCKET, "k").query("If-Match", "\"none\""), 412),
        (put().query("x-amz-expected-bucket-owner", "999999999999"), 403),
    ];
    for (ask, status) in rows {
        let target = root.presign(&ask, 60);
        let body: &[u8] = if ask.method == "PUT" { b"two" } else { b"" };
        let response = root.send_target(&ask.method, &target, body);
        assert_eq!(response.status, status, "{:?}: {}", ask.query, response.text());
    }
    assert_eq!(root.send(&Ask::object("GET", BUCKET, "k")).expect(200).body, b"one");
    let target = root.presign(&put().query("x-amz-meta-run", "42"), 60);
    root.send_target("PUT", &target, b"two").expect(200);
    let got = root.send(&Ask::object("GET", BUCKET, "k")).expect(200);
    assert_eq!(got.header("x-amz-meta-run"), Some("42"));
    // Signed by a header, a query says nothing of the kind.
    root.send(&put().query("If-None-Match", "*").body("three")).expect(200);
}

#[test]
fn a_length_is_required() {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, "");
    let ask = Ask::object("PUT", BUCKET, "k")
        .payload(Payload::Unsigned)
        .header("transfer-encoding", "chunked")
        .body("3\r\none\r\n0\r\n\r\n");
    let response = server.root().send(&ask);
    assert_eq!((response.status, response.code()), (411, "MissingContentLength".to_owned()));
}
