//! Requests as a client would sign them, answered without a socket, as rows.
#![allow(clippy::unwrap_used, reason = "tests")]

use http_body_util::Full;
use serde_json::Value;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{RequestHead, Signer};
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::{Clock, MetaStore, SystemClock};
use tidelock_store::{
    BytesSource, Keyring, NewBucket, ObjectSettings, PutObject, StoreConfig, SystemEntropy,
    WriteCondition,
};

use super::*;
use crate::{Config, ServeArgs, Surroundings};

const ROOT: (&str, &str) = ("rootroot", "rootsecret");

struct Harness {
    api: Api,
    store: Arc<Store>,
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
        let meta: Arc<dyn MetaStore> = Arc::new(MemoryStore::new());
        let store = Store::new(
            meta.clone(),
            Arc::new(MemoryBlobStore::new()),
            keyring,
            clock.clone(),
            entropy,
            StoreConfig::default(),
        );
        let store = Arc::new(store.with_root(ROOT.0, zeroize::Zeroizing::new(ROOT.1.to_owned())));
        let authenticator = Arc::new(Authenticator::new(store.clone(), clock.clone()));
        let sender = Arc::new(Sender::new(clock.clone()));
        let access = (authenticator, Arc::new(Authorizer::new(store.clone(), clock.clone())));
        let around = Surroundings::of_machine();
        let args = ServeArgs { meta: Some("memory".to_owned()), ..ServeArgs::default() };
        let config = Config::resolve(args, &|_| None).unwrap();
        let status = Status::new(&config, (meta, store.clone()), &around, None);
        let api = Api::new(store.clone(), access, sender, status, Duration::from_secs(1));
        Self { api, store, clock }
    }

    async fn ask(
        &self,
        (id, secret): (&str, &str),
        target: &str,
        body: &str,
        spoiled: Spoiled,
    ) -> (u16, &'static str, Value) {
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
            address: "192.0.2.7:1".parse().unwrap(),
            secure: false,
            conversation: Arc::default(),
        };
        let answer = self.api.answer(request, &peer).await;
        let status = answer.response.status().as_u16();
        let body = answer.response.into_body().collect().await.unwrap().to_bytes();
        let document = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status < 300 {
            check_described(method, path, status, &document);
        }
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
        ("POST /_/api/v1/keys", r#"{"user":"ci","expires":"2099-01-01T00:00:00Z"}"#, 201, "OK"),
        ("POST /_/api/v1/keys", r#"{"user":"ci","expires":null}"#, 201, "OK"),
        (
            "POST /_/api/v1/keys",
            r#"{"user":"ci","expires":"1999-01-01T00:00:00Z"}"#,
            400,
            "InvalidExpiry",
        ),
        ("POST /_/api/v1/keys", r#"{"user":"ci","expires":"tomorrow"}"#, 400, "MalformedRequest"),
        ("POST /_/api/v1/keys/AKIANONE/rotate", r#"{"overlap_seconds":1}"#, 404, "NoSuchKey"),
        (
            "POST /_/api/v1/keys/AKIANONE/rotate",
            r#"{"overlap_seconds":99999999}"#,
            400,
            "InvalidExpiry",
        ),
        (
            "POST /_/api/v1/keys/AKIANONE/rotate",
            r#"{"overlap_seconds":-1}"#,
            400,
            "MalformedRequest",
        ),
        ("POST /_/api/v1/keys/AKIANONE/rotate", "{}", 400, "MalformedRequest"),
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
    let path = format!("POST /_/api/v1/keys/{id}/rotate");
    let rotated = harness.ask(ROOT, &path, r#"{"overlap_seconds":3600}"#, Spoiled::No).await;
    assert_eq!((rotated.0, &rotated.2["user"]), (201, &"ci".into()), "{}", rotated.2);
    assert!(rotated.2["secret_access_key"].is_string() && rotated.2["expires"].is_null());
    let (_, _, keys) = harness.ask(ROOT, "GET /_/api/v1/keys?user=ci", "", Spoiled::No).await;
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4);
    let old = keys.iter().find(|key| key["access_key_id"] == id).unwrap();
    assert!(old["expires"].is_string(), "{old}");
    for key in keys {
        let path = format!("DELETE /_/api/v1/keys/{}", key["access_key_id"].as_str().unwrap());
        assert_eq!(harness.ask(ROOT, &path, "", Spoiled::No).await.0, 204);
    }
    assert_eq!(harness.ask(ROOT, "DELETE /_/api/v1/users/ci", "", Spoiled::No).await.0, 204);
}

#[tokio::test]
async fn a_server_tells_root_how_it_is() {
    let harness = Harness::new();
    let path = "GET /_/api/v1/server";
    let (status, _, server) = harness.ask(ROOT, path, "", Spoiled::No).await;
    assert_eq!(
        (status, &server["health"], &server["engine"]),
        (200, &"serving".into(), &"memory".into())
    );
    assert_eq!((&server["keys"], &server["servers"]), (&serde_json::json!(["1"]), &1.into()));
    assert!(server["disk"].is_null() && server["minutes"].as_array().unwrap().len() == 1);
    harness.ask(ROOT, "POST /_/api/v1/users", r#"{"name":"ann"}"#, Spoiled::No).await;
    let key = harness.ask(ROOT, "POST /_/api/v1/keys", r#"{"user":"ann"}"#, Spoiled::No).await.2;
    let text = |name: &str| key[name].as_str().unwrap();
    let ann = (text("access_key_id"), text("secret_access_key"));
    let refused = harness.ask(ann, path, "", Spoiled::No).await;
    assert_eq!((refused.0, refused.1), (403, "AccessDenied"));
}

#[tokio::test]
async fn roles_and_policies_have_a_life() {
    let harness = Harness::new();
    let policy = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"#;
    let trust = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":\"*\"}}"#;
    let role = format!(
        r#"{{"name":"ci","trust_policy":"{trust}","policies":[{{"name":"all","document":"{policy}"}}]}}"#
    );
    let document = format!(r#"{{"document":"{policy}"}}"#);
    let users = "/_/api/v1/users/ann/policies";
    let rows: &[(&str, &str, u16, &str)] = &[
        ("POST /_/api/v1/roles", &role, 201, "OK"),
        ("POST /_/api/v1/roles", &role, 409, "RoleExists"),
        ("POST /_/api/v1/roles", &role.replace("\"ci\"", "\"c/i\""), 400, "InvalidRole"),
        ("POST /_/api/v1/roles", &role.replace(trust, policy), 400, "MalformedPolicyDocument"),
        ("POST /_/api/v1/roles", &role.replace(policy, trust), 400, "MalformedPolicyDocument"),
        ("POST /_/api/v1/roles", r#"{"name":"x"}"#, 400, "MalformedRequest"),
        ("GET /_/api/v1/roles", "", 200, "OK"),
        ("GET /_/api/v1/roles/ci", "", 200, "OK"),
        ("GET /_/api/v1/roles/none", "", 404, "NoSuchRole"),
        ("POST /_/api/v1/users", r#"{"name":"ann"}"#, 201, "OK"),
        (&format!("PUT {users}/p"), &document, 204, "OK"),
        (&format!("PUT {users}/p"), &document, 204, "OK"),
        (&format!("PUT {users}/p%2Fq"), &document, 400, "InvalidPolicyName"),
        (&format!("PUT {users}/p"), r#"{"document":"{}"}"#, 400, "MalformedPolicyDocument"),
        (&format!("GET {users}"), "", 200, "OK"),
        ("GET /_/api/v1/users/none/policies", "", 404, "NoSuchUser"),
        (&format!("DELETE {users}/q"), "", 404, "NoSuchPolicy"),
        (&format!("DELETE {users}/p"), "", 204, "OK"),
        ("DELETE /_/api/v1/roles/ci", "", 204, "OK"),
        ("DELETE /_/api/v1/roles/ci", "", 404, "NoSuchRole"),
    ];
    for (target, body, status, code) in rows {
        let (found, found_code, document) = harness.ask(ROOT, target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target} {body}: {document}");
    }
}

#[tokio::test]
async fn groups_have_a_life() {
    let harness = Harness::new();
    let policy = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"#;
    let trust = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Principal\":\"*\"}}"#;
    let ops = format!(r#"{{"name":"ops","policies":[{{"name":"all","document":"{policy}"}}]}}"#);
    let document = format!(r#"{{"document":"{policy}"}}"#);
    let rows: &[(&str, &str, u16, &str)] = &[
        ("POST groups", &ops, 201, "OK"),
        ("POST groups", &ops, 409, "GroupExists"),
        ("POST groups", &ops.replace("\"ops\"", "\"o/ps\""), 400, "InvalidGroupName"),
        ("POST groups", &ops.replace(policy, trust), 400, "MalformedPolicyDocument"),
        ("POST groups", r#"{"name":"dev"}"#, 201, "OK"),
        ("POST groups", r#"{"name":"x","members":["ann"]}"#, 400, "MalformedRequest"),
        ("GET groups", "", 200, "OK"),
        ("GET groups/none", "", 404, "NoSuchGroup"),
        ("POST users", r#"{"name":"ann"}"#, 201, "OK"),
        ("PUT groups/ops/members/ann", "", 204, "OK"),
        ("PUT groups/ops/members/ann", "", 204, "OK"),
        ("PUT groups/ops/members/bob", "", 404, "NoSuchUser"),
        ("PUT groups/none/members/ann", "", 404, "NoSuchGroup"),
        ("GET groups/ops", "", 200, "OK"),
        ("GET users/ann", "", 200, "OK"),
        ("GET users/bob", "", 404, "NoSuchUser"),
        ("PUT groups/ops/policies/p", &document, 204, "OK"),
        ("PUT groups/ops/policies/p", r#"{"document":"{}"}"#, 400, "MalformedPolicyDocument"),
        ("PUT groups/ops/policies/p%2Fq", &document, 400, "InvalidPolicyName"),
        ("PUT groups/none/policies/p", &document, 404, "NoSuchGroup"),
        ("GET groups/ops/policies", "", 200, "OK"),
        ("GET groups/none/policies", "", 404, "NoSuchGroup"),
        ("DELETE groups/ops/policies/p", "", 204, "OK"),
        ("DELETE groups/ops/policies/p", "", 404, "NoSuchPolicy"),
        ("DELETE groups/ops", "", 409, "GroupInUse"),
        ("DELETE groups/dev/members/ann", "", 404, "NoSuchMember"),
        ("DELETE groups/ops/members/ann", "", 204, "OK"),
        ("DELETE groups/ops", "", 204, "OK"),
        ("DELETE groups/ops", "", 404, "NoSuchGroup"),
    ];
    for (target, body, status, code) in rows {
        let target = target.replacen(' ', " /_/api/v1/", 1);
        let (found, found_code, document) = harness.ask(ROOT, &target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target} {body}: {document}");
        match (target.as_str(), *status) {
            ("GET /_/api/v1/groups/ops", 200) => assert_eq!(document["members"][0], "ann"),
            ("GET /_/api/v1/users/ann", 200) => assert_eq!(document["groups"][0], "ops"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn keys_are_rewrapped_page_by_page() {
    let harness = with_bucket().await;
    harness.ask(ROOT, "POST /_/api/v1/users", r#"{"name":"ci"}"#, Spoiled::No).await;
    let (_, _, made) =
        harness.ask(ROOT, "POST /_/api/v1/keys", r#"{"user":"ci"}"#, Spoiled::No).await;
    let user =
        (made["access_key_id"].as_str().unwrap(), made["secret_access_key"].as_str().unwrap());
    let rows = [
        (ROOT, "{}", 200, "OK"),
        (ROOT, r#"{"dry_run":true,"kms_keys":["1"],"after":null}"#, 200, "OK"),
        (ROOT, r#"{"after":"06"}"#, 200, "OK"),
        (ROOT, r#"{"after":"somewhere"}"#, 400, "MalformedRequest"),
        (ROOT, r#"{"dry-run":true}"#, 400, "MalformedRequest"),
        (ROOT, r#"{"kms_keys":["none"]}"#, 404, "NoSuchKey"),
        (user, "{}", 403, "AccessDenied"),
    ];
    for (who, body, status, code) in rows {
        let target = "POST /_/api/v1/keyring/rewrap";
        let (found, found_code, document) = harness.ask(who, target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (status, code), "{body}: {document}");
        if status == 200 {
            assert_eq!(document["keys"][0]["name"], "1", "{document}");
            assert_eq!((&document["current"], &document["next"]), (&"1".into(), &Value::Null));
        }
    }
}

#[tokio::test]
async fn parameters_that_mean_nothing_are_refused() {
    let harness = Harness::new();
    let rows: &[(&str, u16, &str)] = &[
        ("GET /_/api/v1/audit?princpal=ci", 400, "MalformedRequest"),
        ("GET /_/api/v1/audit?limit=1&limit=2", 400, "MalformedRequest"),
        ("GET /_/api/v1/audit?latest=yes", 400, "MalformedRequest"),
        ("GET /_/api/v1/audit?latest", 400, "MalformedRequest"),
        ("GET /_/api/v1/audit?latest=true&limit=1", 200, "OK"),
        ("GET /_/api/v1/audit?latest=false", 200, "OK"),
        ("GET /_/api/v1/users?user=ci", 400, "MalformedRequest"),
        ("DELETE /_/api/v1/users/ci?dry-run=true", 400, "MalformedRequest"),
    ];
    for (target, status, code) in rows {
        let (found, found_code, document) = harness.ask(ROOT, target, "", Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target}: {document}");
        // Who proves nothing is told nothing more.
        let (found, found_code, _) = harness.ask(ROOT, target, "", Spoiled::Unsigned).await;
        assert_eq!((found, found_code), (403, "AccessDenied"), "{target}");
    }
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

#[tokio::test]
async fn states_are_listed_and_searched() {
    let harness = Harness::new();
    let (root, bucket) = (Principal::root(), "states".parse().unwrap());
    harness.store.create_bucket(&root, &bucket, NewBucket::default()).await.unwrap();
    for key in ["a/one", "a/two", "b"] {
        let request = PutObject {
            principal: &root,
            bucket: &bucket,
            key: &key.parse().unwrap(),
            condition: &WriteCondition::default(),
            settings: &ObjectSettings::default(),
            content_md5: None,
            checksum: None,
        };
        harness.store.put_object(&request, &mut BytesSource::new("{}")).await.unwrap();
    }
    let rows = [
        ("states/states", 200, "OK"),
        ("states/states?prefix=a%2F&limit=1", 200, "OK"),
        ("states/none", 404, "NoSuchBucket"),
        ("states/N", 404, "NoSuchBucket"),
        ("states/states?limit=x", 400, "MalformedRequest"),
        ("states/states?type=t", 400, "MalformedRequest"),
        ("states/states?prefix=a&prefix=b", 400, "MalformedRequest"),
        ("search/states?type=t&name=n&address=a&provider=p&prefix=a&limit=9", 200, "OK"),
        ("search/states?after=-%3Aa%2Fone", 200, "OK"),
        ("search/states?after=a", 400, "MalformedRequest"),
        ("search/none", 404, "NoSuchBucket"),
        ("states", 404, "NoSuchPath"),
    ];
    for (target, status, code) in rows {
        let target = format!("GET /_/api/v1/{target}");
        let (found, found_code, document) = harness.ask(ROOT, &target, "", Spoiled::No).await;
        assert_eq!((found, found_code), (status, code), "{target}: {document}");
    }
    let ask = async |target: &str| harness.ask(ROOT, target, "", Spoiled::No).await.2;
    let listed = ask("GET /_/api/v1/states/states?prefix=a%2F").await;
    assert_eq!((&listed["guarded"], &listed["next"]), (&false.into(), &Value::Null));
    assert_eq!(listed["unknown"][1]["key"], "a/two");
    assert_eq!(listed["unknown"][1]["size"], 2);
    let found = ask("GET /_/api/v1/search/states?after=-%3Aa%2Fone").await;
    assert_eq!((&found["found"], &found["next"]), (&serde_json::json!([]), &Value::Null));
    assert_eq!(found["unindexed"][0]["key"], "a/two");
    assert_eq!(found["unindexed"][1]["key"], "b");
    let (status, code, _) =
        harness.ask(ROOT, "POST /_/api/v1/states/states", "", Spoiled::No).await;
    assert_eq!((status, code), (405, "MethodNotAllowed"));
}

/// An answer is as the description of the API says.
fn check_described(method: &str, path: &str, status: u16, document: &Value) {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let routed = Routed::of(&request.into_parts().0).unwrap();
    let is_asked = |route: &&route::Route| route.operation == routed.operation;
    let row = route::ROUTES.iter().find(is_asked).unwrap();
    assert_eq!(row.status.as_u16(), status, "{method} {path}");
    if let route::Document::Json(name) = row.answer {
        check_schema(name, document);
    }
}

fn check_schema(name: &str, document: &Value) {
    let schema = schema::SCHEMAS.iter().find(|schema| schema.name == name).unwrap();
    let found: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    for field in &found {
        assert!(schema.fields.iter().any(|(known, ..)| known == field), "{name}: {field}");
    }
    for (field, kind, always) in schema.fields {
        assert!(found.contains(field) || !always, "{name}: {field}");
        match kind {
            schema::Kind::List(of) => {
                document[field].as_array().unwrap().iter().for_each(|item| check_schema(of, item));
            }
            schema::Kind::OneOrNull(of) if !document[field].is_null() => {
                check_schema(of, &document[field]);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_description_needs_no_signature() {
    let harness = Harness::new();
    let target = "GET /_/api/v1/openapi.json";
    let (status, _, document) = harness.ask(ROOT, target, "", Spoiled::Unsigned).await;
    assert_eq!((status, &document["openapi"]), (200, &"3.1.0".into()));
    assert!(document["paths"]["/_/api/v1/locks/{bucket}/{key}"]["delete"].is_object());
}

/// A bucket `bbb` of root's.
async fn with_bucket() -> Harness {
    let harness = Harness::new();
    let (root, name) = (Principal::root(), "bbb".parse().unwrap());
    harness.store.create_bucket(&root, &name, NewBucket::default()).await.unwrap();
    harness
}

#[tokio::test]
async fn a_guard_is_set_rule_by_rule() {
    let harness = with_bucket().await;
    let off = r#"{"lock_writes":"off","serial":"off","lock_required":false,"lock_history":"purge","stale_after_seconds":3600,"state_bytes_max":null}"#;
    let path = "/_/api/v1/buckets/bbb/guard";
    let rows: &[(&str, &str, u16, &str, &str)] = &[
        ("GET", "", 404, "NotGuarded", ""),
        ("PUT", "{}", 200, "OK", off),
        ("GET", "", 200, "OK", off),
        (
            "PUT",
            r#"{"serial":"enforce","state_bytes_max":9,"stale_after_seconds":60}"#,
            200,
            "OK",
            r#"{"lock_writes":"off","serial":"enforce","lock_required":false,"lock_history":"purge","stale_after_seconds":60,"state_bytes_max":9}"#,
        ),
        (
            "PUT",
            r#"{"lock_required":true,"lock_history":"keep","lock_writes":"observe"}"#,
            200,
            "OK",
            r#"{"lock_writes":"observe","serial":"enforce","lock_required":true,"lock_history":"keep","stale_after_seconds":60,"state_bytes_max":9}"#,
        ),
        (
            "PUT",
            r#"{"state_bytes_max":null}"#,
            200,
            "OK",
            r#"{"lock_writes":"observe","serial":"enforce","lock_required":true,"lock_history":"keep","stale_after_seconds":60,"state_bytes_max":null}"#,
        ),
        ("PUT", r#"{"serial":"on"}"#, 400, "MalformedRequest", ""),
        ("PUT", r#"{"serials":"off"}"#, 400, "MalformedRequest", ""),
        ("PUT", r#"{"stale_after_seconds":18446744073709551615}"#, 400, "MalformedRequest", ""),
        ("POST", "{}", 405, "MethodNotAllowed", ""),
        ("DELETE", "", 204, "OK", ""),
        ("GET", "", 404, "NotGuarded", ""),
    ];
    for (method, body, status, code, expected) in rows {
        let target = format!("{method} {path}");
        let (found, found_code, document) = harness.ask(ROOT, &target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target} {body}: {document}");
        if !expected.is_empty() {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(document, expected, "{target} {body}");
        }
    }
    let none = "GET /_/api/v1/buckets/none/guard";
    assert_eq!(harness.ask(ROOT, none, "", Spoiled::No).await.1, "NoSuchBucket");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let harness = with_bucket().await;
    let id = "0".repeat(32);
    let rows: &[(&str, &str, u16, &str)] = &[
        ("GET /_/api/v1/locks/bbb", "", 404, "NotGuarded"),
        ("DELETE /_/api/v1/locks/bbb/k", "{}", 404, "NotGuarded"),
        ("PUT /_/api/v1/buckets/bbb/guard", "{}", 200, "OK"),
        ("GET /_/api/v1/locks/bbb?prefix=env%3A%2F", "", 200, "OK"),
        ("DELETE /_/api/v1/locks/bbb/env%3A%2Fdev%2Fk", r#"{"reason":"why"}"#, 404, "NotLocked"),
        ("DELETE /_/api/v1/locks/bbb/k", r#"{"why":"why"}"#, 400, "MalformedRequest"),
        ("GET /_/api/v1/locks/none", "", 404, "NoSuchBucket"),
        ("GET /_/api/v1/refused/bbb", "", 200, "OK"),
        ("GET /_/api/v1/refused/bbb/{id}?key=k", "", 404, "NoSuchVersion"),
        ("GET /_/api/v1/refused/bbb/{id}", "", 400, "MalformedRequest"),
        ("GET /_/api/v1/refused/bbb/latest?key=k", "", 400, "MalformedRequest"),
        ("DELETE /_/api/v1/refused/bbb/{id}?key=k", "", 404, "NoSuchVersion"),
        ("POST /_/api/v1/allowances/bbb", r#"{"key":"k","seconds":60}"#, 201, "OK"),
        ("POST /_/api/v1/allowances/bbb", r#"{"key":"k","seconds":0}"#, 400, "MalformedRequest"),
        ("POST /_/api/v1/allowances/bbb", r#"{"key":"","seconds":9}"#, 400, "MalformedRequest"),
        (
            "POST /_/api/v1/allowances/bbb",
            r#"{"key":"k","seconds":86401}"#,
            400,
            "MalformedRequest",
        ),
    ];
    for (target, body, status, code) in rows {
        let target = target.replace("{id}", &id);
        let (found, found_code, document) = harness.ask(ROOT, &target, body, Spoiled::No).await;
        assert_eq!((found, found_code), (*status, *code), "{target} {body}: {document}");
    }
}

/// A URL is in every list of webhooks.
#[tokio::test]
async fn urls_of_webhooks_have_no_password() {
    let harness = Harness::new();
    let rows = [
        ("http://127.0.0.1:1/a@b", 201, "OK"),
        ("https://hooks.test/", 201, "OK"),
        ("https://user:pass@hooks.test/", 400, "MalformedRequest"),
        ("https://user@hooks.test/", 400, "MalformedRequest"),
        ("https://@hooks.test/", 400, "MalformedRequest"),
        ("http://", 400, "MalformedRequest"),
        ("/hooks", 400, "MalformedRequest"),
    ];
    for (url, status, code) in rows {
        let body = format!(r#"{{"url":"{url}","events":["audit"]}}"#);
        let asked = harness.ask(ROOT, "POST /_/api/v1/webhooks", &body, Spoiled::No).await;
        assert_eq!((asked.0, asked.1), (status, code), "{url}: {}", asked.2);
        assert!(!asked.2.to_string().contains("pass@"), "{}", asked.2);
    }
}
