//! Any request at all: parsing and verifying it never panics, and nothing unsigned is believed.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{Claim, EMPTY_PAYLOAD, RequestHead, Signer, SigningKey, parse};

/// A request whose parts are free, or (with `template`) one of nearly the right form, so that
/// the fuzzer reaches what lies behind the first checks.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    authority: Option<&'a str>,
    headers: Vec<(&'a str, &'a [u8])>,
    template: Option<Template<'a>>,
    body: &'a [u8],
    now_s: i32,
}

#[derive(Arbitrary, Debug)]
enum Template<'a> {
    Header { credential: &'a str, signed_headers: &'a str, signature: &'a str },
    Presigned { expires_s: u32 },
    Signed,
}

fuzz_target!(|input: Input<'_>| {
    let now = Timestamp::from_second(i64::from(input.now_s)).unwrap_or_default();
    let head = RequestHead {
        method: input.method,
        path: input.path,
        query: input.query,
        authority: input.authority,
        headers: &input.headers,
    };
    let secret = SecretAccessKey::new("secret");
    let Ok(access_key_id) = AccessKeyId::parse("AKID") else { return };
    let signer = Signer {
        access_key_id: &access_key_id,
        secret: &secret,
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    match &input.template {
        None => verify(head, input.body, now, Belief::Impossible),
        Some(Template::Header { credential, signed_headers, signature }) => {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKID/19700101/{credential}/s3/aws4_request, \
                 SignedHeaders=host;{signed_headers}, Signature={signature}"
            );
            let mut headers = input.headers.clone();
            headers.push(("authorization", authorization.as_bytes()));
            headers.push(("x-amz-date", b"19700101T000000Z"));
            let head = RequestHead { headers: &headers, ..head };
            verify(head, input.body, now, Belief::Impossible);
        }
        Some(Template::Presigned { expires_s }) => {
            let Ok(query) = signer.presign(&head, *expires_s, now) else { return };
            verify(RequestHead { query: &query, ..head }, input.body, now, Belief::Possible);
        }
        Some(Template::Signed) => {
            let signed = signer.sign(&head, EMPTY_PAYLOAD, now);
            let mut headers = input.headers.clone();
            headers.extend(signed.headers.iter().map(|(name, value)| (*name, value.as_bytes())));
            let head = RequestHead { headers: &headers, ..head };
            verify(head, input.body, now, Belief::Possible);
        }
    }
});

#[derive(PartialEq)]
enum Belief {
    Possible,
    Impossible,
}

fn verify(head: RequestHead<'_>, body: &[u8], now: Timestamp, belief: Belief) {
    let Ok(Claim::Signed(request)) = parse(head) else { return };
    let key = SigningKey::derive(&SecretAccessKey::new("secret"), &request.scope());
    let request = request.with_body(body);
    let verified = request.verify(&key, now);
    assert!(verified.is_err() || belief == Belief::Possible, "nobody signed this: {head:?}");
    if let Ok(verified) = verified
        && let Some(mut chunks) = verified.chunk_signer
    {
        assert!(chunks.verify_chunk(body, &[0; 32]).is_err());
        let trailers: [(&str, &[u8]); 1] = [(head.method, body)];
        assert!(chunks.verify_trailer(body, trailers).is_err());
    }
    let _ = request.require_service(&["s3"]);
}
