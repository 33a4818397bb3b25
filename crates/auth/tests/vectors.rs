//! The signatures that AWS publishes: each must be verified, and made from the same inputs.
//!
//! Facts from the S3 API reference ("Examples: signature calculations", "Transferring payload in
//! multiple chunks", "Including trailing headers", "Using query parameters") and from the
//! Signature Version 4 test suite, where its rule for paths is also S3's.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use jiff::Timestamp;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{
    AuthError, ChunkSigner, Claim, EMPTY_PAYLOAD, RequestHead, STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER, SignedRequest, Signer, SigningKey, parse, payload_hash,
};

const S3_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const S3_DATE: &str = "20130524T000000Z";
const SUITE_KEY: &str = "AKIDEXAMPLE";
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SUITE_DATE: &str = "20150830T123600Z";

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

struct Row<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    signature: &'a str,
}

fn instant(date: &str) -> Timestamp {
    let at = |from: usize, to: usize| &date[from..to];
    let (day, time) = ((at(0, 4), at(4, 6), at(6, 8)), (at(9, 11), at(11, 13), at(13, 15)));
    format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, time.0, time.1, time.2).parse().unwrap()
}

fn headers<'a>(pairs: &'a [(&'a str, &'a str)]) -> Headers<'a> {
    pairs.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

fn claim<'a>(head: RequestHead<'a>) -> SignedRequest<'a> {
    match parse(head).unwrap() {
        Claim::Signed(request) => request,
        Claim::Anonymous => panic!("not signed"),
    }
}

fn key(secret: &str, request: &SignedRequest<'_>) -> SigningKey {
    SigningKey::derive(&SecretAccessKey::new(secret), &request.scope())
}

/// Verifies the row with its published signature in the published form of the header.
fn verifies(row: &Row<'_>, service: &str, key_id: &str, secret: &str, date: &str) {
    let mut names: Vec<_> = row.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.push("x-amz-date".to_owned());
    names.sort();
    names.dedup();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key_id}/{}/us-east-1/{service}/aws4_request,\
         SignedHeaders={},Signature={}",
        &date[..8],
        names.join(";"),
        row.signature
    );
    let mut headers = headers(row.headers);
    headers.push(("X-Amz-Date", date.as_bytes()));
    headers.push(("Authorization", authorization.as_bytes()));
    let Row { method, path, query, .. } = *row;
    let head = RequestHead { method, path, query, authority: None, headers: &headers };
    let request = claim(head).with_body(row.body.as_bytes());
    let verified = request.verify(&key(secret, &request), instant(date));
    if let Err(AuthError::SignatureMismatch(mismatch)) = &verified {
        panic!("{method} {path}?{query}:\n{}", mismatch.canonical_request);
    }
    verified.unwrap();
}

/// Signs the row's inputs and finds the published signature; returns the chain that follows it.
fn signs(row: &Row<'_>) -> ChunkSigner {
    let mut headers = headers(row.headers);
    headers.retain(|(name, _)| *name != "x-amz-content-sha256");
    let Row { method, path, query, .. } = *row;
    let head = RequestHead { method, path, query, authority: None, headers: &headers };
    let payload = row.headers.iter().find(|(name, _)| *name == "x-amz-content-sha256").unwrap().1;
    let signed = with_signer(|signer| signer.sign(&head, payload, instant(S3_DATE)));
    let authorization =
        &signed.headers.iter().find(|(name, _)| *name == "authorization").unwrap().1;
    assert!(authorization.ends_with(row.signature), "{method} {path}?{query}: {authorization}");
    signed.chunk_signer
}

