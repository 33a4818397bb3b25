//! The local engine's own promises: nothing is answered before its sync, nothing acknowledged is
//! lost, a failed disk is never written again, and one process has the directory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod damage;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidelock_log::disk::faulty::{Faults, FaultyDisk};
use tidelock_log::disk::{Disk, FileDisk};
use tidelock_log::{Fence, LogOptions};
use tokio::task::{JoinHandle, JoinSet};

use super::backend::{IndexBackend, IndexFile};
use super::engine::INDEX_NAME;
use super::index::{FORMAT_KEY, LAST_COMMIT_KEY, ROWS, STORE};
use super::syncs::SyncMeter;
use super::{
    CommitObserver, FreeSpace, LocalOptions, LocalStore, LogSpace, OpenError, Space, SyncGate,
};
use crate::clock::ManualClock;
use crate::conformance::{self, CheckThenAct};
use crate::grouped::scan_grouped_by_skipping;
use crate::{
    Batch, Direction, Expect, Key, KeyRange, MetaError, MetaStore, OpId, Outcome, ReadLevel,
    SystemClock, Version,
};

/// Long enough for an answer that is given to arrive.
const PATIENCE: Duration = Duration::from_millis(50);

/// The log's, and nothing else.
const SYNCS_PER_GROUP: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let directory = TempDir::new().unwrap();
    conformance::run(Arc::new(open(directory.path()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_race_part_detects_a_check_before_the_commit() {
    let directory = TempDir::new().unwrap();
    let broken = Arc::new(CheckThenAct::new(open(directory.path())));
    assert!(conformance::one_winner_of_absent(broken.clone()).await.is_err());
    assert!(conformance::counters_lose_nothing(broken).await.is_err());
}

#[tokio::test]
async fn reopening_keeps_every_row_and_version() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for row in 0..300_u32 {
        committed(&store, put(row.to_string(), vec![b'v'; row as usize * 10])).await;
    }
    let before = all(&store).await;
    drop(store);
    let store = open(directory.path());
    assert_eq!(all(&store).await, before);
    let next = committed(&store, put("next", "")).await;
    assert_eq!(next, Version(301), "versions go on where they were");
}

/// A scan whose caller is gone still reads.
#[test]
fn closing_waits_for_the_last_reader() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let reader = store.rows().unwrap();
    let (closed, closing) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            store.close();
            closed.send(()).unwrap();
        });
        assert!(closing.recv_timeout(PATIENCE).is_err(), "closed while somebody reads");
        drop(reader);
        closing.recv().unwrap();
    });
    open(directory.path());
}

#[tokio::test]
async fn a_sync_that_is_held_holds_the_answer() {
    let held = Held::new();
    let answer = held.submit(put("key", "value"));
    held.sync_waits().await;
    tokio::time::sleep(PATIENCE).await;
    assert!(!answer.is_finished(), "answered before the sync");
    assert_eq!(all(&*held.store).await, [], "a row is visible before its sync");
    held.gate.release();
    assert_eq!(answer.await.unwrap(), Ok(Outcome::Committed(Version(1))));
    assert_eq!(all(&*held.store).await.len(), 1);
}

#[tokio::test]
async fn a_conflict_waits_for_the_sync_of_the_write_it_tells_of() {
    let held = Held::new();
    let first = held.submit(put("other", ""));
    held.sync_waits().await;
    let contenders =
        [held.submit(put_if_absent("key", "1")), held.submit(put_if_absent("key", "2"))];
    tokio::time::sleep(PATIENCE).await;
    for _ in 0..SYNCS_PER_GROUP {
        held.gate.let_one_pass();
        held.sync_waits().await;
    }
    assert!(first.await.unwrap().is_ok());
    tokio::time::sleep(PATIENCE).await;
    for contender in &contenders {
        assert!(!contender.is_finished(), "answered before the sync");
    }
    held.gate.release();
    let [winner, loser] = contenders;
    assert_eq!(winner.await.unwrap(), Ok(Outcome::Committed(Version(2))));
    assert_eq!(loser.await.unwrap(), Ok(Outcome::Conflict { first: 0 }));
}

