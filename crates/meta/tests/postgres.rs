//! PostgreSQL as an engine: the conformance suite in both dialects, and what the suite cannot ask for:
//! lost answers, cancelled waits, contention, and what a call costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod proxy;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cluster::{Cluster, shared_url};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proxy::{Cut, Proxy, Target};
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::postgres::{
    ConnectError, PostgresObserver, PostgresOptions, PostgresStore, RoundTrip,
};
use tidelock_meta::{
    Batch, Direction, Expect, KeyRange, MetaError, MetaStore, OpId, Outcome, ReadLevel,
    SystemClock, Version, Write, conformance,
};
use tokio_postgres::{Client, NoTls};

const DIALECTS: [&str; 2] = ["postgres", "portable"];

/// Counts what the engine does.
#[derive(Debug, Default)]
struct Counted {
    round_trips: Mutex<HashMap<RoundTrip, usize>>,
    retries: AtomicUsize,
}

impl Counted {
    fn round_trips(&self, kind: RoundTrip) -> usize {
        self.round_trips.lock().unwrap().get(&kind).copied().unwrap_or_default()
    }
}

impl PostgresObserver for Counted {
    fn round_trip(&self, kind: RoundTrip) {
        *self.round_trips.lock().unwrap().entry(kind).or_default() += 1;
    }

    fn retried(&self) {
        self.retries.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store in a schema of its own, which is dropped at the end.
struct Fixture {
    store: Arc<PostgresStore>,
    counted: Arc<Counted>,
    url: String,
    /// In the store's schema.
    sql: Client,
    schema: String,
}

impl Fixture {
    async fn open(dialect: &str) -> Self {
        Self::open_url(format!("{}&dialect={dialect}", shared_url())).await
    }

    async fn open_url(url: String) -> Self {
        let counted = Arc::new(Counted::default());
        let mut options = PostgresOptions::parse(&url).unwrap();
        options.observer = Arc::clone(&counted) as Arc<dyn PostgresObserver>;
        let schema = options.schema().to_owned();
        let store = PostgresStore::connect(options, Arc::new(SystemClock::new())).await.unwrap();
        let sql = plain(&url, &store, &schema).await;
        Self { store: Arc::new(store), counted, url, sql, schema }
    }

    fn engine(&self) -> Arc<dyn MetaStore> {
        Arc::clone(&self.store) as Arc<dyn MetaStore>
    }

    /// The same store through a proxy in front of its primary.
    async fn through(&self, target: Target, cut: Cut) -> (Self, Proxy) {
        let proxy = Proxy::start(self.store.topology().primary, target, cut).await;
        let (head, rest) = self.url.split_once('@').unwrap();
        let (_, rest) = rest.split_once('/').unwrap();
        let url = format!("{head}@127.0.0.1:{}/{rest}", proxy.port);
        (Self::open_url(url).await, proxy)
    }

    async fn drop_schema(self) {
        self.store.close().await;
        self.sql.batch_execute(&format!("DROP SCHEMA \"{}\" CASCADE", self.schema)).await.unwrap();
    }
}

/// A plain client of the primary, as the store's user.
async fn plain(url: &str, store: &PostgresStore, schema: &str) -> Client {
    let (host, port) = store.topology().primary.rsplit_once(':').map(own).unwrap();
    let (user, rest) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    let database = rest.split_once('/').unwrap().1.split('?').next().unwrap();
    let settings = format!("host={host} port={port} user={user} dbname={database}");
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path = \"{schema}\"")).await.unwrap();
    client
}

fn own((host, port): (&str, &str)) -> (String, String) {
    (host.to_owned(), port.to_owned())
}

fn batch() -> Batch {
    Batch::new(OpId([7; 16]))
}

fn put(key: &str, value: &str) -> Batch {
    let mut batch = batch();
    batch.put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    batch
}

async fn value(store: &PostgresStore, key: &'static str, level: ReadLevel) -> Option<Bytes> {
    let rows = store.get(&[Bytes::from_static(key.as_bytes())], level).await.unwrap();
    rows.into_iter().next().unwrap().map(|row| row.value)
}

