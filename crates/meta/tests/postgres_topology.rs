//! Which PostgreSQL set-ups are served, and from which host: against real servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::Cluster;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tidelock_meta::postgres::{
    ConnectError, Database, Dialect, PostgresObserver, PostgresOptions, PostgresStore, Topology,
    inspect,
};
use tidelock_meta::{
    Batch, Health, Key, MetaError, MetaStore, OpId, Outcome, ReadLevel, SystemClock,
};
use tokio::time::{sleep, timeout};

/// For what must happen sooner or later.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_is_judged_before_it_is_served() {
    let cluster = Cluster::start();
    which_host_is_used(&cluster).await;
    which_replication_is_safe(&cluster).await;
    unsafe_replication_stops_a_store(&cluster).await;
    abandoned_commits_do_not_pile_up(&cluster).await;
    who_may_connect(&cluster).await;
    whom_tls_trusts(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_primary_is_never_used_again() {
    let cluster = Cluster::start();
    let store = open(&cluster.url_of(&[0, 1, 2])).await;
    assert_eq!(store.topology().timeline, Some(1));
    put(&store, "before", "old").await.unwrap();

    let blind = [open_blind(&cluster, "postgres").await, open_blind(&cluster, "portable").await];
    let since = (store.epoch(), blind.each_ref().map(|store| store.epoch()));

    // The old primary goes on running: it still takes the first calls, and may answer none of them.
    cluster.command("promote", "s1");
    let began = tokio::time::Instant::now();
    let under_way = put(&store, "under-way", "?").await;
    assert!(matches!(under_way, Ok(_) | Err(MetaError::Unknown)), "{under_way:?}");
    // Cut off as soon as the new primary is seen, long before any limit of time.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let new_primary = format!("127.0.0.1:{}", cluster.ports[1]);
    eventually("the new primary is found", async || store.topology().primary == new_primary).await;
    assert_eq!(store.topology().timeline, Some(2));
    eventually("it takes commits", async || put(&store, "after", "new").await.is_ok()).await;
    assert_eq!(get(&store, "before").await.unwrap().as_deref(), Some(&b"old"[..]));

    // What was read before is not confirmed by the new primary, what is read from now on is.
    let confirmed = store.confirm(since.0).await;
    assert!(matches!(confirmed, Err(MetaError::Unavailable(_))), "{confirmed:?}");
    let now = store.epoch();
    get(&store, "after").await.unwrap();
    assert!(now > since.0);
    store.confirm(now).await.unwrap();

    // Who cannot reach the new one reads from the old one still, and is told so.
    for (store, since) in blind.iter().zip(since.1) {
        let key = [Key::from_static(b"blind")];
        let seen = store.get(&key, ReadLevel::Unconfirmed).await.unwrap();
        assert!(seen[0].is_some());
        let (latest, confirmed) =
            tokio::join!(store.get(&key, ReadLevel::Latest), store.confirm(since));
        assert!(matches!(latest, Err(MetaError::Unavailable(_))), "{latest:?}");
        assert!(matches!(confirmed, Err(MetaError::Unavailable(_))), "{confirmed:?}");
        store.close().await;
    }

    // The old primary itself answers to plain SQL what nobody may be told.
    let stale = cluster.admin(0).await;
    let is_primary = stale.query_one("SELECT NOT pg_is_in_recovery()", &[]).await.unwrap();
    assert!(is_primary.get::<_, bool>(0));
    let rows = stale.query("SELECT 1 FROM tidelock.kv WHERE k = 'after'", &[]).await.unwrap();
    assert!(rows.is_empty());

    cluster.command("kill", "s1");
    eventually("the loss is seen", async || store.health() != Health::Serving).await;
    let error = get(&store, "after").await.unwrap_err();
    assert!(matches!(&error, MetaError::Unavailable(_)), "{error}");
    store.close().await;
}

async fn which_host_is_used(cluster: &Cluster) {
    let primary = format!("127.0.0.1:{}", cluster.ports[0]);
    for nodes in [&[0][..], &[0, 1, 2], &[2, 1, 0], &[1, 0]] {
        let topology = look(&cluster.url_of(nodes)).await.unwrap();
        assert_eq!(topology.primary, primary);
        assert_eq!(topology.database, Database::PostgreSql);
        assert_eq!(topology.dialect, Dialect::Postgres);
        assert_eq!(topology.timeline, Some(1));
        assert_eq!(topology.hosts.len(), nodes.len());
        let standbys = topology.hosts.iter().filter(|(_, role)| role == "standby").count();
        assert_eq!(standbys, nodes.len() - 1, "{topology}");
    }
    let portable = format!("{}?dialect=portable", cluster.url_of(&[0]));
    assert_eq!(look(&portable).await.unwrap().dialect, Dialect::Portable);

    // One server under two names is one primary.
    let twice = format!("postgres://tidelock@{primary},localhost:{}/tidelock", cluster.ports[0]);
    assert_eq!(look(&twice).await.unwrap().primary, primary);
    // A host that is not there does not matter while the primary is.
    let one_gone = format!("postgres://tidelock@127.0.0.1:1,{primary}/tidelock");
    let topology = look(&one_gone).await.unwrap();
    assert!(topology.hosts[0].1.contains("refused"), "{topology}");

    let error = look(&cluster.url_of(&[1, 2])).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoPrimary(_)), "{error}");
    let error = look("postgres://tidelock@127.0.0.1:1/tidelock").await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
}

