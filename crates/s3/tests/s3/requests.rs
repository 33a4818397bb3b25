//! Requests end to end: signatures, payload encodings, addresses, errors and their documents.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Duration;

use crate::fixture::{self, Fixture, HOST, sha256_of};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tidelock_auth::sigv4::{
    STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED_PAYLOAD,
    payload_hash,
};
use tidelock_s3::{ErrorCode, Operation, S3Config};

async fn with_bucket() -> Fixture {
    let fixture = Fixture::new();
    fixture.put("/bucket", b"").await;
    fixture
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let fixture = with_bucket().await;
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "b")];
    let put = fixture.send(Method::PUT, "/bucket/a%2Fb%20c", &headers, b"hello").await;
    assert_eq!(put.verdict(), "200");
    assert_eq!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    let got = fixture.get("/bucket/a/b%20c").await;
    assert_eq!((got.verdict().as_str(), got.body.as_str()), ("200", "hello"));
    for (name, expected) in [
        ("content-type", "text/plain"),
        ("x-amz-meta-a", "b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("accept-ranges", "bytes"),
        ("server", "Tidelock"),
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("last-modified", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ] {
        assert_eq!(got.header(name), expected, "{name}");
    }
    assert_eq!(got.header("x-amz-request-id").len(), 16);
    assert_eq!(got.operation, Some(Operation::GetObject));
    let head = fixture.send(Method::HEAD, "/bucket/a/b%20c", &[], b"").await;
    assert_eq!((head.header("content-length"), head.body.as_str()), ("5", ""));
}

#[tokio::test]
async fn ranges_and_parts() {
    let fixture = with_bucket().await;
    fixture.put("/bucket/whole", b"0123456789").await;
    for (range, expected) in [
        ("bytes=0-3", ("206", "0123", "bytes 0-3/10")),
        ("bytes=-2", ("206", "89", "bytes 8-9/10")),
        ("bytes=8-", ("206", "89", "bytes 8-9/10")),
        ("bytes=a", ("200", "0123456789", "")),
    ] {
        let got = fixture.send(Method::GET, "/bucket/whole", &[("range", range)], b"").await;
        let shown = (got.verdict(), got.body.as_str(), got.header("content-range"));
        assert_eq!((shown.0.as_str(), shown.1, shown.2), expected, "{range}");
    }
    let refused = fixture.send(Method::GET, "/bucket/whole", &[("range", "bytes=10-")], b"").await;
    assert_eq!(refused.verdict(), "416 InvalidRange");
    assert_eq!(refused.text("ActualObjectSize"), "10");

    let (id, list) = fixture.upload("/bucket/parts", &[b"first", b"second"]).await;
    let target = format!("/bucket/parts?uploadId={id}");
    for _repeated in 0..2 {
        let done = fixture.send(Method::POST, &target, &[], list.as_bytes()).await;
        assert_eq!(done.verdict(), "200", "{}", done.body);
        assert!(done.text("ETag").contains("-2"), "{}", done.body);
    }
    assert_eq!(fixture.get("/bucket/parts").await.body, "firstsecond");
    let second = fixture.get("/bucket/parts?partNumber=2").await;
    assert_eq!((second.verdict().as_str(), second.body.as_str()), ("206", "second"));
    assert_eq!(second.header("x-amz-mp-parts-count"), "2");
    assert_eq!(fixture.get("/bucket/parts?partNumber=3").await.verdict(), "400 InvalidPart");
}

/// `aws-chunked`, with signatures and trailer where they are wanted.
fn encode(
    chunks: &[&[u8]],
    mut signer: Option<tidelock_auth::sigv4::ChunkSigner>,
    trailer: Option<(&str, &str)>,
) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in chunks.iter().chain([&&b""[..]]) {
        let signature = signer.as_mut().map(|signer| signer.sign_chunk(&sha256_of(chunk)));
        let extension = signature.map(|signature| format!(";chunk-signature={signature}"));
        let header = format!("{:x}{}\r\n", chunk.len(), extension.unwrap_or_default());
        wire.extend_from_slice(header.as_bytes());
        wire.extend_from_slice(chunk);
        if !chunk.is_empty() {
            wire.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = trailer {
        wire.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        if let Some(signer) = &mut signer {
            let signature = signer.sign_trailer([(name, value.as_bytes())]);
            wire.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

async fn put_chunked(fixture: &Fixture, mode: &str, crc: &str, tamper: bool) -> fixture::Answer {
    let has_trailer = mode.ends_with("TRAILER");
    let mut headers =
        vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "9")];
    if has_trailer {
        headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
    }
    let (builder, signer) = fixture.sign(Method::PUT, "/bucket/chunked", &headers, 0, mode, "s3");
    let signer = mode.starts_with("STREAMING-AWS4").then_some(signer);
    let trailer = has_trailer.then_some(("x-amz-checksum-crc32", crc));
    let mut wire = encode(&[b"12345", b"6789"], signer, trailer);
    if tamper {
        let at = wire.windows(4).position(|bytes| bytes == b"6789").unwrap();
        wire[at] = b'x';
    }
    fixture.run(builder.body(Full::new(Bytes::from(wire))).unwrap()).await
}

#[tokio::test]
async fn every_payload_mode() {
    const CRC: &str = "y/Q5Jg==";
    let rows = [
        (STREAMING_SIGNED, CRC, false, "200"),
        (STREAMING_SIGNED, CRC, true, "403 SignatureDoesNotMatch"),
        (STREAMING_SIGNED_TRAILER, CRC, false, "200"),
        (STREAMING_SIGNED_TRAILER, CRC, true, "403 SignatureDoesNotMatch"),
        (STREAMING_UNSIGNED_TRAILER, CRC, false, "200"),
        (STREAMING_UNSIGNED_TRAILER, CRC, true, "400 BadDigest"),
        (STREAMING_UNSIGNED_TRAILER, "AAAAAA==", false, "400 BadDigest"),
    ];
    for (mode, crc, tamper, expected) in rows {
        let fixture = with_bucket().await;
        let put = put_chunked(&fixture, mode, crc, tamper).await;
        assert_eq!(put.verdict(), expected, "{mode} {crc} {tamper}: {}", put.body);
        let got = fixture.get("/bucket/chunked").await;
        if expected == "200" {
            assert_eq!(got.body, "123456789", "{mode}");
            assert_eq!(got.header("content-encoding"), "", "{mode}");
        } else {
            assert_eq!(got.verdict(), "404 NoSuchKey", "{mode}: nothing is left behind");
        }
    }
    let fixture = with_bucket().await;
    let unsigned =
        fixture.send_with(Method::PUT, "/bucket/u", &[], b"abc", UNSIGNED_PAYLOAD, "s3").await;
    assert_eq!(unsigned.verdict(), "200");
    let other = payload_hash(b"abd");
    let wrong = fixture.send_with(Method::PUT, "/bucket/w", &[], b"abc", &other, "s3").await;
    assert_eq!(wrong.verdict(), "400 XAmzContentSHA256Mismatch");
    assert_eq!(wrong.text("ClientComputedContentSHA256"), other);
    assert_eq!(wrong.text("S3ComputedContentSHA256"), payload_hash(b"abc"));
}

#[tokio::test]
async fn strangers_are_refused() {
    let fixture = with_bucket().await;
    let request = Request::get("/bucket/key").header("host", HOST);
    let anonymous = fixture.run(request.body(Full::default()).unwrap()).await;
    assert_eq!(anonymous.verdict(), "403 AccessDenied");
    let unknown = fixture.signing_as("AKIANOBODY", "x").get("/bucket/key").await;
    assert_eq!(unknown.verdict(), "403 InvalidAccessKeyId");
    assert_eq!(unknown.text("AWSAccessKeyId"), "AKIANOBODY");
    let forged = fixture.signing_as(fixture::ROOT_KEY, "wrong").get("/bucket/key").await;
    assert_eq!(forged.verdict(), "403 SignatureDoesNotMatch");
    assert!(!forged.text("CanonicalRequest").is_empty());
    let (builder, _) = fixture.sign(Method::GET, "/bucket", &[], 0, &payload_hash(b""), "s3");
    fixture.clock.advance(Duration::from_secs(16 * 60));
    let late = fixture.run(builder.body(Full::default()).unwrap()).await;
    assert_eq!(late.verdict(), "403 RequestTimeTooSkewed");
    assert_eq!(late.text("MaxAllowedSkewMilliseconds"), "900000");
}

#[tokio::test]
async fn users_see_only_their_own_buckets() {
    let fixture = with_bucket().await;
    let root = tidelock_store::Principal::root();
    fixture.store.create_user(&root, "ci").await.unwrap();
    let made = fixture.store.create_access_key(&root, "ci", None).await.unwrap();
    let ci = fixture.signing_as(&made.key.access_key_id, &made.secret_access_key);
    assert_eq!(ci.get("/bucket/key").await.verdict(), "403 AccessDenied");
    let head = ci.send(Method::HEAD, "/bucket", &[], b"").await;
    assert_eq!((head.status.as_u16(), head.header("x-amz-bucket-region")), (403, "us-east-1"));
    assert_eq!(ci.put("/bucket", b"").await.verdict(), "409 BucketAlreadyExists");
    ci.put("/own-bucket", b"").await;
    assert!(!ci.get("/").await.body.contains("<Name>bucket</Name>"));
    assert_eq!(ci.get("/own-bucket?acl").await.text("DisplayName"), "ci");
    assert_eq!(fixture.get("/own-bucket?acl").await.text("DisplayName"), "ci");
}

#[tokio::test]
async fn a_key_that_has_ended_is_refused_and_a_use_is_noted() {
    let fixture = with_bucket().await;
    let root = tidelock_store::Principal::root();
    fixture.store.create_user(&root, "ci").await.unwrap();
    let end = Some(tidelock_store::Clock::now(&*fixture.clock) + 60_000);
    let made = fixture.store.create_access_key(&root, "ci", end).await.unwrap();
    let last_used = async || {
        let keys = fixture.store.list_access_keys(&root, Some("ci")).await.unwrap();
        keys[0].last_used_ms.is_some()
    };
    let forger = fixture.signing_as(&made.key.access_key_id, "another secret");
    assert_eq!(forger.get("/").await.verdict(), "403 SignatureDoesNotMatch");
    assert!(!last_used().await, "only who has the secret uses the key");
    let ci = fixture.signing_as(&made.key.access_key_id, &made.secret_access_key);
    assert_eq!(ci.get("/").await.verdict(), "200");
    assert!(last_used().await);
    fixture.clock.advance(Duration::from_secs(60));
    let ended = ci.get("/").await;
    assert_eq!(ended.verdict(), "403 InvalidAccessKeyId");
    assert!(ended.text("Message").ends_with("has expired."), "{}", ended.body);
    assert_eq!(ended.text("AWSAccessKeyId"), made.key.access_key_id);
}

#[tokio::test]
async fn the_region_of_a_bucket_is_told_to_anybody() {
    let fixture = with_bucket().await;
    for (path, status, region) in [("/bucket", 403, "us-east-1"), ("/not-there", 404, "")] {
        let request = Request::head(path).header("host", HOST);
        let answer = fixture.run(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.header("x-amz-bucket-region"), region, "{path}");
    }
}

#[tokio::test]
async fn virtual_hosts_are_buckets() {
    let config = S3Config { domains: vec!["s3.example.com".into()], ..S3Config::default() };
    let fixture = Fixture::with(config);
    let host = ("host", "bucket.s3.example.com:9000");
    for (method, path, expected) in [
        (Method::PUT, "/", Operation::CreateBucket),
        (Method::PUT, "/key", Operation::PutObject),
        (Method::GET, "/key", Operation::GetObject),
        (Method::GET, "/?list-type=2", Operation::ListObjectsV2),
    ] {
        let answer = fixture.send(method, path, &[host], b"").await;
        assert_eq!(
            (answer.verdict().as_str(), answer.operation),
            ("200", Some(expected)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn errors_say_what_they_are_about() {
    let fixture = with_bucket().await;
    fixture.put("/bucket/key", b"x").await;
    let rows = [
        (Method::GET, "/bucket/none", "404 NoSuchKey", "<Key>none</Key>"),
        (Method::GET, "/nowhere/key", "404 NoSuchBucket", "<BucketName>nowhere</BucketName>"),
        (
            Method::GET,
            "/bucket/key?versionId=x",
            "400 InvalidArgument",
            "<ArgumentName>versionId</ArgumentName><ArgumentValue>x</ArgumentValue>",
        ),
        (
            Method::GET,
            "/bucket/key?versionId=00000000000000000000000000000001",
            "404 NoSuchVersion",
            "<Key>key</Key><VersionId>00000000000000000000000000000001</VersionId>",
        ),
        (Method::DELETE, "/bucket", "409 BucketNotEmpty", "<BucketName>bucket</BucketName>"),
        (Method::GET, "/bucket?tagging", "404 NoSuchTagSet", "<BucketName>bucket</BucketName>"),
        (Method::GET, "/bucket?policy", "404 NoSuchBucketPolicy", "<BucketName>bucket"),
        (Method::GET, "/bucket?cors", "404 NoSuchCORSConfiguration", ""),
        (Method::GET, "/bucket?website", "404 NoSuchWebsiteConfiguration", ""),
        (Method::GET, "/bucket?lifecycle", "404 NoSuchLifecycleConfiguration", ""),
        (Method::GET, "/bucket?replication", "404 ReplicationConfigurationNotFoundError", ""),
        (
            Method::GET,
            "/bucket?encryption",
            "404 ServerSideEncryptionConfigurationNotFoundError",
            "",
        ),
        (Method::GET, "/bucket?object-lock", "404 ObjectLockConfigurationNotFoundError", ""),
        (
            Method::GET,
            "/bucket?publicAccessBlock",
            "404 NoSuchPublicAccessBlockConfiguration",
            "<BucketName>bucket</BucketName>",
        ),
        (Method::PUT, "/bucket?website", "501 NotImplemented", "PutBucketWebsite"),
        (Method::PATCH, "/bucket/key", "405 MethodNotAllowed", "<ResourceType>OBJECT"),
        (Method::GET, "/bucket/key?uploadId=x", "404 NoSuchUpload", "<UploadId>x</UploadId>"),
        (Method::PUT, "/No_Bucket", "400 InvalidBucketName", ""),
        (Method::GET, "/bucket?max-keys=x", "400 InvalidArgument", "max-keys"),
    ];
    for (method, target, verdict, inside) in rows {
        let answer = fixture.send(method, target, &[], b"").await;
        assert_eq!(answer.verdict(), verdict, "{target}: {}", answer.body);
        assert!(answer.body.contains(inside), "{target}: {}", answer.body);
        assert!(
            answer
                .body
                .contains(&format!("<RequestId>{}</RequestId>", answer.header("x-amz-request-id")))
        );
    }
    let long = format!("/bucket/{}", "k".repeat(1025));
    assert_eq!(fixture.put(&long, b"").await.verdict(), "400 KeyTooLongError");
    let head = fixture.send(Method::HEAD, "/bucket/none", &[], b"").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (404, ""));
}

#[tokio::test]
async fn headers_that_ask_for_too_much_are_refused() {
    let fixture = with_bucket().await;
    let sse_c = [
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        (
            "x-amz-server-side-encryption-customer-key",
            "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=",
        ),
        ("x-amz-server-side-encryption-customer-key-md5", "DWygnHRtgiJ77HCm+1rvHw=="),
    ];
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("x-amz-server-side-encryption", "AES256")], "200"),
        (&[("x-amz-server-side-encryption", "aws:kms")], "200"),
        (&[("x-amz-server-side-encryption", "aws:kms:dsse")], "501 NotImplemented"),
        (&sse_c, "200"),
        (&[("x-amz-acl", "private")], "200"),
        (&[("x-amz-acl", "bucket-owner-full-control")], "200"),
        (&[("x-amz-acl", "public-read")], "400 AccessControlListNotSupported"),
        (&[("x-amz-object-lock-legal-hold", "ON")], "400 InvalidRequest"),
        (&[("x-amz-tagging", "a=1&a=2")], "400 InvalidArgument"),
        (&[("x-amz-expected-bucket-owner", "000000000000")], "200"),
        (&[("x-amz-expected-bucket-owner", "111122223333")], "403 AccessDenied"),
        (&[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "400 BadDigest"),
        (&[("content-md5", "?")], "400 InvalidDigest"),
        (&[("x-amz-checksum-crc32", "AAAAAA==")], "400 BadDigest"),
        (&[("x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")], "200"),
    ];
    for (headers, expected) in rows {
        let answer = fixture.send(Method::PUT, "/bucket/key", headers, b"abc").await;
        assert_eq!(answer.verdict(), *expected, "{headers:?}: {}", answer.body);
    }
    let empty = payload_hash(b"");
    let (builder, _) = fixture.sign(Method::PUT, "/bucket/key", &[], 0, &empty, "s3");
    let mut request = builder.body(Full::default()).unwrap();
    // Signed without it, sent without it.
    request.headers_mut().remove("content-length");
    let request = fixture.run(request).await;
    assert_eq!(request.verdict(), "403 SignatureDoesNotMatch");
}

#[tokio::test]
async fn sts_and_iam_know_the_caller() {
    let fixture = Fixture::new();
    let identity = b"Action=GetCallerIdentity&Version=2011-06-15";
    let user = b"Action=GetUser&Version=2010-05-08";
    let rows: [(&[u8], &str, &str, &str); 6] = [
        (identity, "sts", "200", "<Arn>arn:aws:iam::000000000000:root</Arn>"),
        (user, "iam", "200", "<Arn>arn:aws:iam::000000000000:root</Arn>"),
        (identity, "s3", "400 IncompleteSignature", "<Type>Sender</Type>"),
        (b"Action=AssumeRole", "sts", "400 ValidationError", "RoleArn"),
        (b"Action=DecodeAuthorizationMessage", "sts", "501 NotImplemented", "Decode"),
        (b"", "sts", "501 NotImplemented", "<ErrorResponse"),
    ];
    for (form, service, verdict, inside) in rows {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let hash = payload_hash(form);
        let answer = fixture.send_with(Method::POST, "/", &headers, form, &hash, service).await;
        assert_eq!(answer.verdict(), verdict, "{service}: {}", answer.body);
        assert!(answer.body.contains(inside), "{service}: {}", answer.body);
    }
}

#[tokio::test]
async fn refusals_carry_their_code_for_the_log() {
    let fixture = Fixture::new();
    let (builder, _) = fixture.sign(Method::GET, "/nowhere/k", &[], 0, &payload_hash(b""), "s3");
    let peer = tidelock_s3::Peer {
        address: "127.0.0.1:1".parse().unwrap(),
        secure: true,
        conversation: Arc::default(),
    };
    let request = builder.body(Full::<Bytes>::default()).unwrap();
    let response = fixture.service.handle(request, peer).await;
    assert_eq!(response.extensions().get::<ErrorCode>(), Some(&ErrorCode::NoSuchBucket));
}

/// A refused client that is cut off while it sends sees a reset connection, not the answer.
#[tokio::test]
async fn what_a_refused_client_still_sends_is_read_within_limits() {
    const KIB: usize = 1 << 10;
    let fixture = with_bucket().await;
    fixture.put("/bucket/key", b"x").await;
    let rows = [
        ("a small body", 64, vec![("if-none-match", "*")], StatusCode::PRECONDITION_FAILED, 64),
        (
            "an endless one",
            4096,
            vec![("if-none-match", "*")],
            StatusCode::PRECONDITION_FAILED,
            1025,
        ),
        (
            "one that waits",
            64,
            vec![("if-none-match", "*"), ("expect", "100-continue")],
            StatusCode::PRECONDITION_FAILED,
            0,
        ),
        ("one nobody signed", 64, vec![], StatusCode::FORBIDDEN, 64),
    ];
    for (name, length_kib, headers, status, read_kib) in rows {
        let payload = "UNSIGNED-PAYLOAD";
        let target = "/bucket/key";
        let (signed, _) =
            fixture.sign(Method::PUT, target, &headers, length_kib * KIB, payload, "s3");
        let builder = match status {
            StatusCode::FORBIDDEN => Request::builder().method(Method::PUT).uri(target),
            _ => signed,
        };
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let pieces = futures_util::stream::iter(0..length_kib).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; KIB])))
        });
        let peer = tidelock_s3::Peer {
            address: "127.0.0.1:1".parse().unwrap(),
            secure: true,
            conversation: Arc::default(),
        };
        let request = builder.body(StreamBody::new(pieces)).unwrap();
        let response = fixture.service.handle(request, peer).await;
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(read.load(Ordering::SeqCst), read_kib, "{name}");
    }
}