#[tokio::test]
async fn a_conflict_with_what_is_durable_needs_no_sync() {
    let (observed, directory) = (Arc::new(Observed::default()), TempDir::new().unwrap());
    let mut options = options();
    options.observer = observed.clone();
    let store = LocalStore::open(directory.path(), options).unwrap();
    committed(&store, put("key", "")).await;
    let outcome = store.commit(put_if_absent("key", "")).await;
    assert_eq!(outcome, Ok(Outcome::Conflict { first: 0 }));
    store.close();
    assert_eq!(observed.batches.load(Ordering::Relaxed), 2);
    assert_eq!(observed.syncs.load(Ordering::Relaxed), SYNCS_PER_GROUP as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_share_their_syncs() {
    const WRITERS: u64 = 64;
    const COMMITS: u64 = 50;
    let (observed, directory) = (Arc::new(Observed::default()), TempDir::new().unwrap());
    let mut options = options();
    options.observer = observed.clone();
    let store = Arc::new(LocalStore::open(directory.path(), options).unwrap());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for commit in 0..COMMITS {
                committed(&*store, put(format!("{writer}/{commit}"), vec![0; 4096])).await;
            }
        });
    }
    writers.join_all().await;
    store.close();
    assert_eq!(observed.batches.load(Ordering::Relaxed), WRITERS * COMMITS);
    let syncs = observed.syncs.load(Ordering::Relaxed);
    assert!(syncs * 10 <= WRITERS * COMMITS, "{syncs} syncs for {} commits", WRITERS * COMMITS);
}

/// Cycles of locks leave nothing: what is over is cleaned away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_does_not_grow_with_what_is_over() {
    let (observed, directory) = (Arc::new(Observed::default()), TempDir::new().unwrap());
    let mut options = options();
    options.observer = observed.clone();
    let store = Arc::new(LocalStore::open(directory.path(), options).unwrap());
    for row in 0..100 {
        committed(&*store, put(format!("kept/{row}"), vec![b'k'; 60_000])).await;
    }
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let name = format!("lock/{writer}");
            for cycle in 0..60_u32 {
                committed(&*store, put_if_absent(&name, &format!("{cycle:060000}"))).await;
                let mut release = Batch::new(OpId([0; 16]));
                release.delete(key(name.clone()));
                committed(&*store, release).await;
            }
        });
    }
    writers.join_all().await;
    let space = *observed.space.lock().unwrap();
    assert!(space.live_bytes > 100 * 60_000, "{space:?}");
    // 236 MB were written; 16 MiB of garbage may stay, and three segments that wait to be let go, which is 48 MiB,
    // with what comes before the checkpoint.
    assert!(space.garbage_bytes < 96 << 20, "{space:?}");
    let rows = all(&*store).await;
    assert_eq!(rows.len(), 100);
    assert!(rows.iter().all(|(key, _, value)| key.starts_with(b"kept/") && value.len() == 60_000));
    store.close();
    assert_eq!(all(&open(directory.path())).await, rows);
}

/// What the disk does next, as the engine sees it.
const FAILURES: [Faults; 2] = [
    Faults { fail_sync_after: Some(0), ..NO_FAULTS },
    Faults { fail_write_after: Some(0), ..NO_FAULTS },
];

const NO_FAULTS: Faults = Faults {
    stop_after_changes: None,
    fail_sync_after: None,
    fail_write_after: None,
    fail_reads: false,
    fail_opens: false,
    capacity_bytes: None,
};