async fn which_replication_is_safe(cluster: &Cluster) {
    for (name, value, danger) in [
        ("synchronous_standby_names", "''", "synchronous_standby_names is empty"),
        ("synchronous_standby_names", "'*'", "may be promoted"),
        ("synchronous_standby_names", "'s1, s2'", "may be promoted"),
        ("synchronous_standby_names", "'ANY 1 (s1, s2)'", "may be promoted"),
        ("synchronous_standby_names", "'ANY 2 (s1, s2)'", ""),
        ("fsync", "off", "fsync is off"),
        ("full_page_writes", "off", "full_page_writes is off"),
        // The session's own setting counts.
        ("synchronous_commit", "off", ""),
        ("synchronous_commit", "local", ""),
        ("synchronous_commit", "remote_apply", ""),
    ] {
        cluster.set(0, name, value).await;
        let url = cluster.url_of(&[0, 1, 2]);
        match look(&url).await {
            Ok(topology) => assert_eq!((danger, topology.danger), ("", None), "{name} = {value}"),
            Err(ConnectError::UnsafeReplication(why)) => {
                assert!(!danger.is_empty() && why.contains(danger), "{name} = {value}: {why}");
            }
            Err(error) => panic!("{name} = {value}: {error}"),
        }
        let mut options = PostgresOptions::parse(&url).unwrap();
        options.accept_unsafe_replication = true;
        let accepted = inspect(options).await.unwrap();
        assert_eq!(accepted.danger.is_some(), !danger.is_empty());
        let safe = if name == "synchronous_standby_names" { "'s1'" } else { "DEFAULT" };
        cluster.set(0, name, safe).await;
    }
}

async fn unsafe_replication_stops_a_store(cluster: &Cluster) {
    let url = format!("{}?schema=while_serving", cluster.url_of(&[0, 1, 2]));
    let store = open(&url).await;
    put(&store, "key", "1").await.unwrap();
    cluster.set(0, "synchronous_standby_names", "''").await;
    eventually("it stops", async || matches!(store.health(), Health::Unavailable(_))).await;
    for error in [put(&store, "key", "2").await.unwrap_err(), get(&store, "key").await.unwrap_err()]
    {
        assert!(error.to_string().contains("synchronous_standby_names is empty"), "{error}");
    }
    cluster.set(0, "synchronous_standby_names", "'s1'").await;
    eventually("it goes on", async || store.health() == Health::Serving).await;
    assert_eq!(get(&store, "key").await.unwrap().as_deref(), Some(&b"1"[..]));
    store.close().await;
}

/// A commit that waits for its standby keeps its backend, connected or not: there must not be ever more.
async fn abandoned_commits_do_not_pile_up(cluster: &Cluster) {
    const CONNECTIONS: usize = 2;
    let url = format!("{}?schema=abandoned", cluster.url_of(&[0, 1, 2]));
    let mut options = PostgresOptions::parse(&url).unwrap();
    options.connections_max = CONNECTIONS;
    let counts = Arc::new(Counts::default());
    options.observer = counts.clone();
    let store = PostgresStore::connect(options, Arc::new(SystemClock::new())).await.unwrap();
    put(&store, "key", "1").await.unwrap();
    cluster.command("pause", "s1");
    for number in 0..12 {
        let key = format!("key-{number}");
        let given_up = timeout(Duration::from_millis(300), put(&store, &key, "2")).await;
        assert!(given_up.is_err(), "{given_up:?}");
    }
    let admin = cluster.admin(0).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let count: i64 = admin.query_one(waiting, &[]).await.unwrap().get(0);
    assert!((1..=2 * CONNECTIONS as i64).contains(&count), "{count} backends wait");
    cluster.command("resume", "s1");
    eventually("it goes on", async || put(&store, "key", "3").await.is_ok()).await;
    assert!(counts.connected.load(Ordering::SeqCst) > CONNECTIONS);
    assert_eq!(counts.primary_changed.load(Ordering::SeqCst), 0);
    store.close().await;
}

#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    primary_changed: AtomicUsize,
}

impl PostgresObserver for Counts {
    fn connected(&self) {
        self.connected.fetch_add(1, Ordering::SeqCst);
    }

    fn primary_changed(&self) {
        self.primary_changed.fetch_add(1, Ordering::SeqCst);
    }
}

