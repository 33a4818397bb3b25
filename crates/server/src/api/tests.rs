//! Requests as a client would sign them, answered without a socket, as rows.
#![allow(clippy::unwrap_used, reason = "tests")]

use http_body_util::Full;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{RequestHead, Signer};
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::{Clock, SystemClock};
use tidelock_store::{Keyring, StoreConfig, SystemEntropy};

use super::*;

const ROOT: (&str, &str) = ("rootroot", "rootsecret");

struct Harness {
    api: Api,
    clock: Arc<dyn Clock>,
}

/// How a request is spoiled on its way.
#[derive(Clone, Copy, PartialEq)]
enum Spoiled {
    No,
    Unsigned,
    OtherBody,
    UnsignedPayload,
}

impl Harness {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let entropy = Arc::new(SystemEntropy::new());
        let keyring = Keyring::parse(&Keyring::generate("1", &*entropy)).unwrap();
        let store = Store::new(
            Arc::new(MemoryStore::new()),
            Arc::new(MemoryBlobStore::new()),
            keyring,
            clock.clone(),
            entropy,
            StoreConfig::default(),
        );
        let store = Arc::new(store.with_root(ROOT.0, zeroize::Zeroizing::new(ROOT.1.to_owned())));
        let authenticator = Arc::new(Authenticator::new(store.clone(), clock.clone()));
        let sender = Arc::new(Sender::new(clock.clone()).unwrap());
        Self { api: Api::new(store, authenticator, sender, Duration::from_secs(1)), clock }
    }

    async fn ask(
        &self,
        (id, secret): (&str, &str),
        target: &str,
        body: &str,
        spoiled: Spoiled,
    ) -> (u16, &'static str, serde_json::Value) {
        let (method, uri) = target.split_once(' ').unwrap();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let id = AccessKeyId::parse(id).unwrap();
        let secret = SecretAccessKey::new(secret);
        let signer = Signer {
            access_key_id: &id,
            secret: &secret,
            session_token: None,
            region: "us-east-1",
            service: "s3",
        };
        let headers: &[(&str, &[u8])] = &[("host", b"localhost")];
        let head = RequestHead { method, path, query, authority: None, headers };
        let payload = match spoiled {
            Spoiled::UnsignedPayload => "UNSIGNED-PAYLOAD".to_owned(),
            Spoiled::No | Spoiled::Unsigned | Spoiled::OtherBody => payload_hash(body.as_bytes()),
        };
        let now = jiff::Timestamp::from_millisecond(self.clock.now()).unwrap();
        let signed = signer.sign(&head, &payload, now);
        let mut request = Request::builder().method(method).uri(uri).header("host", "localhost");
        if spoiled != Spoiled::Unsigned {
            for (name, value) in &signed.headers {
                request = request.header(*name, value);
            }
        }
        let sent = if spoiled == Spoiled::OtherBody { "{}" } else { body };
        let request = request.body(Full::new(Bytes::from(sent.to_owned()))).unwrap();
        let peer = Peer {
            address: ([127, 0, 0, 1], 1).into(),
            secure: false,
            conversation: Arc::default(),
        };
        let answer = self.api.answer(request, &peer).await;
        let status = answer.response.status().as_u16();
        let body = answer.response.into_body().collect().await.unwrap().to_bytes();
        let document = serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null);
        (status, answer.code, document)
    }
}

#[tokio::test]
async fn users_and_keys_have_a_life() {
    let harness = Harness::new();
    let rows: &[(&str, &str, u16, &str)] = &[
        ("POST /_/api/v1/users", r#"{"name":"ci"}"#, 201, "OK"),
        ("POST /_/api/v1/users", r#"{"name":"ci"}"#, 409, "UserExists"),
        ("POST /_/api/v1/users", r#"{"name":"c/i"}"#, 400, "InvalidUserName"),
        ("POST /_/api/v1/users", r#"{"name":"a","admin":true}"#, 400, "MalformedRequest"),
        ("POST /_/api/v1/users", "", 400, "MalformedRequest"),
        ("GET /_/api/v1/users", "", 200, "OK"),
        ("POST /_/api/v1/keys", r#"{"user":"ci"}"#, 201, "OK"),
        ("POST /_/api/v1/keys", r#"{"user":"nobody"}"#, 404, "NoSuchUser"),
        ("GET /_/api/v1/keys?user=ci", "", 200, "OK"),
        ("GET /_/api/v1/keys?user=nobody", "", 404, "NoSuchUser"),
        ("DELETE /_/api/v1/users/ci", "", 409, "UserInUse"),
        ("DELETE /_/api/v1/keys/AKIANONE", "", 404, "NoSuchKey"),
        ("DELETE /_/api/v1/users/nobody", "", 404, "NoSuchUser"),
        ("PUT /_/api/v1/users", "", 405, "MethodNotAllowed"),
        ("GET /_/api/v1/nothing", "", 404, "NoSuchPath"),
    ];
    for (target, body, status, code) in rows {
        let (found, found_code, document) = harness.ask(ROOT, target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target} {body}: {document}");
        if *status >= 400 {
            assert_eq!(document["code"], *code);
        }
    }
    let (_, _, keys) = harness.ask(ROOT, "GET /_/api/v1/keys", "", Spoiled::No).await;
    assert_eq!(keys["keys"][0]["user"], "ci");
    assert!(keys["keys"][0].get("secret_access_key").is_none(), "secrets are shown once");
    let id = keys["keys"][0]["access_key_id"].as_str().unwrap();
    let path = format!("DELETE /_/api/v1/keys/{id}");
    assert_eq!(harness.ask(ROOT, &path, "", Spoiled::No).await.0, 204);
    assert_eq!(harness.ask(ROOT, "DELETE /_/api/v1/users/ci", "", Spoiled::No).await.0, 204);
}

#[tokio::test]
async fn only_root_may_and_only_with_a_signed_body() {
    let harness = Harness::new();
    harness.ask(ROOT, "POST /_/api/v1/users", r#"{"name":"ci"}"#, Spoiled::No).await;
    let (_, _, made) =
        harness.ask(ROOT, "POST /_/api/v1/keys", r#"{"user":"ci"}"#, Spoiled::No).await;
    let id = made["access_key_id"].as_str().unwrap();
    let user = (id, made["secret_access_key"].as_str().unwrap());
    let rows = [
        (user, Spoiled::No, 403, "AccessDenied"),
        ((id, "wrong secret"), Spoiled::No, 403, "SignatureDoesNotMatch"),
        (("nobody", "x"), Spoiled::No, 403, "InvalidAccessKeyId"),
        (ROOT, Spoiled::Unsigned, 403, "AccessDenied"),
        (ROOT, Spoiled::OtherBody, 400, "XAmzContentSHA256Mismatch"),
        (ROOT, Spoiled::UnsignedPayload, 400, "InvalidRequest"),
    ];
    for (who, spoiled, status, code) in rows {
        let target = "POST /_/api/v1/users";
        let (found, found_code, _) = harness.ask(who, target, r#"{"name":"x"}"#, spoiled).await;
        assert_eq!((found, found_code), (status, code), "{who:?}");
    }
}