fn version(outcome: Result<Outcome, MetaError>) -> Version {
    match outcome.unwrap() {
        Outcome::Committed(version) => version,
        Outcome::Conflict { first } => panic!("check {first} did not hold"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let fixture = Fixture::open("postgres").await;
    conformance::run(fixture.engine()).await.unwrap();
    fixture.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_the_portable_dialect() {
    let fixture = Fixture::open("portable").await;
    conformance::run(fixture.engine()).await.unwrap();
    fixture.drop_schema().await;
}

/// A commit whose answer is lost is unknown, whether or not it happened; one in the portable dialect that
/// is lost before its COMMIT is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_unknown() {
    for (dialect, target) in
        [("postgres", Target::Statement("ticket AS")), ("portable", Target::Text("COMMIT"))]
    {
        for cut in [Cut::BeforeTheServer, Cut::AfterTheServer] {
            let direct = Fixture::open(dialect).await;
            let (through, proxy) = direct.through(target, cut).await;
            let applied = cut == Cut::AfterTheServer;
            let suite = conformance::unknown_commits(through.engine(), applied, |n| proxy.cut(n));
            let outcome = suite.await;
            assert_eq!(outcome, Ok(()), "{dialect} {cut:?}");
            assert_eq!(proxy.due(), 0);
            through.store.close().await;
            direct.drop_schema().await;
        }
    }
    let direct = Fixture::open("portable").await;
    let target = Target::Statement("INSERT INTO kv");
    for cut in [Cut::BeforeTheServer, Cut::AfterTheServer] {
        let (through, proxy) = direct.through(target, cut).await;
        proxy.cut(1);
        version(through.store.commit(put("sent again", "here")).await);
        assert_eq!((proxy.due(), through.counted.retries.load(Ordering::SeqCst)), (0, 1));
        through.store.close().await;
    }
    let kept = value(&direct.store, "sent again", ReadLevel::Latest).await;
    assert_eq!(kept.as_deref(), Some(&b"here"[..]));
    direct.drop_schema().await;
}

/// A backend that is terminated while its commit waits for a lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_backend_leaves_the_outcome_open() {
    let fixture = Fixture::open("postgres").await;
    version(fixture.store.commit(put("held", "before")).await);
    fixture.sql.batch_execute("BEGIN; SELECT 1 FROM kv FOR UPDATE").await.unwrap();
    let store = Arc::clone(&fixture.store);
    let waiting = tokio::spawn(async move { store.commit(put("held", "after")).await });
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks l \
        WHERE NOT l.granted AND pg_backend_pid() = ANY(pg_blocking_pids(l.pid))";
    until(async || fixture.sql.query_one(terminate, &[]).await.unwrap().get::<_, i64>(0) > 0).await;
    assert_eq!(waiting.await.unwrap(), Err(MetaError::Unknown));
    fixture.sql.batch_execute("ROLLBACK").await.unwrap();
    let kept = value(&fixture.store, "held", ReadLevel::Latest).await;
    assert_eq!(kept.as_deref(), Some(&b"before"[..]));
    fixture.drop_schema().await;
}

async fn until(mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("what should have happened did not");
}

/// A commit whose wait for the standby is cancelled is on the primary alone. It is not acknowledged, and
/// who reads it is not told so before it is replicated.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_is_unknown_and_no_barrier_passes() {
    let cluster = Cluster::start();
    for dialect in DIALECTS {
        let url =
            format!("{}?schema={dialect}_waits&dialect={dialect}", cluster.url_of(&[0, 1, 2]));
        let fixture = Fixture::open_url(url).await;
        version(fixture.store.commit(put("key", "before")).await);
        cluster.command("pause", "s1");
        let store = Arc::clone(&fixture.store);
        let waiting = tokio::spawn(async move { store.commit(put("key", "after")).await });
        let admin = cluster.admin(0).await;
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
            WHERE wait_event = 'SyncRep' AND application_name = 'tidelock'";
        until(async || admin.query_one(cancel, &[]).await.unwrap().get::<_, i64>(0) > 0).await;
        assert_eq!(waiting.await.unwrap(), Err(MetaError::Unknown), "{dialect}");

        let since = fixture.store.epoch();
        let seen = value(&fixture.store, "key", ReadLevel::Unconfirmed).await;
        assert_eq!(seen.as_deref(), Some(&b"after"[..]), "{dialect}");
        let confirmed = fixture.store.confirm(since).await;
        assert!(matches!(confirmed, Err(MetaError::Unavailable(_))), "{dialect}: {confirmed:?}");
        let key = [Bytes::from_static(b"key")];
        let latest = fixture.store.get(&key, ReadLevel::Latest).await;
        assert!(matches!(latest, Err(MetaError::Unavailable(_))), "{dialect}: {latest:?}");
        cluster.command("resume", "s1");
        until(async || fixture.store.confirm(since).await.is_ok()).await;
        let seen = value(&fixture.store, "key", ReadLevel::Latest).await;
        assert_eq!(seen.as_deref(), Some(&b"after"[..]), "{dialect}");
        fixture.store.close().await;
    }
}