#[tokio::test]
async fn a_failed_disk_ends_commits_but_not_reads() {
    for failure in FAILURES {
        let disk = Arc::new(FaultyDisk::new(1));
        let (gate, directory) = (Arc::new(SyncGate::new()), TempDir::new().unwrap());
        let mut options = LocalOptions::new(Arc::new(ManualClock::new(0)));
        // A cache too small for the rows, so that reads need the disk.
        options.cache_bytes = 64 << 10;
        options.gate = Some(Arc::clone(&gate));
        let store = Arc::new(open_on(&disk, directory.path(), options));
        for row in 0..200 {
            committed(&*store, put(format!("{row:03}"), vec![b'v'; 8192])).await;
        }
        let before = all(&*store).await;
        assert!(store.is_writable());
        gate.hold();
        let queued = held_and_queued(&store, &gate).await;
        disk.set_faults(failure);
        gate.release();
        let [first, second] = queued.map(|answer| async { answer.await.unwrap() });
        let (first, second) = (first.await, second.await);
        assert!(first == Err(MetaError::Unknown) || first.is_ok(), "{first:?}");
        let is_told = matches!(second, Err(MetaError::Unavailable(_) | MetaError::Unknown));
        assert!(is_told, "{second:?}");
        let later = store.commit(put("later", "")).await;
        assert!(matches!(later, Err(MetaError::Unavailable(_))), "{later:?}");
        assert!(!store.is_writable());
        for _ in 0..3 {
            let now = all(&*store).await;
            assert_eq!(now[..before.len()], before, "reads go on");
        }
        store.close();
        disk.restart();
        let store = open_on(&disk, directory.path(), self::options());
        let kept = all(&store).await;
        assert_eq!(kept[..before.len()], before, "what was acknowledged is kept");
        let undecided = |(key, ..): &(Key, Version, Bytes)| key == "in flight" || key == "queued";
        assert!(kept[before.len()..].iter().all(undecided), "{kept:?}");
        committed(&store, put("after", "")).await;
    }
}

/// One commit whose sync waits, and one behind it.
async fn held_and_queued(
    store: &Arc<LocalStore>,
    gate: &SyncGate,
) -> [JoinHandle<Result<Outcome, MetaError>>; 2] {
    let submit = |batch| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.commit(batch).await })
    };
    let first = submit(put("in flight", ""));
    while !gate.is_waiting() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = submit(put("queued", ""));
    tokio::time::sleep(PATIENCE).await;
    [first, second]
}

#[tokio::test]
async fn a_full_disk_refuses_and_takes_commits_again_when_there_is_room() {
    let (disk, directory) = (Arc::new(FaultyDisk::new(1)), TempDir::new().unwrap());
    let store = open_on(&disk, directory.path(), options());
    committed(&store, put("kept", vec![1; 5000])).await;
    let before = all(&store).await;
    disk.set_faults(Faults { capacity_bytes: Some(disk.used_bytes()), ..NO_FAULTS });
    let refused = store.commit(put("refused", vec![2; 50_000])).await;
    assert!(matches!(refused, Err(MetaError::Unavailable(_))), "{refused:?}");
    assert!(store.is_writable());
    assert_eq!(all(&store).await, before);
    disk.set_faults(NO_FAULTS);
    committed(&store, put("taken", vec![3; 50_000])).await;
    drop(store);
    disk.restart();
    let keys = all(&open_on(&disk, directory.path(), options())).await;
    let keys: Vec<_> = keys.into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["kept", "taken"]);
}

#[tokio::test]
async fn the_index_is_made_again_from_the_log() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for row in 0..300_u32 {
        committed(&store, put(row.to_string(), vec![b'v'; row as usize * 10])).await;
        let mut gone = Batch::new(OpId([0; 16]));
        gone.delete(key((row / 2).to_string()));
        committed(&store, gone).await;
    }
    let before = all(&store).await;
    drop(store);
    std::fs::remove_file(directory.path().join(INDEX_NAME)).unwrap();
    let store = open(directory.path());
    assert_eq!(all(&store).await, before);
    assert_eq!(committed(&store, put("next", "")).await, Version(601));
}