async fn who_may_connect(cluster: &Cluster) {
    cluster.sql(0, &["CREATE ROLE guest LOGIN PASSWORD 'right:@/'"]).await;
    let rule = "host all guest 127.0.0.1/32 scram-sha-256";
    let rules = "sed -i '1i RULE' $(dirname PATH)/pg_hba.conf".replace("RULE", rule);
    let admin = cluster.admin(0).await;
    let row = admin.query_one("SELECT current_setting('hba_file')", &[]).await.unwrap();
    let program = rules.replace("PATH", row.get(0)).replace('\'', "''");
    let copy = format!("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {program}'");
    admin.batch_execute(&copy).await.unwrap();
    cluster.sql(0, &["SELECT pg_reload_conf()"]).await;
    sleep(Duration::from_millis(200)).await;

    let port = cluster.ports[0];
    let right = format!("postgres://guest:right%3A%40%2F@127.0.0.1:{port}/tidelock");
    // A role without any rights sees enough to be judged.
    let topology = look(&right).await.unwrap();
    assert_eq!((topology.timeline, topology.standbys_connected), (Some(1), None), "{topology}");
    // What managed services forbid is done without.
    for (function, timeline) in
        [("pg_control_system()", Some(1)), ("pg_walfile_name(pg_lsn)", None)]
    {
        cluster.sql(0, &[&format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")]).await;
        let topology = look(&right).await.unwrap();
        assert_eq!((topology.timeline, topology.danger), (timeline, None), "without {function}");
    }
    for url in [
        format!("postgres://guest:wrong@127.0.0.1:{port}/tidelock"),
        format!("postgres://guest@127.0.0.1:{port}/tidelock"),
        format!("postgres://nobody@127.0.0.1:{port}/tidelock"),
        format!("postgres://tidelock@127.0.0.1:{port}/nothing"),
    ] {
        let error = look(&url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Authentication(_)), "{url}: {error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}

async fn whom_tls_trusts(cluster: &Cluster) {
    let directory = tempfile::tempdir().unwrap();
    let [ours, other] = ["ours", "other"].map(|name| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let path = directory.path().join(format!("{name}.pem"));
        std::fs::write(&path, issuer.pem()).unwrap();
        (issuer, path.display().to_string())
    });
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours.0).unwrap();
    // Written by the server itself, so that the files are its own.
    for (file, text) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let admin = cluster.admin(0).await;
        let row = admin.query_one("SELECT current_setting('data_directory')", &[]).await.unwrap();
        let directory: String = row.get(0);
        let text = text.replace("\r\n", "\n");
        let copy = format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) \
             TO PROGRAM 'umask 077; cat > {directory}/{file}'",
            text.trim_end()
        );
        admin.batch_execute(&copy).await.unwrap();
    }
    let primary = format!("tidelock@127.0.0.1:{}", cluster.ports[0]);
    let no_tls = format!("postgres://{primary}/tidelock?sslmode=require&sslrootcert={}", ours.1);
    let error = look(&no_tls).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
    let preferred = format!("postgres://{primary}/tidelock?sslmode=prefer&sslrootcert={}", ours.1);
    look(&preferred).await.unwrap();

    cluster.set(0, "ssl", "on").await;
    let by_name = format!("tidelock@localhost:{}", cluster.ports[0]);
    for (host, mode, root, is_trusted) in [
        (&primary, "verify-full", &ours.1, true),
        (&primary, "require", &ours.1, true),
        (&primary, "prefer", &ours.1, true),
        (&primary, "verify-full", &other.1, false),
        (&primary, "require", &other.1, false),
        (&primary, "prefer", &other.1, false),
        (&by_name, "verify-full", &ours.1, false),
        (&by_name, "verify-ca", &ours.1, false),
        (&primary, "disable", &other.1, true),
    ] {
        let url = format!("postgres://{host}/tidelock?sslmode={mode}&sslrootcert={root}");
        match look(&url).await {
            Ok(_) => assert!(is_trusted, "{url}"),
            Err(ConnectError::Tls(why)) => assert!(!is_trusted, "{url}: {why}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }
    let missing = format!("postgres://{primary}/tidelock?sslmode=require&sslrootcert=/nowhere.pem");
    let error = look(&missing).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
}

async fn look(url: &str) -> Result<Topology, ConnectError> {
    inspect(PostgresOptions::parse(url)?).await
}

async fn open(url: &str) -> PostgresStore {
    let options = PostgresOptions::parse(url).unwrap();
    PostgresStore::connect(options, Arc::new(SystemClock::new())).await.unwrap()
}

/// A store that knows of the first primary only.
async fn open_blind(cluster: &Cluster, dialect: &str) -> PostgresStore {
    let url = cluster.url_of(&[0]);
    let store = open(&format!("{url}?schema=blind_{dialect}&dialect={dialect}")).await;
    put(&store, "blind", "old").await.unwrap();
    assert!(get(&store, "blind").await.unwrap().is_some());
    store
}

async fn put(store: &PostgresStore, key: &str, value: &str) -> Result<Outcome, MetaError> {
    let mut batch = Batch::new(OpId([7; 16]));
    batch.put(Key::from(key.to_owned()), Bytes::from(value.to_owned()));
    store.commit(batch).await
}

async fn get(store: &PostgresStore, key: &str) -> Result<Option<Bytes>, MetaError> {
    let rows = store.get(&[Key::from(key.to_owned())], ReadLevel::Latest).await?;
    Ok(rows.into_iter().next().flatten().map(|row| row.value))
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "in vain: {what}");
}
