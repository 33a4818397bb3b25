//! Any request at all: parsing and verifying it never panics, and nothing unsigned is believed.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{Claim, EMPTY_PAYLOAD, RequestHead, Signer, SigningKey, parse};

// The first line is the second it is and `free`, `header CREDENTIAL SIGNED_HEADERS SIGNATURE`, `presigned SECONDS`
// or `signed`: all but the first give a request of nearly the right form, so that the fuzzer reaches what
// lies behind the first checks. The second line is METHOD AUTHORITY PATH[?QUERY]; then come headers as
// NAME: VALUE, and after an empty line the body.
fuzz_target!(|input: &[u8]| {
    let (line, rest) = split_line(input);
    let Ok(words) = std::str::from_utf8(line) else { return };
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    let [now_s, template @ ..] = words.as_slice() else { return };
    let now = now_s.parse().ok().and_then(|now_s| Timestamp::from_second(now_s).ok());
    let now = now.unwrap_or_default();
    let (line, rest) = split_line(rest);
    let Ok(target) = std::str::from_utf8(line) else { return };
    let words: Vec<&str> = target.split_ascii_whitespace().collect();
    let [method, authority, target] = words.as_slice() else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some((all, body)) = headers(rest) else { return };
    let head = RequestHead {
        method,
        path,
        query,
        authority: Some(*authority).filter(|authority| *authority != "-"),
        headers: &all,
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
    match template {
        ["free"] => verify(head, body, now, Belief::Impossible),
        ["header", credential, signed_headers, signature] => {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKID/19700101/{credential}/s3/aws4_request, \
                 SignedHeaders=host;{signed_headers}, Signature={signature}"
            );
            let mut headers = all.clone();
            headers.push(("authorization", authorization.as_bytes()));
            headers.push(("x-amz-date", b"19700101T000000Z"));
            let head = RequestHead { headers: &headers, ..head };
            verify(head, body, now, Belief::Impossible);
        }
        ["presigned", expires_s] => {
            let Ok(expires_s) = expires_s.parse() else { return };
            let Ok(query) = signer.presign(&head, expires_s, now) else { return };
            verify(RequestHead { query: &query, ..head }, body, now, Belief::Possible);
        }
        ["signed"] => {
            let signed = signer.sign(&head, EMPTY_PAYLOAD, now);
            let mut headers = all.clone();
            headers.extend(signed.headers.iter().map(|(name, value)| (*name, value.as_bytes())));
            let head = RequestHead { headers: &headers, ..head };
            verify(head, body, now, Belief::Possible);
        }
        _ => {}
    }
});

fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// The headers, and what follows the empty line after them.
fn headers(mut input: &[u8]) -> Option<(Vec<(&str, &[u8])>, &[u8])> {
    let mut headers = Vec::new();
    loop {
        let (line, rest) = split_line(input);
        input = rest;
        if line.is_empty() {
            return Some((headers, input));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        headers.push((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()));
    }
}

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
