//! Requests of Terraform on a guarded bucket, answered without a socket, as rows. What a plain bucket
//! answers is the conformance lane's.
#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::SystemClock;
use tidelock_meta::memory::MemoryStore;
use tidelock_store::{
    BucketChange, BucketName, ConnectionId, Conversation, Enforcement, GuardConfig, Keyring,
    ListVersions, NewBucket, StoreConfig, SystemEntropy, Versioning,
};

use super::*;

const ROOT: (&str, &str) = ("rootroot", "rootsecret");
const BUCKET: &str = "states";
const ONE: &str = r#"{"ID":"one","Operation":"OperationTypeApply","Who":"a@b","Version":"1.11.4"}"#;
const TWO: &str = r#"{"ID":"two","Operation":"OperationTypeApply","Who":"c@d","Version":"1.11.4"}"#;
const PUSH: &str = r#"{"ID":"push","Operation":"state-push","Who":"c@d","Version":"1.11.4"}"#;
const FIRST: &str = r#"{"version":4,"serial":1,"lineage":"l"}"#;
const SECOND: &str = r#"{"version":4,"serial":2,"lineage":"l"}"#;
const FOREIGN: &str = r#"{"version":4,"serial":3,"lineage":"m"}"#;

/// A request and what it must get: the status, the code, and a part of the body.
type Step = (&'static str, &'static str, u16, &'static str, &'static str);

struct Harness {
    tfhttp: TfHttp,
    store: Arc<Store>,
    bucket: BucketName,
}

impl Harness {
    async fn new(guard: GuardConfig) -> Self {
        let clock = Arc::new(SystemClock::new());
        let entropy = Arc::new(SystemEntropy::new());
        let keyring = Keyring::parse(&Keyring::generate("1", &*entropy)).unwrap();
        let (meta, blobs) = (Arc::new(MemoryStore::new()), Arc::new(MemoryBlobStore::new()));
        let config = StoreConfig::default();
        let store = Store::new(meta, blobs, keyring, clock.clone(), entropy, config);
        let store = Arc::new(store.with_root(ROOT.0, zeroize::Zeroizing::new(ROOT.1.to_owned())));
        let (root, bucket) = (Principal::root(), BUCKET.parse().unwrap());
        store.create_bucket(&root, &bucket, NewBucket::default()).await.unwrap();
        for change in
            [BucketChange::Versioning(Versioning::Enabled), BucketChange::Guard(Some(guard))]
        {
            store.change_bucket(&root, &bucket, &change).await.unwrap();
        }
        let authenticator = Arc::new(Authenticator::new(store.clone(), clock.clone()));
        let access = (authenticator, Arc::new(Authorizer::new(store.clone(), clock)));
        let tfhttp = TfHttp::new(store.clone(), access, Duration::from_secs(1));
        Self { tfhttp, store, bucket }
    }

    /// Sends a request over connection number `connection`.
    async fn ask(&self, connection: u8, target: &str, body: &str) -> (u16, &'static str, String) {
        let answer = self.answer(ROOT, connection, target, body).await;
        let status = answer.response.status().as_u16();
        let body = answer.response.into_body().collect().await.unwrap().to_bytes();
        (status, answer.code, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn answer(
        &self,
        (id, secret): (&str, &str),
        connection: u8,
        target: &str,
        body: &str,
    ) -> Answer {
        self.answer_to((id, secret), connection, target, body, &[]).await
    }

    async fn answer_to(
        &self,
        (id, secret): (&str, &str),
        connection: u8,
        target: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let (method, query) = target.split_once('?').unwrap_or((target, ""));
        let credentials = STANDARD.encode(format!("{id}:{secret}"));
        let request = Request::builder()
            .method(method)
            .uri(format!("/_/tf/{BUCKET}/k?{query}"))
            .header("authorization", format!("Basic {credentials}"))
            .header("user-agent", "Go-http-client/1.1");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let conversation = Arc::new(Conversation::new(ConnectionId([connection; 16])));
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), secure: false, conversation };
        self.tfhttp.answer(request, peer).await
    }