#[tokio::test]
async fn an_answer_without_the_service_is_dressed_like_all_others() {
    let fixture = Fixture::new();
    let answer = fixture.service.refuse(ErrorCode::SlowDown, &Method::GET, "/bucket/key");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let id = answer.headers().get("x-amz-request-id").unwrap().to_str().unwrap().to_owned();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("<Code>SlowDown</Code>") && body.contains(&id), "{body}");
}

#[tokio::test]
async fn version_2_is_taken_only_where_it_is_allowed() {
    use base64::Engine as _;
    let taking = Fixture::with(S3Config { allow_signature_v2: true, ..S3Config::default() });
    taking.put("/bucket", b"").await;
    let refusing = with_bucket().await;
    let date = "Fri, 15 Jan 2027 08:00:00 GMT";
    let ask = |secret: &str, path: &str, signed_path: &str| {
        let string_to_sign = format!("PUT\n\n\n{date}\n{signed_path}");
        let key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = ring::hmac::sign(&key, string_to_sign.as_bytes());
        let signature = base64::prelude::BASE64_STANDARD.encode(signature);
        Request::builder()
            .method(Method::PUT)
            .uri(path)
            .header("host", HOST)
            .header("date", date)
            .header("content-length", "5")
            .header("authorization", format!("AWS {}:{signature}", fixture::ROOT_KEY))
            .body(Full::new(Bytes::from_static(b"hello")))
            .unwrap()
    };
    let good = || ask(fixture::ROOT_SECRET, "/bucket/k", "/bucket/k");
    assert_eq!(taking.run(good()).await.verdict(), "200");
    assert_eq!(taking.get("/bucket/k").await.body, "hello");
    assert_eq!(refusing.run(good()).await.verdict(), "400 InvalidRequest");
    for (secret, path, signed_path, expected) in [
        ("another", "/bucket/k", "/bucket/k", "403 SignatureDoesNotMatch"),
        (fixture::ROOT_SECRET, "/bucket/l", "/bucket/k", "403 SignatureDoesNotMatch"),
        (fixture::ROOT_SECRET, "/bucket/k?acl", "/bucket/k", "403 SignatureDoesNotMatch"),
        (fixture::ROOT_SECRET, "/bucket/k?retention", "/bucket/k", "400 InvalidRequest"),
    ] {
        let refused = taking.run(ask(secret, path, signed_path)).await;
        assert_eq!(refused.verdict(), expected, "{path}");
    }
    taking.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(taking.run(good()).await.verdict(), "403 RequestTimeTooSkewed");
}
