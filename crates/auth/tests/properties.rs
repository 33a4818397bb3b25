//! What the signer makes the verifier takes, and nothing that differs from it.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::sample::Index;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{
    AuthError, Claim, RequestHead, Signer, SigningKey, Verified, encode_path, encode_query, parse,
    payload_hash,
};

/// A name and a value of a query, unescaped.
type Pair = (Vec<u8>, Vec<u8>);

/// A request in owned parts, so that a test can change any of them.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn with_head<T>(&self, act: impl FnOnce(RequestHead<'_>) -> T) -> T {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let Self { method, path, query, .. } = self;
        act(RequestHead { method, path, query, authority: None, headers: &headers })
    }

    fn verify(&self) -> Result<Verified, AuthError> {
        self.with_head(|head| match parse(head)? {
            Claim::Anonymous => panic!("not signed"),
            Claim::Signed(request) => {
                let key = SigningKey::derive(&secret(), &request.scope());
                request.verify(&key, now())
            }
        })
    }

    fn sign(mut self, payload: &str) -> Self {
        let signed =
            with_signer(|signer| self.with_head(|head| signer.sign(&head, payload, now())));
        let added = signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        self.headers.extend(added);
        self
    }

    fn presign(mut self) -> Self {
        self.query =
            with_signer(|signer| self.with_head(|head| signer.presign(&head, 60, now()))).unwrap();
        self
    }

    /// What the path and the query mean, however they are escaped.
    fn meaning(&self) -> (Vec<u8>, Vec<Pair>) {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).collect();
        let parts = self.query.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        let mut pairs: Vec<_> = pairs.map(|(name, value)| (decode(name), decode(value))).collect();
        pairs.sort();
        (percent_decode_str(&self.path).collect(), pairs)
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_369_353_600).unwrap()
}

fn secret() -> SecretAccessKey {
    SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
}

fn with_signer<T>(act: impl FnOnce(Signer<'_>) -> T) -> T {
    act(Signer {
        access_key_id: &AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
        secret: &secret(),
        session_token: None,
        region: "eu-west-par",
        service: "s3",
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let keys = prop_oneof![
        Just("env:/dev/app.tfstate".to_owned()),
        Just("a b+c//../~*%2F%ff'()é".to_owned()),
        "\\PC{0,24}",
    ];
    let queries = proptest::collection::vec(("[a-z-]{1,8}", "\\PC{0,12}"), 0..5);
    let headers = proptest::collection::vec(("x-amz-meta-[a-z]{1,6}", "[!-~]{1,12}"), 0..5);
    ("GET|PUT|POST|DELETE|HEAD", keys, queries, headers).prop_map(|(method, key, query, more)| {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode_query(name), encode_query(value)))
            .collect();
        let mut headers = vec![("Host".to_owned(), "bucket.localhost:9000".to_owned())];
        headers.extend(more);
        let path = format!("/bucket/{}", encode_path(&key));
        Request { method, path, query: query.join("&"), headers }
    })
}

/// Puts `byte` in place of another one of `text`; none if there is nothing to change.
fn change(text: &str, at: Index, byte: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let at = (!bytes.is_empty()).then(|| at.index(bytes.len()))?;
    (bytes[at] != byte).then(|| bytes[at] = byte)?;
    String::from_utf8(bytes).ok()
}

proptest! {
    #[test]
    fn what_is_signed_is_verified(request in requests(), body in "\\PC{0,40}") {
        prop_assert!(request.clone().sign(&payload_hash(body.as_bytes())).verify().is_ok());
        prop_assert!(request.presign().verify().is_ok());
    }

    #[test]
    fn a_changed_byte_is_refused(
        request in requests(),
        part in 0..4_usize,
        header in any::<Index>(),
        at in any::<Index>(),
        byte in b'!'..=b'~',
        presigned in any::<bool>(),
    ) {
        let signed =
            if presigned { request.presign() } else { request.sign(&payload_hash(b"body")) };
        prop_assert!(signed.verify().is_ok());
        let mut changed = signed.clone();
        let place = match part {
            0 => &mut changed.method,
            1 => &mut changed.path,
            2 => &mut changed.query,
            _ => {
                let signed_headers: Vec<_> =
                    changed.headers.iter_mut().filter(|(name, _)| name != "authorization").collect();
                let count = signed_headers.len();
                &mut signed_headers.into_iter().nth(header.index(count)).unwrap().1
            }
        };
        let Some(text) = change(place, at, byte) else { return Ok(()) };
        *place = text;
        prop_assume!(part == 0 || part == 3 || changed.meaning() != signed.meaning());
        // A changed name of a signature parameter takes the claim away altogether.
        let claims = changed.with_head(|head| !matches!(parse(head), Ok(Claim::Anonymous)));
        prop_assert!(!claims || changed.verify().is_err(), "{changed:?}");
    }

    #[test]
    fn a_header_that_is_gone_is_refused(request in requests(), gone in any::<Index>()) {
        let mut signed = request.sign(&payload_hash(b""));
        let gone = gone.index(signed.headers.len() - 1);
        prop_assume!(signed.headers[gone].0 != "authorization");
        signed.headers.remove(gone);
        prop_assert!(signed.verify().is_err());
    }

    #[test]
    fn the_authority_stands_in_for_the_host(request in requests()) {
        let signed = request.sign(&payload_hash(b""));
        let mut changed = signed.clone();
        let (_, host) = changed.headers.remove(0);
        changed.with_head(|head| {
            for (authority, right) in [(host.as_str(), true), ("other.localhost", false)] {
                let head = RequestHead { authority: Some(authority), ..head };
                let Ok(Claim::Signed(request)) = parse(head) else { panic!("not signed") };
                let key = SigningKey::derive(&secret(), &request.scope());
                assert_eq!(request.verify(&key, now()).is_ok(), right);
            }
        });
    }
}
