//! What the disk is asked for, counted from outside: syncs by strace, bytes by the block device.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{print_measured, stop};
use crate::harness::clock::wait_until;
use crate::harness::load::Puts;
use crate::harness::metrics::{metric, metrics};
use crate::harness::{Ask, Image, Server, count_from_env};

const BUCKET: &str = "counted";
const CLIENTS: usize = 64;
const SYNCS_PER_CHECKPOINT_MAX: usize = 3;
/// Groups that are written where no metric shows them: at the start and at the stop.
const GROUPS_UNSEEN_MAX: usize = 12;
/// Entries of the audit log that one commit moves into its chain, at least: some wait for the end.
const ENTRIES_PER_SEALING_MIN: usize = 40;
/// Syncs for each segment that is begun: of the one before, of its header.
const SYNCS_PER_SEGMENT: usize = 2;
const TRACE_TIMEOUT: Duration = Duration::from_secs(20);
const IMAGE_BYTES: u64 = 4 << 30;
/// What is stored of an object besides its body.
const RECORD_BYTES: usize = 300;

/// One sync for a group of commits, and at most three for a checkpoint.
#[test]
fn a_group_is_one_sync_and_a_checkpoint_at_most_three() {
    if !super::has_strace() {
        return super::print_left_out("syncs counted by strace: there is no strace");
    }
    let (data, traces) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = traces.path().join("trace");
    let output = file.to_str().unwrap();
    let server =
        Server::start_traced(data.path(), &["-y", "-e", "trace=fdatasync,fsync", "-o", output]);
    server.make_bucket(BUCKET, "");
    let puts = Puts { bucket: BUCKET, clients: CLIENTS, each: 60, length_bytes: 4096 };
    puts.send(&server.root());
    let page = metrics(&server.root());
    let groups = metric(&page, "tidelock_meta_commit_batch_size_count") as usize;
    let segments = metric(&page, "tidelock_log_segments") as usize;
    stop(server);
    let traced = Traced::read(&file);
    let unseen = GROUPS_UNSEEN_MAX + puts.count() / ENTRIES_PER_SEALING_MIN;
    let limit = groups + unseen + SYNCS_PER_SEGMENT * segments;
    assert!(traced.of_log <= limit, "{traced:?} for {groups} groups in {segments} segments");
    assert!(traced.of_log >= groups / 2, "{traced:?}: the trace is not whole");
    assert!(traced.longest_run <= SYNCS_PER_CHECKPOINT_MAX, "{traced:?}");
    let per_put = (traced.of_log + traced.others) as f64 / puts.count() as f64;
    print_measured(&format!("{traced:?} for {groups} groups; {per_put:.4} syncs a PUT, traced"));
}

/// The syncs of the thread that writes.
#[derive(Debug, Default)]
struct Traced {
    /// Of segments of the log.
    of_log: usize,
    /// Of the index and of the directory: checkpoints, and segments that are begun or let go.
    others: usize,
    /// Most of those with none of the log between.
    longest_run: usize,
}

impl Traced {
    fn read(file: &Path) -> Self {
        wait_until("the trace is whole", TRACE_TIMEOUT, || {
            fs::read_to_string(file).unwrap().contains("fdatasync")
        });
        let text = fs::read_to_string(file).unwrap();
        let mut threads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains("sync(")) {
            let (thread, call) = line.split_once(' ').unwrap();
            threads.entry(thread).or_default().push(call);
        }
        let is_of_log = |call: &&str| call.contains(".log>");
        let of_writer = |calls: &&Vec<&str>| calls.iter().filter(|call| is_of_log(call)).count();
        let calls = threads.values().max_by_key(of_writer).unwrap();
        let (mut traced, mut run) = (Self::default(), 0);
        for call in calls {
            if is_of_log(call) {
                traced.of_log += 1;
                run = 0;
            } else {
                traced.others += 1;
                run += 1;
                traced.longest_run = traced.longest_run.max(run);
            }
        }
        traced
    }
}

/// A load, and how many times its bodies and records the device and the log may be written.
struct Row {
    length_bytes: usize,
    each: usize,
    device_max: f64,
    log_max: f64,
}

const ROWS: &[Row] = &[
    Row { length_bytes: 4 << 10, each: 150, device_max: 1.5, log_max: 1.15 },
    Row { length_bytes: 64 << 10, each: 40, device_max: 1.1, log_max: 1.1 },
];

/// What a sync costs besides, however much it makes durable: a commit of the file system's journal, and the rest of
/// a page of the log. How many commits share a sync is up to the machine.
const DEVICE_BYTES_PER_SYNC: f64 = 32.0 * 1024.0;
const LOG_BYTES_PER_SYNC: f64 = 4096.0;

/// What reaches the device for a PUT, with checkpoints, audit and the journal of the file system.
#[test]
fn the_device_is_written_little_more_than_bodies_are_long() {
    let mut missed = Vec::new();
    for row in ROWS {
        let what = "bytes written to a device of its own";
        let Some(image) = Image::or_left_out(IMAGE_BYTES, what) else { return };
        let server = Server::start_local(&image.path().join("data"));
        let root = server.root();
        server.make_bucket(BUCKET, "");
        root.send(&Ask::object("PUT", BUCKET, "warm").body("up")).expect(200);
        let count = |name| metric(&metrics(&root), name);
        let (log_bytes, syncs) =
            (|| count("tidelock_log_bytes"), || count("tidelock_meta_syncs_total"));
        let (device_before, log_before, syncs_before) =
            (image.bytes_written(), log_bytes(), syncs());
        let times = count_from_env("TIDELOCK_CRASH_COST_TIMES", 1);
        let (each, length_bytes) = (row.each * times, row.length_bytes);
        let puts = Puts { bucket: BUCKET, clients: CLIENTS, each, length_bytes };
        puts.send(&root);
        let (log, syncs) = (log_bytes() - log_before, syncs() - syncs_before);
        stop(server);
        let device = (image.bytes_written() - device_before) as f64;
        let stored = (puts.count() * (row.length_bytes + RECORD_BYTES)) as f64;
        let (device, log) = (device / stored, log / stored);
        let line = format!(
            "{} PUTs of {} bytes: {device:.3} times their bytes at the device, \
             {log:.3} in the log, {:.4} syncs each",
            puts.count(),
            row.length_bytes,
            syncs / puts.count() as f64
        );
        print_measured(&line);
        let device_max = row.device_max + syncs * DEVICE_BYTES_PER_SYNC / stored;
        let log_max = row.log_max + syncs * LOG_BYTES_PER_SYNC / stored;
        if device > device_max || log > log_max {
            missed.push(line);
        }
    }
    assert!(missed.is_empty(), "above their limits:\n{}", missed.join("\n"));
}
