//! Whole servers in this process, spoken to over sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{RequestHead, Signer, payload_hash};
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::{
    Batch, Direction, Health, Key, KeyRange, Limits, MetaError, Outcome, ReadLevel, Versioned,
};
use tidelock_store::{AuditQuery, BucketChange, Enforcement, GuardConfig, Principal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::args::ServeArgs;

/// Far more than a drain of idle connections takes, far less than the drain's limit.
const SOON: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    store: Arc<Store>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

fn config(data: &Path, more: impl FnOnce(&mut ServeArgs)) -> Config {
    let mut args = ServeArgs {
        data: Some(data.to_owned()),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..ServeArgs::default()
    };
    more(&mut args);
    Config::resolve(args, &|_| None).unwrap()
}

async fn start(config: Config) -> Running {
    run(Server::bind(config).await.unwrap())
}

/// The same over an engine of the test's choice.
async fn start_over(config: Config, meta: impl MetaStore + 'static) -> Running {
    let around = Surroundings::of_machine();
    let keyring = Keyring::parse(&Keyring::generate("1", &*around.entropy)).unwrap();
    let engines = Engines::over(Arc::new(meta), Arc::new(MemoryBlobStore::new()), keyring);
    run(Server::bind_over(config, around, engines).await.unwrap())
}

fn run(server: Server) -> Running {
    let (address, store) = (server.local_addr(), server.store().clone());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    Running { address, store, stop, ended: tokio::spawn(server.run(shutdown)) }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(SOON, self.ended).await.unwrap().unwrap().unwrap();
    }

    /// Status and body of one request on a connection of its own.
    async fn ask(&self, head: &str) -> (u16, String) {
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut stream = self.send(request.as_bytes()).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// A connection that has sent `bytes`.
    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Waits until another request than the one that looks is in work. Takes no place itself.
    async fn until_busy(&self) {
        let busy = "tidelock_requests_in_flight 2";
        let asking = async { while !self.ask("GET /_/metrics HTTP/1.1").await.1.contains(busy) {} };
        tokio::time::timeout(SOON, asking).await.unwrap();
    }

    /// What the audit log says of requests that ended with `code`: protocol and bytes of the key. Each
    /// names its request.
    async fn audited(&self, code: &str) -> Vec<(&'static str, usize)> {
        let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
        let page = self.store.query_audit(&Principal::root(), &query).await.unwrap();
        let records = page.records.iter().filter(|record| record.entry.code == code);
        records
            .map(|record| {
                assert_eq!(record.entry.request_id.len(), 16, "{record:?}");
                assert_eq!(record.entry.principal, "anonymous");
                (record.protocol(), record.entry.key.len())
            })
            .collect()
    }

    /// Asks until the answer is `status`.
    async fn until(&self, head: &str, status: u16) {
        let asking = async { while self.ask(head).await.0 != status {} };
        tokio::time::timeout(SOON, asking).await.unwrap();
    }
}

/// Waits until the server ends a connection; what it says until then is of no interest.
async fn must_be_ended(mut stream: TcpStream, what: &str) {
    let mut said = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "{what} is still connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_answer_as_documented() {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path(), |args| args.metrics_token = Some("token".into()));
    let server = start(config).await;
    let rows: &[(&str, u16, &str)] = &[
        ("GET /_/health/live HTTP/1.1", 200, "live\n"),
        ("GET /_/health/ready HTTP/1.1", 200, "ready\n"),
        ("HEAD /_/health/ready HTTP/1.1", 200, ""),
        ("POST /_/health/ready HTTP/1.1", 405, ""),
        ("GET /_/nothing HTTP/1.1", 404, "nothing is here\n"),
        ("GET /_/metrics HTTP/1.1", 401, "a bearer token is needed\n"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer tokem", 401, "a bearer token"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer token", 200, "tidelock_requests"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: bearer token", 200, "tidelock_requests"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: Bearertoken", 401, "a bearer token"),
        ("GET /_/api/v1/users HTTP/1.1", 403, "{\"code\":\"AccessDenied\""),
        ("GET /bucket/key HTTP/1.1", 404, "<Code>NoSuchBucket</Code>"),
        ("GET / HTTP/1.1", 403, "<Code>AccessDenied</Code>"),
    ];
    for (head, status, part) in rows {
        let (found, body) = server.ask(head).await;
        assert_eq!(found, *status, "{head}: {body}");
        assert!(body.contains(part), "{head}: {body}");
    }
    let (_, page) = server.ask("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer token").await;
    let counted = "tidelock_requests_total{operation=\"GetObject\",code=\"NoSuchBucket\"} 1";
    assert!(page.contains(counted), "{page}");
    server.stop().await;
}

/// What a proxy says of the browser's TLS counts for the console where it counts for policies.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_secure_behind_a_proxy_that_is_trusted() {
    for (trusted, is_secure) in [(vec![], false), (vec!["127.0.0.1/32".to_owned()], true)] {
        let data = tempfile::tempdir().unwrap();
        let server = start(config(data.path(), |args| args.trusted_proxy = trusted)).await;
        let head = "POST /_/console/theme HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                    content-length: 0\r\nx-forwarded-proto: https\r\n\r\n";
        let mut stream = server.send(head.as_bytes()).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("tidelock_theme=system"), "{answer}");
        assert_eq!(answer.contains("; Secure"), is_secure, "{answer}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_idle_connections() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |_| {})).await;
    // One that never says anything, one that stops in the middle of HTTP/2's preface, and one that
    // is kept alive after an answer.
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"PRI * HTTP").await.unwrap();
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    kept.write_all(b"GET /_/health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_belongs_to_one_server_and_opens_again_after_it() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |_| {})).await;
    let second = Server::bind(config(data.path(), |_| {})).await.err().unwrap();
    assert!(second.to_string().contains("in use by another server"), "{second}");
    server.stop().await;
    start(config(data.path(), |_| {})).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_twice_is_bootstrap_once() {
    let data = tempfile::tempdir().unwrap();
    let bucket: BucketName = "states".parse().unwrap();
    let (mut made, root) = (Vec::new(), Principal::root());
    let observing = GuardConfig {
        serial: Enforcement::Observe,
        lock_required: false,
        ..GuardConfig::enforced()
    };
    for expected in [GuardConfig::enforced(), observing.clone()] {
        let server = Server::bind(config(data.path(), |_| {})).await.unwrap();
        made.push(server.bootstrap(&bucket).await.unwrap().1);
        let guard = || async { server.store().bucket(&root, &bucket).await.unwrap().row.guard };
        assert_eq!(guard().await, Some(expected));
        let change = BucketChange::Guard(Some(observing.clone()));
        server.store().change_bucket(&root, &bucket, &change).await.unwrap();
        made.push(server.bootstrap(&bucket).await.unwrap().1);
        assert_eq!(guard().await.as_ref(), Some(&observing), "what is configured stays");
        assert_ne!(made[0].access_key, server.root().credentials.access_key);
        server.run(async {}).await.unwrap();
    }
    assert!(made.iter().all(|pair| *pair == made[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_one_store_bootstrap_one_key() {
    let (meta, blobs) = (Arc::new(MemoryStore::new()), Arc::new(MemoryBlobStore::new()));
    let keys = Keyring::generate("1", &SystemEntropy::new());
    let bucket: BucketName = "states".parse().unwrap();
    let data: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let bootstraps = data.iter().map(async |data| {
        let keyring = Keyring::parse(&keys).unwrap();
        let engines = Engines::over(meta.clone(), blobs.clone(), keyring);
        let engines = Engines { ownership: Ownership::Shared, ..engines };
        let around = Surroundings::of_machine();
        let config = config(data.path(), |_| {});
        let server = Server::bind_over(config, around, engines).await.unwrap();
        let pair = server.bootstrap(&bucket).await.unwrap().1;
        let root = server.root().credentials.clone();
        let stored = std::fs::read_dir(data.path().join("bootstrap")).unwrap().count();
        server.run(async {}).await.unwrap();
        (pair, root, stored)
    });
    let made = futures_util::future::join_all(bootstraps).await;
    for (pair, root, stored) in &made {
        assert_eq!((pair, root, stored), (&made[0].0, &made[0].1, &1));
    }
    let keyring = Keyring::parse(&keys).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy::new()));
    let store = Store::new(meta, blobs, keyring, clock, entropy, StoreConfig::default());
    let servers = store.servers().await.unwrap();
    assert!(servers.is_empty(), "a server that ends says so: {servers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = config(&data, |args| args.listen = taken.local_addr().ok());
    assert!(matches!(Server::bind(busy).await.err().unwrap(), ServeError::Listen { .. }));
    let missing = parent.path().join("none.pem");
    let tls = config(&data, |args| {
        (args.tls_cert, args.tls_key) = (Some(missing.clone()), Some(missing.clone()));
    });
    assert!(matches!(Server::bind(tls).await.err().unwrap(), ServeError::Tls(_)));
    assert!(!data.exists());
}

/// An engine whose health the test decides.
struct Ailing(MemoryStore, Arc<Mutex<Health>>);

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_the_health_of_the_engine() {
    let data = tempfile::tempdir().unwrap();
    let health = Arc::new(Mutex::new(Health::Serving));
    let server =
        start_over(config(data.path(), |_| {}), Ailing(MemoryStore::new(), health.clone())).await;
    let rows = [
        (Health::Serving, 200, "ready\n"),
        (Health::ReadOnly("the disk failed".into()), 503, "reads only: the disk failed\n"),
        (Health::Unavailable("no primary".into()), 503, "unavailable: no primary\n"),
        (Health::Serving, 200, "ready\n"),
    ];
    for (now, status, text) in rows {
        *health.lock().unwrap() = now;
        let (found, body) = server.ask("GET /_/health/ready HTTP/1.1").await;
        assert_eq!((found, body.as_str()), (status, text));
        assert_eq!(server.ask("GET /_/health/live HTTP/1.1").await.0, 200);
        assert_eq!(server.ask("GET / HTTP/1.1").await.0, 403);
    }
    server.stop().await;
}

#[async_trait]
impl MetaStore for Ailing {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn health(&self) -> Health {
        self.1.lock().unwrap().clone()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        self.0.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        self.0.scan(range, limit, direction, level).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        self.0.commit(batch).await
    }
}

/// A request without the document it announces.
const UNFINISHED: &[u8] =
    b"POST /_/api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_limit_are_told_to_slow_down_and_probes_are_not() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |args| args.requests_max = Some(1))).await;
    let held = server.send(UNFINISHED).await;
    server.until_busy().await;
    let long = format!("GET /_/tf/bucket/{} HTTP/1.1", "k".repeat(300));
    let rows: &[(&str, u16, &str)] = &[
        ("GET /bucket/key HTTP/1.1", 503, "<Code>SlowDown</Code>"),
        ("GET /_/api/v1/users HTTP/1.1", 503, "<Code>SlowDown</Code>"),
        (&long, 503, "\"SlowDown\""),
        ("GET /_/health/live HTTP/1.1", 200, "live"),
        ("GET /_/health/ready HTTP/1.1", 200, "ready"),
        ("GET /_/metrics HTTP/1.1", 200, "code=\"SlowDown\""),
    ];
    for (head, status, part) in rows {
        let (found, body) = server.ask(head).await;
        assert_eq!(found, *status, "{head}: {body}");
        assert!(body.contains(part), "{head}: {body}");
    }
    let audited = server.audited("SlowDown").await;
    assert_eq!(audited, [("s3", 3), ("api", 0), ("http-backend", 128)]);
    drop(held);
    server.until("GET / HTTP/1.1", 403).await;
    server.stop().await;
}

/// A request of a user's key whose document does not come: signed, so that the key is proven.
fn signed(method: &str, path: &str, (id, secret): (&str, &str), more: &str) -> String {
    let (id, secret) = (AccessKeyId::parse(id).unwrap(), SecretAccessKey::new(secret));
    let signer = Signer {
        access_key_id: &id,
        secret: &secret,
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    let headers: &[(&str, &[u8])] = &[("host", b"localhost")];
    let head = RequestHead { method, path, query: "", authority: None, headers };
    let now = jiff::Timestamp::from_millisecond(SystemClock::new().now()).unwrap();
    let signed = signer.sign(&head, "UNSIGNED-PAYLOAD", now);
    let lines: String =
        signed.headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
    format!("{method} {path} HTTP/1.1{lines}{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_its_limit_is_told_to_slow_down_and_others_are_not() {
    let data = tempfile::tempdir().unwrap();
    let limits = |args: &mut ServeArgs| args.requests_max_per_key = Some(1);
    let server = Server::bind(config(data.path(), limits)).await.unwrap();
    let root = server.root().credentials.clone();
    let server = run(server);
    let (store, actor) = (&server.store, Principal::root());
    let mut keys = Vec::new();
    for user in ["ann", "bob"] {
        store.create_user(&actor, user).await.unwrap();
        let made = store.create_access_key(&actor, user, None).await.unwrap();
        keys.push((made.key.access_key_id, made.secret_access_key));
    }
    let pair = |index: usize| (keys[index].0.as_str(), keys[index].1.as_str());
    let (ann, bob) = (pair(0), pair(1));
    let root = (root.access_key.as_str(), root.secret_key.expose());
    let made = server.ask(&signed("PUT", "/anns", ann, "")).await;
    assert_eq!(made.0, 200, "{}", made.1);
    // Proven, and without its body.
    let held = signed("PUT", "/anns/k", ann, "\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n");
    let held = server.send(held.as_bytes()).await;
    server.until_busy().await;
    let rows: &[(&str, String, u16, &str)] = &[
        ("the same key", signed("GET", "/anns/k", ann, ""), 503, "<Code>SlowDown</Code>"),
        ("over the API", signed("GET", "/_/api/v1/users", ann, ""), 503, "\"SlowDown\""),
        ("another key", signed("GET", "/", bob, ""), 200, "<Buckets"),
        ("root", signed("GET", "/", root, ""), 200, "<Buckets"),
        ("a forger", signed("GET", "/anns/k", (ann.0, "x"), ""), 403, "SignatureDoesNotMatch"),
        ("nobody", "GET / HTTP/1.1".to_owned(), 403, "AccessDenied"),
        ("a probe", "GET /_/health/ready HTTP/1.1".to_owned(), 200, "ready"),
    ];
    for (what, head, status, part) in rows {
        let (found, body) = server.ask(head).await;
        assert_eq!(found, *status, "{what}: {body}");
        assert!(body.contains(part), "{what}: {body}");
    }
    drop(held);
    let asking = async { while server.ask(&signed("GET", "/anns/k", ann, "")).await.0 == 503 {} };
    tokio::time::timeout(SOON, asking).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_over_its_limit_leaves_room_for_others_and_for_root() {
    let data = tempfile::tempdir().unwrap();
    let limits = |args: &mut ServeArgs| {
        args.requests_max_per_client = Some(1);
        args.trusted_proxy = vec!["127.0.0.1".to_owned()];
    };
    let server = Server::bind(config(data.path(), limits)).await.unwrap();
    let root = server.root().credentials.clone();
    let server = run(server);
    let root = (root.access_key.as_str(), root.secret_key.expose());
    let held = server.send(UNFINISHED).await;
    server.until_busy().await;
    let rows: &[(&str, String, u16)] = &[
        ("the same client", "GET / HTTP/1.1".to_owned(), 503),
        ("root from there", signed("GET", "/", root, ""), 200),
        ("another client", "GET / HTTP/1.1\r\nx-forwarded-for: 192.0.2.1".to_owned(), 403),
        ("a probe", "GET /_/health/ready HTTP/1.1".to_owned(), 200),
    ];
    for (what, head, status) in rows {
        let (found, body) = server.ask(head).await;
        assert_eq!(found, *status, "{what}: {body}");
    }
    drop(held);
    server.until("GET / HTTP/1.1", 403).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_where_a_request_comes_from() {
    let head = "GET /bucket/key HTTP/1.1\r\nx-forwarded-for: 203.0.113.5, 192.0.2.1";
    for (trusted, expected) in [
        (vec![], "127.0.0.1"),
        (vec!["10.0.0.0/8"], "127.0.0.1"),
        (vec!["127.0.0.0/8"], "192.0.2.1"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let trust = |args: &mut ServeArgs| {
            args.trusted_proxy = trusted.iter().map(ToString::to_string).collect();
        };
        let server = start(config(data.path(), trust)).await;
        assert_eq!(server.ask(head).await.0, 404);
        let query = AuditQuery { limit: 10, ..AuditQuery::default() };
        let page = server.store.query_audit(&Principal::root(), &query).await.unwrap();
        let found: Vec<_> = page.records.iter().map(|it| it.entry.address.as_str()).collect();
        assert_eq!(found, [expected], "{trusted:?}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_come_gives_its_place_back() {
    let data = tempfile::tempdir().unwrap();
    let limits = |args: &mut ServeArgs| {
        (args.requests_max, args.body_timeout_s) = (Some(1), Some(1));
    };
    let server = start(config(data.path(), limits)).await;
    let mut held = server.send(UNFINISHED).await;
    let mut first = [0; 12];
    tokio::time::timeout(SOON, held.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
    server.until("GET / HTTP/1.1", 403).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_are_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (data.path().join("cert.pem"), data.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let plain = data.path().join("plain");
    let plain = start(config(&plain, |args| {
        // A farewell that HTTP/2 wants acknowledged takes the other one.
        (args.header_timeout_s, args.body_timeout_s) = (Some(1), Some(1));
    }))
    .await;
    let tls = data.path().join("tls");
    let tls = start(config(&tls, |args| {
        args.header_timeout_s = Some(1);
        (args.tls_cert, args.tls_key) = (Some(cert), Some(key));
    }))
    .await;
    let rows: &[(&str, &Running, &[u8])] = &[
        ("a silent client", &plain, b""),
        ("half a head", &plain, b"GET / HTTP/1.1\r\nhost:"),
        ("an idle client", &plain, b"GET /_/health/live HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("half a preface", &plain, &PREFACE[..10]),
        ("an idle HTTP/2 client", &plain, &PREFACE),
        ("a silent TLS client", &tls, b""),
        ("half a handshake", &tls, b"\x16\x03\x01\x02\x00\x01"),
    ];
    let clients = rows.iter().map(async |(what, server, bytes)| {
        must_be_ended(server.send(bytes).await, what).await;
    });
    futures_util::future::join_all(clients).await;
    plain.stop().await;
    tls.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_the_limit_waits_for_one_to_end() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |args| args.connections_max = Some(1))).await;
    let mut first = server.send(b"GET /_/health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    let second = server.ask("GET /_/health/live HTTP/1.1");
    let mut second = Box::pin(second);
    let early = tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await;
    assert!(early.is_err(), "two connections where one is allowed");
    drop(first);
    assert_eq!(tokio::time::timeout(SOON, second.as_mut()).await.unwrap().0, 200);
    drop(second);
    server.stop().await;
}

/// How HTTP/2 begins (RFC 9113, section 3.4), with a client that lets no answer in: SETTINGS with
/// `SETTINGS_INITIAL_WINDOW_SIZE` 0.
const PREFACE: [u8; 39] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00";

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_client_that_takes_no_answer_loses_its_place() {
    let data = tempfile::tempdir().unwrap();
    let limits = |args: &mut ServeArgs| {
        (args.requests_max, args.body_timeout_s) = (Some(1), Some(1));
    };
    let server = start(config(data.path(), limits)).await;
    // HEADERS, END_STREAM and END_HEADERS: GET, http, "/bucket/key" and an authority (RFC 7541).
    let block = b"\x82\x86\x04\x0b/bucket/key\x01\x01x";
    let head = [0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1];
    let client = server.send(&[&PREFACE[..], &head, block].concat()).await;
    server.until_busy().await;
    assert_eq!(server.ask("GET /bucket/key HTTP/1.1").await.0, 503);
    must_be_ended(client, "a client that takes nothing").await;
    server.until("GET / HTTP/1.1", 403).await;
    server.stop().await;
}

/// An engine whose reads panic as long as the test wants it.
struct Panics(MemoryStore, Arc<AtomicBool>);

#[async_trait]
impl MetaStore for Panics {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        assert!(!self.1.load(Ordering::SeqCst), "on purpose");
        self.0.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        self.0.scan(range, limit, direction, level).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        self.0.commit(batch).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_request() {
    let data = tempfile::tempdir().unwrap();
    let limits = |args: &mut ServeArgs| args.requests_max = Some(1);
    let panics = Arc::new(AtomicBool::new(true));
    let engine = Panics(MemoryStore::new(), panics.clone());
    let server = start_over(config(data.path(), limits), engine).await;
    let id = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
    let secret = SecretAccessKey::new("secret");
    let signer = Signer {
        access_key_id: &id,
        secret: &secret,
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    let headers: &[(&str, &[u8])] = &[("host", b"localhost")];
    for path in ["/bucket/key", "/_/api/v1/users", "/_/tf/bucket/k", "/bucket/key"] {
        let head = RequestHead { method: "GET", path, query: "", authority: None, headers };
        let now = SystemClock::new().now();
        let now = jiff::Timestamp::from_millisecond(now).unwrap();
        let signed = signer.sign(&head, &payload_hash(b""), now);
        let lines: String =
            signed.headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
        let (status, body) = server.ask(&format!("GET {path} HTTP/1.1{lines}")).await;
        assert_eq!(status, 500, "{body}");
        assert!(body.contains("<Code>InternalError</Code>"), "{body}");
    }
    assert_eq!(server.ask("GET / HTTP/1.1").await.0, 403);
    let (_, page) = server.ask("GET /_/metrics HTTP/1.1").await;
    assert!(page.contains("code=\"InternalError\"} 4"), "{page}");
    assert!(page.contains("tidelock_requests_in_flight 1"), "{page}");
    panics.store(false, Ordering::SeqCst);
    let audited = server.audited("InternalError").await;
    assert_eq!(audited, [("s3", 3), ("api", 0), ("http-backend", 1), ("s3", 3)]);
    server.stop().await;
}