/// Reads that wait at the same time share barriers; one who gives up takes nobody else with it.
#[tokio::test(flavor = "multi_thread")]
async fn reads_share_barriers() {
    const READS: usize = 200;
    let fixture = Fixture::open("postgres").await;
    version(fixture.store.commit(put("key", "value")).await);
    let before = fixture.counted.round_trips(RoundTrip::Barrier);
    let reads: Vec<_> = (0..READS)
        .map(|number| {
            let store = Arc::clone(&fixture.store);
            tokio::spawn(async move {
                let read = value(&store, "key", ReadLevel::Latest);
                let patience = Duration::from_millis(if number % 4 == 0 { 1 } else { 30_000 });
                tokio::time::timeout(patience, read).await.ok().flatten().is_some()
            })
        })
        .collect();
    for (number, read) in reads.into_iter().enumerate() {
        let answered = read.await.unwrap();
        assert!(answered || number % 4 == 0, "read {number} was not answered");
    }
    let barriers = fixture.counted.round_trips(RoundTrip::Barrier) - before;
    assert!((1..READS / 2).contains(&barriers), "{barriers} barriers for {READS} reads");
    fixture.drop_schema().await;
}

/// Serialization failures leave nothing behind and are tried again, in both dialects.
#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_are_tried_again() {
    const FAILURES: usize = 5;
    for dialect in DIALECTS {
        let fixture = Fixture::open(dialect).await;
        version(fixture.store.commit(put("before", "value")).await);
        // Sequences do not roll back.
        let trigger = format!(
            "CREATE SEQUENCE failures; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF nextval('failures') <= {FAILURES} THEN
                RAISE EXCEPTION 'injected' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON kv FOR EACH ROW EXECUTE FUNCTION fail()"
        );
        fixture.sql.batch_execute(&trigger).await.unwrap();
        let mut fresh = put("fresh", "value");
        fresh.expect(Bytes::from_static(b"fresh"), None);
        fresh.put(Bytes::from_static(b"beside"), Bytes::new());
        version(fixture.store.commit(fresh.clone()).await);
        assert_eq!(fixture.counted.retries.load(Ordering::SeqCst), FAILURES, "{dialect}");
        let again = fixture.store.commit(fresh).await;
        assert_eq!(again, Ok(Outcome::Conflict { first: 0 }), "{dialect}");
        fixture.drop_schema().await;
    }
}

/// A server whose database fails all the time gives up, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn retries_end() {
    let fixture = Fixture::open("postgres").await;
    let trigger = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '40P01'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON kv FOR EACH ROW EXECUTE FUNCTION fail()";
    fixture.sql.batch_execute(trigger).await.unwrap();
    assert_eq!(fixture.store.commit(put("key", "value")).await, Err(MetaError::Overloaded));
    assert_eq!(value(&fixture.store, "key", ReadLevel::Latest).await, None);
    fixture.drop_schema().await;
}

/// Callers who go away in the middle of a commit or a read, some while it waits for a lock, leave no open
/// transaction and no lost connection.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_calls_do_no_harm() {
    const CALLERS: u64 = 24;
    const ROUNDS: u64 = 12;
    for dialect in DIALECTS {
        let url = format!("{}&dialect={dialect}", shared_url());
        let name = format!("abandoned_{dialect}_{}", std::process::id());
        let fixture = Fixture::open_url(format!("{url}&application_name={name}")).await;
        version(fixture.store.commit(put("left", "first")).await);
        for round in 0..ROUNDS {
            let lock = "BEGIN; SELECT 1 FROM kv WHERE k = 'left' FOR UPDATE";
            fixture.sql.batch_execute(lock).await.unwrap();
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let store = Arc::clone(&fixture.store);
                    tokio::spawn(abandoned(store, round * CALLERS + caller))
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(10)).await;
            fixture.sql.batch_execute("ROLLBACK").await.unwrap();
            for caller in callers {
                caller.await.unwrap();
            }
        }
        let count = async |condition: &str| -> i64 {
            let query = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' {condition}"
            );
            fixture.sql.query_one(&query, &[]).await.unwrap().get(0)
        };
        until(async || count("AND state <> 'idle'").await == 0).await;
        // All that are left are the pool's, and the one that watches.
        until(async || (1..=17).contains(&count("").await)).await;
        for number in 0..100 {
            version(fixture.store.commit(put("left", &number.to_string())).await);
            let seen = value(&fixture.store, "left", ReadLevel::Recent).await;
            assert_eq!(seen.as_deref(), Some(number.to_string().as_bytes()), "{dialect}");
        }
        assert_eq!(count("AND state LIKE 'idle in transaction%'").await, 0, "{dialect}");
        fixture.drop_schema().await;
    }
}

