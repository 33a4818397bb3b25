//! Locks that come and go leave nothing behind: the log is cleaned, the index reuses its pages, the audit log
//! keeps to its size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::{instant, wait_until};
use crate::harness::metrics::{metric, metrics};
use crate::harness::process::disk_bytes;
use crate::harness::{Ask, Client, Engine, Server, count_from_env};
use crate::print_measured;

const CYCLES_DEFAULT: usize = 5_000;
const CLIENTS: usize = 16;
/// One in so many cycles comes before the start: the audit log has its size then, and the log its share of garbage.
const WARM_PART: usize = 10;
/// A signature is valid for 15 minutes; signing each request would measure the client.
const CYCLES_PER_SIGNATURE: usize = 1000;
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const AUDIT_BYTES_MAX: &str = "--audit-bytes-max=16777216";
/// The cleaning works in pauses.
const CLEANING_TIMEOUT: Duration = Duration::from_secs(60);
const BUCKET: &str = "locks";
const MIB: f64 = (1 << 20) as f64;

#[test]
fn lock_cycles_leave_no_growth() {
    let cycles = count_from_env("TIDELOCK_VOLUME_CYCLES", CYCLES_DEFAULT);
    let data = TempDir::new().unwrap();
    let server = Server::start_over(&Engine::Local, data.path(), &[AUDIT_BYTES_MAX]);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    cycle(&root, cycles / WARM_PART, || 0);
    let (bytes_before, usage_before) = (disk_bytes(data.path()), server.usage());
    let began = instant();
    let most = cycle(&root, cycles, || disk_bytes(data.path()));
    let (took, usage) = (began.elapsed(), server.usage());
    wait_until("the log is clean", CLEANING_TIMEOUT, || {
        metric(&metrics(&root), "tidelock_log_cleaning") == 0.0
    });
    let bytes = disk_bytes(data.path());
    let index = std::fs::metadata(data.path().join("meta/meta.redb")).unwrap().len();
    print_measured(&format!(
        "{cycles} lock cycles: from {:.1} MiB to {:.1} MiB (at most {:.1}), the index {:.1} MiB; {:.0} MB \
         resident; {:.1} µs of CPU a cycle; {:.0} s",
        bytes_before as f64 / MIB,
        bytes as f64 / MIB,
        most as f64 / MIB,
        index as f64 / MIB,
        usage.resident_bytes as f64 / 1e6,
        (usage.cpu - usage_before.cpu).as_secs_f64() * 1e6 / cycles as f64,
        took.as_secs_f64()
    ));
    let growth = bytes.saturating_sub(bytes_before);
    assert!(growth <= GROWTH_BYTES_MAX, "{growth} bytes more");
}

/// Takes and gives back locks from many clients; the most that `watched` was meanwhile.
fn cycle(root: &Client, cycles: usize, watched: impl Fn() -> u64) -> u64 {
    const WATCH_INTERVAL: Duration = Duration::from_millis(500);
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (root, done) = (root.clone(), Arc::clone(&done));
            thread::spawn(move || {
                cycle_one(&root, client, cycles / CLIENTS);
                done.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    let mut most = 0;
    while done.load(Ordering::SeqCst) < CLIENTS && !clients.iter().all(|it| it.is_finished()) {
        most = most.max(watched());
        thread::sleep(WATCH_INTERVAL);
    }
    for client in clients {
        client.join().unwrap();
    }
    most.max(watched())
}

fn cycle_one(root: &Client, client: usize, cycles: usize) {
    let (mut session, key) = (root.session(), format!("states/{client}.tfstate.tflock"));
    let lock = Ask::object("PUT", BUCKET, &key).header("If-None-Match", "*");
    let lock = lock.body(format!(r#"{{"ID":"{client:036}","Operation":"OperationTypeApply"}}"#));
    let unlock = Ask::object("DELETE", BUCKET, &key);
    let mut wires = Vec::new();
    for cycle in 0..cycles {
        if cycle % CYCLES_PER_SIGNATURE == 0 {
            wires = vec![root.wire(&lock), root.wire(&unlock)];
        }
        session.try_send_wire(&wires[0], false).unwrap().expect(200);
        session.try_send_wire(&wires[1], false).unwrap().expect(204);
    }
}