/// Makes a store of format 1, which had no log: `version:u64 | value` in the index.
fn fill_format_1(disk: &dyn Disk, rows: u64, value_bytes: usize) -> Vec<(Key, Version, Bytes)> {
    let syncs = Arc::new(SyncMeter::new(Arc::new(ManualClock::new(0)), None));
    let fence = Arc::new(Fence::take(disk, &LogOptions::new(0)).unwrap());
    let file = Arc::new(IndexFile::new(disk.create(INDEX_NAME).unwrap(), fence, syncs).unwrap());
    let backend = IndexBackend(Arc::clone(&file));
    let database = redb::Builder::new().create_with_backend(backend).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut expected = Vec::new();
    {
        let mut table = transaction.open_table(ROWS).unwrap();
        for row in 0..rows {
            let value = vec![b'v'; row as usize % value_bytes];
            let name = format!("{row:06}");
            let stored = [&(row + 1).to_be_bytes()[..], &value].concat();
            table.insert(name.as_bytes(), &stored[..]).unwrap();
            expected.push((key(name), Version(row + 1), Bytes::from(value)));
        }
        let mut store = transaction.open_table(STORE).unwrap();
        store.insert(FORMAT_KEY, 1).unwrap();
        store.insert(LAST_COMMIT_KEY, rows + 7).unwrap();
    }
    file.during_checkpoint(|| transaction.commit()).unwrap();
    disk.sync().unwrap();
    expected
}

#[tokio::test]
async fn a_store_of_format_1_is_taken_over() {
    let directory = TempDir::new().unwrap();
    let disk = FileDisk::new(directory.path());
    let expected = fill_format_1(&disk, 2000, 2000);
    // What is left of one that was cut off.
    disk.create("0000000000000001.log").unwrap().write_at(&[7; 10_000], 0).unwrap();
    let store = open(directory.path());
    assert_eq!(all(&store).await, expected);
    assert_eq!(committed(&store, put("next", "")).await, Version(2008));
    drop(store);
    assert_eq!(all(&open(directory.path())).await.len(), 2001);
}

/// Until the last of it is durable the old store is there, and from then on the new one.
#[tokio::test]
async fn taking_over_a_store_of_format_1_may_be_cut_off_anywhere() {
    let mut finished = 0;
    for changes in (0..200).step_by(3) {
        let (disk, directory) = (Arc::new(FaultyDisk::new(changes)), TempDir::new().unwrap());
        // More than a segment.
        let expected = fill_format_1(&*disk, 600, 60_000);
        disk.set_faults(Faults { stop_after_changes: Some(changes), ..NO_FAULTS });
        let opened = LocalStore::open_on(disk.clone(), directory.path(), None, options());
        finished += u64::from(opened.is_ok());
        disk.cut_power();
        drop(opened);
        let store = open_on(&disk, directory.path(), options());
        assert_eq!(all(&store).await, expected, "cut off after {changes} changes");
        store.close();
        disk.cut_power();
        assert_eq!(all(&open_on(&disk, directory.path(), options())).await, expected);
    }
    assert!(finished > 0, "none was cut off after its end");
}

/// Groups are the same, however many rows they have.
#[tokio::test]
async fn rows_are_grouped_as_by_plain_scans() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for group in 0..40_u32 {
        let mut rows = Batch::new(OpId([0; 16]));
        for row in 0..group {
            rows.put(
                key(format!("r/{group:02}/{row}")),
                Bytes::from(vec![b'v'; 60 * group as usize]),
            );
        }
        rows.put(key(format!("r/{group:02}")), Bytes::new());
        rows.put(Bytes::from(vec![b'r', b'/', 0xFF, 0xFF, group as u8]), Bytes::new());
        committed(&store, rows).await;
    }
    for (prefix, skip, delimiter) in [
        ("", 2, "/"),
        ("r/", 2, "/"),
        ("r/", 3, "1"),
        ("r/3", 3, "/"),
        ("r/39/", 5, "/"),
        ("r/", 2, ""),
        ("s", 1, "/"),
    ] {
        for limit in [0, 1, 2, 7, 64, 1000] {
            let (range, level) = (KeyRange::prefix(prefix.as_bytes()), ReadLevel::Latest);
            let delimiter = delimiter.as_bytes();
            let plain =
                scan_grouped_by_skipping(&store, range.clone(), skip, delimiter, limit, level);
            let groups = store.scan_grouped(range, skip, delimiter, limit, level);
            assert_eq!(groups.await, plain.await, "{prefix:?}, {delimiter:?}, {limit}");
        }
    }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let held = Held::with(|options| options.queue_batches_max = 2);
    let mut answers = vec![held.submit(put("0", ""))];
    held.sync_waits().await;
    answers.extend(["1", "2"].map(|key| held.submit(put(key, ""))));
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(held.store.commit(put("3", "")).await, Err(MetaError::Overloaded));
    held.gate.release();
    for answer in answers {
        assert!(answer.await.unwrap().is_ok());
    }
    committed(&*held.store, put("3", "")).await;
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_frees_the_directory() {
    let held = Held::new();
    let answers = ["0", "1", "2"].map(|key| held.submit(put(key, "")));
    held.sync_waits().await;
    tokio::time::sleep(PATIENCE).await;
    held.store.close();
    for answer in answers {
        assert!(answer.await.unwrap().is_ok());
    }
    let late = held.store.commit(put("late", "")).await;
    assert!(matches!(late, Err(MetaError::Unavailable(_))), "{late:?}");
    let read = held.store.get(&[key("0")], ReadLevel::Latest).await;
    assert!(matches!(read, Err(MetaError::Unavailable(_))), "{read:?}");
    assert_eq!(all(&open(held.directory.path())).await.len(), 3);
}