/// A commit or a read of one of several kinds, given up at some moment.
async fn abandoned(store: Arc<PostgresStore>, number: u64) {
    let mut change = batch();
    change.put(Bytes::from_static(b"left"), Bytes::from_static(b"same"));
    match number % 4 {
        0 => change.delete(Bytes::from_static(b"middle")),
        1 => change.expect(Bytes::from_static(b"left"), None),
        2 => change.checks.push((Bytes::from_static(b"other"), Expect::At(Version(1)))),
        _ => change.put(Bytes::from_static(b"right"), Bytes::from_static(b"same")),
    }
    // Spread over the whole of what a call takes, and no two alike.
    let patience = Duration::from_micros(number.wrapping_mul(2_654_435_761) % 30_000);
    let call = async {
        if number % 5 == 4 {
            let _ = store.get(&[Bytes::from_static(b"left")], ReadLevel::Latest).await;
        } else {
            let _ = store.commit(change).await;
        }
    };
    let _ = tokio::time::timeout(patience, call).await;
}

/// Every shape of batch that the one-statement commits tell apart, checked against the store in memory.
#[tokio::test(flavor = "multi_thread")]
async fn random_batches_end_as_in_memory() {
    const BATCHES: usize = 400;
    for dialect in DIALECTS {
        let fixture = Fixture::open(dialect).await;
        let memory = MemoryStore::new();
        let mut runner = TestRunner::deterministic();
        for number in 0..BATCHES {
            let sketch = sketch().new_tree(&mut runner).unwrap().current();
            let (here, there) = (
                drawn(&*fixture.store, &sketch, number).await,
                drawn(&memory, &sketch, number).await,
            );
            let outcomes =
                (fixture.store.commit(here).await.unwrap(), memory.commit(there).await.unwrap());
            match outcomes {
                (Outcome::Committed(_), Outcome::Committed(_)) => {}
                (ours, theirs) => assert_eq!(ours, theirs, "{dialect}: {sketch:?}"),
            }
            assert_eq!(rows(&*fixture.store).await, rows(&memory).await, "{dialect}: {sketch:?}");
        }
        fixture.drop_schema().await;
    }
}

/// For each key: whether it is checked, rightly or wrongly, and what is written.
type Sketch = Vec<(u8, Option<bool>, Option<bool>)>;

fn sketch() -> impl Strategy<Value = Sketch> {
    let three = || prop_oneof![Just(None), Just(Some(true)), Just(Some(true)), Just(Some(false))];
    let key = 0_u8..12;
    proptest::collection::btree_map(key, (three(), three()), 0..5).prop_map(|by_key| {
        by_key.into_iter().rev().map(|(key, (check, write))| (key, check, write)).collect()
    })
}

async fn drawn(store: &dyn MetaStore, sketch: &Sketch, number: usize) -> Batch {
    let mut drawn = batch();
    for (key, check, write) in sketch {
        let key = Bytes::copy_from_slice(&[*key]);
        let row = store.get(std::slice::from_ref(&key), ReadLevel::Latest).await.unwrap().remove(0);
        let expect = match (check, row) {
            (None, _) => None,
            (Some(true), Some(row)) => Some(Expect::At(row.version)),
            (Some(true), None) => Some(Expect::Absent),
            (Some(false), Some(_)) if write.is_some() => Some(Expect::Absent),
            (Some(false), _) => Some(Expect::At(Version(1 << 40))),
        };
        if let Some(expect) = expect.filter(|expect| *expect != Expect::Absent || write.is_some()) {
            drawn.checks.push((key.clone(), expect));
        }
        match write {
            Some(true) => drawn.put(key, Bytes::from(number.to_string())),
            Some(false) => drawn.delete(key),
            None => {}
        }
    }
    drawn
}

async fn rows(store: &dyn MetaStore) -> Vec<(Bytes, Bytes)> {
    let range = KeyRange::prefix(b"");
    let rows = store.scan(range, usize::MAX, Direction::Forward, ReadLevel::Recent).await.unwrap();
    rows.into_iter().map(|(key, row)| (key, row.value)).collect()
}