    async fn run(&self, steps: &[Step]) {
        for (number, (target, body, status, code, part)) in steps.iter().enumerate() {
            // Each over a connection of its own: a client that names its lock needs no other mark.
            let (found, found_code, text) =
                self.ask(u8::try_from(number).unwrap(), target, body).await;
            let step = format!("step {number}: {target} {body}: {text}");
            assert_eq!((found, found_code), (*status, *code), "{step}");
            assert!(text.contains(part), "no {part:?} in {step}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_tells_whose_it_was() {
    let harness = Harness::new(GuardConfig::enforced()).await;
    let rows = [
        (ROOT.0, ROOT.1, ROOT.0, false),
        (ROOT.0, "wrong", ROOT.0, true),
        (ROOT.0, "", ROOT.0, true),
        ("nobody", ROOT.1, "", true),
        // Swapped: the secret shall not get into the log.
        (ROOT.1, ROOT.0, "", true),
    ];
    for (id, secret, claimed, is_unproven) in rows {
        let answer = harness.answer((id, secret), 1, "GET", "").await;
        let Requester(sender) = answer.response.extensions().get::<Requester>().unwrap();
        assert_eq!(sender.origin.access_key_id, claimed, "{id}:{secret}");
        assert_eq!(sender.is_unproven(), is_unproven, "{id}:{secret}");
        assert_eq!(sender.origin.request_id.len(), 16);
    }
}

#[tokio::test]
async fn the_guard_decides_by_the_lock_that_is_named() {
    let harness = Harness::new(GuardConfig::enforced()).await;
    let steps: &[Step] = &[
        ("POST", FIRST, 428, "StateLockRequired", "nobody holds the lock"),
        ("POST?ID=one", FIRST, 409, "StateLockLost", "lost the lock"),
        ("LOCK", ONE, 200, "OK", ""),
        ("LOCK", ONE, 200, "OK", ""),
        ("LOCK", TWO, 423, "Locked", r#""ID":"one""#),
        ("LOCK", TWO, 423, "Locked", r#""Info":"The state is locked: a@b"#),
        ("LOCK", TWO, 423, "Locked", "tidelock lock release states/k --id one"),
        ("POST", FIRST, 423, "Locked", r#""Who":"a@b""#),
        ("POST?ID=two", FIRST, 409, "StateLockLost", r#""ID":"one""#),
        ("POST?ID=one", FIRST, 200, "OK", ""),
        ("POST?ID=one", FIRST, 200, "OK", ""),
        ("POST?ID=one", "garbage", 422, "NotAState", ""),
        ("POST?ID=one", FOREIGN, 409, "StateLineageMismatch", ""),
        ("DELETE?ID=two", "", 409, "StateLockLost", ""),
        ("DELETE", "", 423, "Locked", ""),
        ("GET", "", 200, "OK", FIRST),
        ("UNLOCK", TWO, 409, "LockMismatch", r#""ID":"one""#),
        ("POST?ID=one", SECOND, 409, "StateLockLost", "was refused before"),
        ("UNLOCK", ONE, 200, "OK", ""),
        ("LOCK", ONE, 200, "OK", ""),
        ("POST?ID=one", SECOND, 200, "OK", ""),
        ("UNLOCK", ONE, 200, "OK", ""),
        ("UNLOCK", ONE, 200, "OK", ""),
        ("LOCK", PUSH, 200, "OK", ""),
        ("POST?ID=push", FOREIGN, 200, "OK", ""),
        ("UNLOCK", PUSH, 200, "OK", ""),
        ("DELETE", "", 200, "OK", ""),
        ("GET", "", 404, "NoSuchState", ""),
    ];
    harness.run(steps).await;
}

#[tokio::test]
async fn a_broken_lock_writes_nothing_more() {
    let harness = Harness::new(GuardConfig::enforced()).await;
    let steps: &[Step] = &[
        ("LOCK", ONE, 200, "OK", ""),
        ("UNLOCK", "", 200, "OK", ""),
        ("POST?ID=one", FIRST, 409, "StateLockLost", "tidelock state refused get states/k"),
        ("LOCK", TWO, 200, "OK", ""),
        ("POST?ID=two", FIRST, 200, "OK", ""),
        ("POST?ID=one", SECOND, 409, "StateLockLost", "c@d"),
        ("UNLOCK", ONE, 409, "LockMismatch", ""),
        ("POST?ID=two", SECOND, 200, "OK", ""),
        ("UNLOCK", TWO, 200, "OK", ""),
        ("GET", "", 200, "OK", SECOND),
    ];
    harness.run(steps).await;
    let root = Principal::root();
    let refused = harness.store.list_refused(&root, &harness.bucket, "k").await.unwrap();
    assert_eq!(refused.len(), 2, "what was refused is kept");
}

#[tokio::test]
async fn locks_leave_no_litter() {
    let harness = Harness::new(GuardConfig::enforced()).await;
    for lock in [ONE, TWO, ONE] {
        assert_eq!(harness.ask(1, "LOCK", lock).await.0, 200);
        assert_eq!(harness.ask(2, "UNLOCK", lock).await.0, 200);
    }
    let listing = ListVersions {
        principal: &Principal::root(),
        bucket: &harness.bucket,
        prefix: "",
        delimiter: None,
        after: None,
        limit: 10,
    };
    let listed = harness.store.list_versions(&listing).await.unwrap();
    assert!(listed.versions.is_empty(), "{listed:?}");
}

#[tokio::test]
async fn a_guard_that_only_looks_on_leaves_the_lock_to_be_compared() {
    let guard = GuardConfig { lock_writes: Enforcement::Observe, ..GuardConfig::enforced() };
    let harness = Harness::new(guard).await;
    let steps: &[Step] = &[
        ("POST?ID=one", FIRST, 409, "LockLost", ""),
        ("LOCK", ONE, 200, "OK", ""),
        ("POST?ID=two", FIRST, 409, "LockMismatch", ""),
        ("POST?ID=one", FIRST, 200, "OK", ""),
    ];
    harness.run(steps).await;
}

/// A header that this protocol does not heed keeps no promise that a policy asks for.
#[tokio::test]
async fn headers_of_s3_mean_nothing() {
    const ONCE: &str = r#"{"Statement":{"Effect":"Allow","Action":"s3:PutObject",
        "Resource":"arn:aws:s3:::states/*","Condition":{"StringEquals":{"s3:if-none-match":"*"}}}}"#;
    let guard = GuardConfig { lock_required: false, ..GuardConfig::enforced() };
    let harness = Harness::new(guard).await;
    let root = Principal::root();
    harness.store.create_user(&root, "ci").await.unwrap();
    let made = harness.store.create_access_key(&root, "ci", None).await.unwrap();
    let ci = (made.key.access_key_id.as_str(), made.secret_access_key.as_str());
    harness.store.put_user_policy(&root, "ci", ("once", ONCE)).await.unwrap();
    for headers in [&[][..], &[("if-none-match", "*")]] {
        let answer = harness.answer_to(ci, 1, "POST", FIRST, headers).await;
        assert_eq!(answer.code, "AccessDenied", "{headers:?}");
    }
}

/// A browser that was told the password sends it along with what any page asks for.
#[tokio::test]
async fn pages_of_other_sites_have_no_browser_write() {
    let guard = GuardConfig { lock_required: false, ..GuardConfig::enforced() };
    let harness = Harness::new(guard).await;
    let host = ("host", "states.test");
    let refused: &[&[(&str, &str)]] = &[
        &[host, ("sec-fetch-site", "cross-site")],
        &[host, ("sec-fetch-site", "same-site")],
        &[host, ("origin", "https://other.test")],
        &[host, ("origin", "null")],
    ];
    for headers in refused {
        for (target, body) in [("POST", FIRST), ("LOCK", ONE), ("UNLOCK", ""), ("DELETE", "")] {
            let answer = harness.answer_to(ROOT, 1, target, body, headers).await;
            let status = answer.response.status().as_u16();
            assert_eq!((status, answer.code), (403, "AccessDenied"), "{target} {headers:?}");
        }
    }
    let taken: &[&[(&str, &str)]] = &[
        &[],
        &[host],
        &[host, ("sec-fetch-site", "none")],
        &[host, ("sec-fetch-site", "same-origin"), ("origin", "https://states.test")],
        &[host, ("origin", "https://states.test")],
    ];
    for headers in taken {
        assert_eq!(harness.answer_to(ROOT, 1, "POST", FIRST, headers).await.code, "OK");
    }
}