#[tokio::test]
async fn a_second_open_is_refused() {
    let directory = TempDir::new().unwrap();
    let _store = open(directory.path());
    let second = LocalStore::open(directory.path(), options()).map(|_| ());
    assert!(matches!(second, Err(OpenError::AlreadyOpen)), "{second:?}");
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_begun_again() {
    let directory = TempDir::new().unwrap();
    // What redb leaves when it is killed between making its file and finishing it.
    let unfinished = directory.path().join("meta.redb.new");
    std::fs::write(&unfinished, vec![0; 10_000]).unwrap();
    let store = open(directory.path());
    assert!(!unfinished.exists());
    committed(&store, put("key", "")).await;
    drop(store);
    assert_eq!(all(&open(directory.path())).await.len(), 1);
}

#[tokio::test]
async fn a_disk_that_runs_full_refuses_large_batches_first_and_takes_them_again() {
    const MIB: u64 = 1 << 20;
    struct Disk(Mutex<Space>);
    impl FreeSpace for Disk {
        fn space(&self, _directory: &Path) -> io::Result<Space> {
            Ok(*self.0.lock().unwrap())
        }
    }
    let empty = Space { free_bytes: 0, total_bytes: 0 };
    let (disk, directory) = (Arc::new(Disk(Mutex::new(empty))), TempDir::new().unwrap());
    let mut options = options();
    options.space = disk.clone();
    let store = LocalStore::open(directory.path(), options).unwrap();
    for (total_mib, free_mib, takes_small, takes_large) in [
        (100_000, 1024, true, true),
        (100_000, 100, true, false),
        (100_000, 10, false, false),
        (100_000, 0, false, false),
        (64, 60, true, true),
        (64, 7, true, false),
        (64, 3, false, false),
        (100_000, 1024, true, true),
    ] {
        let (free_bytes, total_bytes) = (free_mib * MIB, total_mib * MIB);
        *disk.0.lock().unwrap() = Space { free_bytes, total_bytes };
        for (takes, value_bytes) in [(takes_small, 1 << 10), (takes_large, 60 << 10)] {
            let answer = store.commit(put("key", vec![0; value_bytes])).await;
            let is_right = if takes {
                matches!(answer, Ok(Outcome::Committed(_)))
            } else {
                matches!(answer, Err(MetaError::Unavailable(_)))
            };
            assert!(is_right, "{free_bytes} bytes free, {value_bytes} bytes: {answer:?}");
        }
        assert!(store.is_writable());
    }
}

#[tokio::test]
async fn a_newer_format_and_a_foreign_file_are_refused() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join(INDEX_NAME);
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let store = redb::TableDefinition::<&str, u64>::new("store");
    transaction.open_table(store).unwrap().insert("format", 3).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let newer = LocalStore::open(directory.path(), options()).map(|_| ());
    assert!(matches!(newer, Err(OpenError::FormatTooNew { found: 3, known: 2 })), "{newer:?}");

    // With a log it is made again.
    std::fs::write(&file, vec![b'x'; 10_000]).unwrap();
    let store = open(directory.path());
    assert_eq!(all(&store).await, []);
    drop(store);
    assert!(directory.path().join("meta.redb.damaged").exists());

    let foreign = TempDir::new().unwrap();
    std::fs::write(foreign.path().join(INDEX_NAME), vec![b'x'; 10_000]).unwrap();
    let foreign = LocalStore::open(foreign.path(), options()).map(|_| ());
    assert!(matches!(foreign, Err(OpenError::Corrupt(_))), "{foreign:?}");

    let unfinished = TempDir::new().unwrap();
    std::fs::write(unfinished.path().join("unfinished"), "").unwrap();
    let unfinished = LocalStore::open(unfinished.path(), options()).map(|_| ());
    assert!(matches!(unfinished, Err(OpenError::Corrupt(_))), "{unfinished:?}");
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_panicked() {
    struct Panics;
    impl CommitObserver for Panics {
        fn group_committed(&self, _batches: usize, _sync_time: Duration, _syncs: u64) {
            panic!("on purpose");
        }

        fn log_measured(&self, _space: LogSpace) {}
    }
    let directory = TempDir::new().unwrap();
    let mut options = options();
    options.observer = Arc::new(Panics);
    let store = LocalStore::open(directory.path(), options).unwrap();
    committed(&store, put("key", "")).await;
    let later = store.commit(put("later", "")).await;
    assert!(matches!(later, Err(MetaError::Unavailable(_))), "{later:?}");
    assert_eq!(all(&store).await.len(), 1);
}

/// A store whose syncs wait at a gate.
struct Held {
    store: Arc<LocalStore>,
    gate: Arc<SyncGate>,
    directory: TempDir,
}

impl Held {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut LocalOptions)) -> Self {
        let (gate, directory) = (Arc::new(SyncGate::new()), TempDir::new().unwrap());
        // Its time stands still: no group is waited for.
        let mut options = LocalOptions::new(Arc::new(ManualClock::new(0)));
        options.gate = Some(Arc::clone(&gate));
        change(&mut options);
        let store = Arc::new(LocalStore::open(directory.path(), options).unwrap());
        gate.hold();
        Self { store, gate, directory }
    }

    fn submit(&self, batch: Batch) -> JoinHandle<Result<Outcome, MetaError>> {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move { store.commit(batch).await })
    }

    async fn sync_waits(&self) {
        while !self.gate.is_waiting() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[derive(Default)]
struct Observed {
    batches: AtomicU64,
    syncs: AtomicU64,
    space: Mutex<LogSpace>,
}

impl CommitObserver for Observed {
    fn group_committed(&self, batches: usize, _sync_time: Duration, syncs: u64) {
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
        self.syncs.fetch_add(syncs, Ordering::Relaxed);
    }

    fn log_measured(&self, space: LogSpace) {
        *self.space.lock().unwrap() = space;
    }
}

fn options() -> LocalOptions {
    LocalOptions::new(Arc::new(SystemClock::new()))
}

fn open_on(disk: &Arc<FaultyDisk>, path: &Path, options: LocalOptions) -> LocalStore {
    LocalStore::open_on(disk.clone(), path, None, options).unwrap()
}

fn open(directory: &Path) -> LocalStore {
    LocalStore::open(directory, options()).unwrap()
}

fn key(text: impl Into<String>) -> Key {
    Bytes::from(text.into())
}

fn put(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Batch {
    let mut batch = Batch::new(OpId([0; 16]));
    batch.put(key(name), Bytes::from(value.into()));
    batch
}

fn put_if_absent(name: &str, value: &str) -> Batch {
    let mut batch = put(name, value);
    batch.checks.push((key(name), Expect::Absent));
    batch
}

async fn committed(store: &dyn MetaStore, batch: Batch) -> Version {
    match store.commit(batch).await.unwrap() {
        Outcome::Committed(version) => version,
        Outcome::Conflict { first } => panic!("check {first} failed"),
    }
}

async fn all(store: &dyn MetaStore) -> Vec<(Key, Version, Bytes)> {
    let range = KeyRange::prefix(b"");
    let rows = store.scan(range, 100_000, Direction::Forward, ReadLevel::Latest).await.unwrap();
    rows.into_iter().map(|(key, row)| (key, row.version, row.value)).collect()
}