/// Two writers put and delete the same keys without checks: what is left is always one commit's.
#[tokio::test(flavor = "multi_thread")]
async fn unchecked_deletes_are_not_torn() {
    const ROUNDS: usize = 60;
    for dialect in DIALECTS {
        let fixture = Fixture::open(dialect).await;
        let keys = ["a", "b", "c"].map(|key| Bytes::from_static(key.as_bytes()));
        let (mut make, mut unmake) = (batch(), batch());
        for key in &keys {
            make.put(key.clone(), Bytes::new());
            unmake.delete(key.clone());
        }
        let marker = Bytes::from_static(b"marker");
        make.put(marker.clone(), Bytes::from_static(b"made"));
        unmake.put(marker.clone(), Bytes::from_static(b"unmade"));
        for round in 0..ROUNDS {
            let both = [&make, &unmake, &make, &unmake].map(|change| {
                let (store, change) = (Arc::clone(&fixture.store), change.clone());
                tokio::spawn(async move { store.commit(change).await })
            });
            for commit in both {
                version(commit.await.unwrap());
            }
            let mut all = keys.to_vec();
            all.push(marker.clone());
            let mut found = fixture.store.get(&all, ReadLevel::Latest).await.unwrap();
            let last = found.pop().unwrap().unwrap().value;
            let expected = if last == "made" { keys.len() } else { 0 };
            let there = found.into_iter().flatten().count();
            assert_eq!(there, expected, "{dialect}, round {round}, after {last:?}");
        }
        fixture.drop_schema().await;
    }
}

/// A key as long as the limit whose bytes do not compress: PostgreSQL compresses keys before it measures.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_key_needs_no_luck() {
    let fixture = Fixture::open("postgres").await;
    let mut random = 0x9E37_79B9_u32;
    let bytes = std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random.to_be_bytes()[0]
    });
    let key: Bytes = bytes.take(fixture.store.limits().key_bytes_max).collect();
    let mut long = batch();
    long.expect(key.clone(), None);
    long.put(key.clone(), Bytes::new());
    let put_version = version(fixture.store.commit(long).await);
    let found = fixture.store.get(&[key], ReadLevel::Latest).await.unwrap().remove(0).unwrap();
    assert_eq!(found.version, put_version);
    fixture.drop_schema().await;
}