fn with_signer<T>(act: impl FnOnce(Signer<'_>) -> T) -> T {
    act(Signer {
        access_key_id: &AccessKeyId::parse(S3_KEY).unwrap(),
        secret: &SecretAccessKey::new(S3_SECRET),
        session_token: None,
        region: "us-east-1",
        service: "s3",
    })
}

#[test]
fn s3_examples() {
    type Sent<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let empty = ("x-amz-content-sha256", EMPTY_PAYLOAD);
    let welcome = payload_hash(b"Welcome to Amazon S3.");
    let put_headers = [
        host,
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", welcome.as_str()),
    ];
    let get_headers = [host, ("range", "bytes=0-9"), empty];
    let list_headers = [host, empty];
    let rows: &[(Sent<'_>, &str)] = &[
        (
            ("GET", "/test.txt", "", &get_headers),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            ("PUT", "/test$file.text", "", &put_headers),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            ("PUT", "/test%24file.text", "", &put_headers),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            ("GET", "/", "lifecycle", &list_headers),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            ("GET", "/", "max-keys=2&prefix=J", &list_headers),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for ((method, path, query, headers), signature) in rows {
        let row = Row { method, path, query, headers, body: "", signature };
        verifies(&row, "s3", S3_KEY, S3_SECRET, S3_DATE);
        signs(&row);
    }
}

#[test]
fn s3_presigned_example() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let headers = headers(&[("Host", "examplebucket.s3.amazonaws.com")]);
    let mut head =
        RequestHead { method: "GET", path: "/test.txt", query, authority: None, headers: &headers };
    let request = claim(head);
    request.verify(&key(S3_SECRET, &request), instant(S3_DATE)).unwrap();

    head.query = "";
    let made = with_signer(|signer| signer.presign(&head, 86_400, instant(S3_DATE)));
    assert_eq!(made.as_deref(), Ok(query));
}

fn streaming(payload: &str, trailer: Option<&str>, seed: &str) -> ChunkSigner {
    let mut pairs = vec![
        ("host", "s3.amazonaws.com"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", payload),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
    ];
    match trailer {
        Some(names) => pairs.push(("x-amz-trailer", names)),
        None => pairs.push(("content-length", "66824")),
    }
    let path = "/examplebucket/chunkObject.txt";
    let row = Row { method: "PUT", path, query: "", headers: &pairs, body: "", signature: seed };
    verifies(&row, "s3", S3_KEY, S3_SECRET, S3_DATE);
    signs(&row)
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hex::decode_to_slice(payload_hash(data), &mut hash).unwrap();
    hash
}

/// The 66,560 letters `a` of both streaming examples: 64 KiB, 1 KiB, nothing.
fn chunks(mut chain: ChunkSigner, signatures: [&str; 3]) -> ChunkSigner {
    let data = [vec![b'a'; 65_536], vec![b'a'; 1024], vec![]];
    for (data, signature) in data.iter().zip(signatures) {
        let mut verifier = chain.clone();
        let wrong = sha256(b"something else");
        verifier.verify_chunk(signature.as_bytes(), &wrong).unwrap_err();
        verifier.verify_chunk(signature.as_bytes(), &sha256(data)).unwrap();
        assert_eq!(chain.sign_chunk(&sha256(data)), signature);
    }
    chain
}

#[test]
fn s3_chunked_example() {
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    chunks(
        streaming(STREAMING_SIGNED, None, seed),
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
    );
}

#[test]
fn s3_trailer_example() {
    let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let mut chain = chunks(
        streaming(STREAMING_SIGNED_TRAILER, Some("x-amz-checksum-crc32c"), seed),
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
    );
    let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    let trailers: [(&str, &[u8]); 1] = [("x-amz-checksum-crc32c", b"sOO8/Q==")];
    let mut verifier = chain.clone();
    let other: [(&str, &[u8]); 1] = [("x-amz-checksum-crc32c", b"sOO8/A==")];
    verifier.verify_trailer(signature.as_bytes(), other).unwrap_err();
    verifier.verify_trailer(signature.as_bytes(), trailers).unwrap();
    assert_eq!(chain.sign_trailer(trailers), signature);
}

#[test]
fn test_suite() {
    const UNRESERVED: &str = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    type Sent<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let duplicate = [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")];
    let blanks = [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")];
    let rows: &[(Sent<'_>, &str)] = &[
        (
            ("GET", "/", "", &[], ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            ("GET", "/", "Param2=value2&Param1=value1", &[], ""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            ("GET", "/", "Param1=value1", &[], ""),
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            ("GET", "/", "ሴ=bar", &[], ""),
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            ("GET", UNRESERVED, "", &[], ""),
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            ("GET", "/ሴ", "", &[], ""),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            ("GET", "/", "", &duplicate, ""),
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            ("GET", "/", "", &blanks, ""),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            ("POST", "/", "", &[], ""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            ("POST", "/", "", &[("My-Header1", "value1")], ""),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            ("POST", "/", "", &[("My-Header1", "VALUE1")], ""),
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            ("POST", "/", "Param1=value1", &[], ""),
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            ("POST", "/", "", &form, "Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ];
    for ((method, path, query, more, body), signature) in rows {
        let mut headers = vec![("Host", "example.amazonaws.com")];
        headers.extend_from_slice(more);
        let row = Row { method, path, query, headers: &headers, body, signature };
        verifies(&row, "service", SUITE_KEY, SUITE_SECRET, SUITE_DATE);
    }
}