/// The statement groups as the skipping scan does, which has its own proof.
#[tokio::test(flavor = "multi_thread")]
async fn grouping_in_one_statement_equals_skipping() {
    let fixture = Fixture::open("postgres").await;
    let memory = MemoryStore::new();
    let mut runner = TestRunner::deterministic();
    let letter = || prop_oneof![Just(b'a'), Just(b'b'), Just(b'/'), Just(0), Just(0xFF_u8)];
    let keys = proptest::collection::vec(proptest::collection::vec(letter(), 1..7), 300);
    let keys: BTreeSet<_> = keys.new_tree(&mut runner).unwrap().current().into_iter().collect();
    for chunk in keys.iter().collect::<Vec<_>>().chunks(50) {
        let mut fill = batch();
        fill.writes =
            chunk.iter().map(|key| Write::Put(Bytes::from((*key).clone()), Bytes::new())).collect();
        version(fixture.store.commit(fill.clone()).await);
        version(memory.commit(fill).await);
    }
    let text = || proptest::collection::vec(letter(), 0..3);
    let cases = (text(), text(), 0_usize..4, text(), 0_usize..30, proptest::bool::ANY);
    for _ in 0..600 {
        let (start, end, skip, delimiter, limit, bounded) =
            cases.new_tree(&mut runner).unwrap().current();
        let (start, end) = (Bytes::from(start), bounded.then(|| Bytes::from(end)));
        let range = KeyRange { start, end };
        let grouped = async |store: &dyn MetaStore| {
            let level = ReadLevel::Recent;
            let groups =
                store.scan_grouped(range.clone(), skip, &delimiter, limit, level).await.unwrap();
            let drawn = groups.into_iter();
            drawn
                .map(|group| (group.prefix, group.is_common_prefix, group.first.0))
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (grouped(&*fixture.store).await, grouped(&memory).await);
        assert_eq!(ours, theirs, "{range:?} skip {skip} by {delimiter:?}, at most {limit}");
    }
    fixture.drop_schema().await;
}

/// 100 common prefixes over 100,000 keys: one round trip, one step of the index for each prefix.
#[tokio::test(flavor = "multi_thread")]
async fn prefixes_of_a_large_range_cost_one_round_trip() {
    let fixture = Fixture::open("postgres").await;
    let fill = "INSERT INTO kv SELECT convert_to(format('envs/d%s/k%s', \
        lpad((n / 1000)::text, 3, '0'), lpad(n::text, 6, '0')), 'UTF8'), 1, '' \
        FROM generate_series(0, 99999) AS n";
    fixture.sql.batch_execute(fill).await.unwrap();
    let before = fixture.counted.round_trips(RoundTrip::ScanGrouped);
    let range = KeyRange::prefix(b"envs/");
    let groups = fixture.store.scan_grouped(range, 5, b"/", 1000, ReadLevel::Recent).await.unwrap();
    assert_eq!(groups.len(), 100);
    assert_eq!(groups[99].prefix, "envs/d099/");
    assert_eq!(groups[99].first.0, "envs/d099/k099000");
    assert_eq!(fixture.counted.round_trips(RoundTrip::ScanGrouped) - before, 1);
    assert_eq!(fixture.counted.round_trips(RoundTrip::Scan), 0);
    // One look for each group and one that finds no more.
    let looks = "SELECT idx_scan FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'kv'";
    let looks_counted =
        async || fixture.sql.query_one(looks, &[]).await.unwrap().get::<_, i64>(0) > 0;
    until(looks_counted).await;
    let looks: i64 = fixture.sql.query_one(looks, &[]).await.unwrap().get(0);
    assert!((101..=110).contains(&looks), "{looks} looks into the index");
    fixture.drop_schema().await;
}

/// Servers that start at once make one schema; a schema from the future is refused.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_made_once_and_never_guessed() {
    for dialect in DIALECTS {
        let url = format!("{}&dialect={dialect}", shared_url());
        let starts: Vec<_> = (0..8).map(|_| tokio::spawn(Fixture::open_url(url.clone()))).collect();
        let mut fixtures = Vec::new();
        for start in starts {
            fixtures.push(start.await.unwrap());
        }
        for (number, fixture) in (1_u64..).zip(&fixtures) {
            let committed = version(fixture.store.commit(put("key", "value")).await);
            assert_eq!(committed.0 & ((1 << 43) - 1), number, "{dialect}");
        }
        let last = fixtures.pop().unwrap();
        for fixture in fixtures {
            fixture.store.close().await;
        }
        last.sql.batch_execute("UPDATE schema_version SET version = 99").await.unwrap();
        let options = PostgresOptions::parse(&url).unwrap();
        let refused = PostgresStore::connect(options, Arc::new(SystemClock::new())).await.err();
        assert!(
            matches!(refused, Some(ConnectError::SchemaTooNew { found: 99, .. })),
            "{refused:?}"
        );
        last.drop_schema().await;
    }
}

/// What looks first finds nothing and makes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_makes_no_schema() {
    for dialect in DIALECTS {
        let url = format!("{}&dialect={dialect}", shared_url());
        let look = async || {
            let options = PostgresOptions::parse(&url).unwrap();
            PostgresStore::open_existing(options, Arc::new(SystemClock::new())).await
        };
        for _ in 0..2 {
            assert!(look().await.unwrap().is_none(), "{dialect}");
        }
        let fixture = Fixture::open_url(url.clone()).await;
        version(fixture.store.commit(put("key", "value")).await);
        let found = look().await.unwrap().unwrap();
        let seen = value(&found, "key", ReadLevel::Latest).await;
        assert_eq!(seen.as_deref(), Some(&b"value"[..]), "{dialect}");
        found.close().await;
        for (version, told) in [(99, "version 99"), (0, "")] {
            let change = format!("UPDATE schema_version SET version = {version}");
            fixture.sql.batch_execute(&change).await.unwrap();
            let told_now = look().await.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                told_now.contains(told) && told_now.is_empty() == told.is_empty(),
                "{told_now}"
            );
        }
        fixture.drop_schema().await;
    }
}

/// Names that mean something else in SQL when they are not quoted.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_may_have_any_allowed_name() {
    for dialect in DIALECTS {
        for name in ["user", "order", "1st", "_", "123"] {
            let url = shared_url();
            let url = url.split_once("schema=").unwrap().0;
            let fixture = Fixture::open_url(format!("{url}schema={name}&dialect={dialect}")).await;
            version(fixture.store.commit(put("key", name)).await);
            let seen = value(&fixture.store, "key", ReadLevel::Latest).await;
            assert_eq!(seen.as_deref(), Some(name.as_bytes()), "{dialect}");
            fixture.drop_schema().await;
        }
    }
}
