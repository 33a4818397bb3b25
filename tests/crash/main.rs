//! The crash lane: the server is killed with SIGKILL at random instants under many writers and started
//! again on the same data. Every acknowledged write must be there, byte for byte; nothing may have two
//! winners. `TIDELOCK_CRASH_KILLS` sets the kills (10 when unset), `TIDELOCK_CRASH_SEED` replays a run
//! (the instants are of the machine; the requests are of the seed).
//!
//! `disk` does to the disk of one server what disks do: the power is cut, it is full, a sync fails, bits flip; and counts
//! what reaches it.
//!
//! `failpoints` kill it at every moment of every act of the guard.
//!
//! `drills` break what several servers share: the primary of PostgreSQL, a server, the network between.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../harness/mod.rs"]
mod harness;

mod disk;
mod drills;
mod failpoints;
mod ledger;
mod orphans;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::chance::Chance;
use harness::{Server, count_from_env};
use ledger::Ledger;
use tempfile::TempDir;

const WRITERS: usize = 32;
const KILLS_DEFAULT: usize = 10;
const KILLS_PER_DOUBLE_KILL: usize = 4;
const LIFE_MS_MIN: u64 = 100;
const LIFE_MS_MAX: u64 = 900;

#[test]
fn acknowledged_writes_outlive_kill_9() {
    let kills = count_from_env("TIDELOCK_CRASH_KILLS", KILLS_DEFAULT);
    let seed = count_from_env("TIDELOCK_CRASH_SEED", 20_261_121) as u64;
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    make_buckets(&server);
    let mut chance = Chance::new(seed);
    let mut ledger = Ledger::default();
    for kill in 0..kills {
        let life = Duration::from_millis(chance.between(LIFE_MS_MIN, LIFE_MS_MAX));
        let written = write_until(&mut server, seed, kill, life, Server::kill);
        let acknowledged = written.iter().filter(|entry| entry.acknowledged()).count();
        assert!(acknowledged > 0 || kill > 0, "nothing was written before the first kill");
        ledger.extend(written);
        server = Server::start_on(data.path(), &[]);
        if kill % KILLS_PER_DOUBLE_KILL == 0 {
            // It may die again while it tidies up after the first time.
            server.kill();
            server = Server::start_on(data.path(), &[]);
        }
        let wrong = ledger.verify_recent(&server.root());
        assert!(wrong.is_empty(), "seed {seed}, kill {kill}:\n{}", wrong.join("\n"));
    }
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "seed {seed}, after all kills:\n{}", wrong.join("\n"));
    let acknowledged = ledger.acknowledged();
    assert!(acknowledged >= kills * WRITERS / 4, "too few writes to mean anything");
    disk::print_measured(&format!("{kills} kills: {acknowledged} acknowledged, 0 lost"));
}

/// Makes the buckets of the ledger.
fn make_buckets(server: &Server) {
    for (bucket, versioning) in [(ledger::PLAIN, ""), (ledger::VERSIONED, "Enabled")] {
        server.make_bucket(bucket, versioning);
    }
}

/// Lets all writers loose and ends the server's life after `life` (`end` must end it); all they did, in each
/// writer's order.
fn write_until(
    server: &mut Server,
    seed: u64,
    round: usize,
    life: Duration,
    end: impl FnOnce(&mut Server),
) -> Vec<ledger::Entry> {
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (client, over) = (server.root(), Arc::clone(&over));
            thread::spawn(move || writer::run(&client, seed, round, number, &over))
        })
        .collect();
    thread::sleep(life);
    end(server);
    over.store(true, Ordering::SeqCst);
    writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
}

/// The lane proves itself: what is taken away behind its back is missed.
#[test]
fn the_ledger_notices_a_loss() {
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    make_buckets(&server);
    let mut ledger = Ledger::default();
    let life = Duration::from_millis(500);
    ledger.extend(write_until(&mut server, 1, 0, life, Server::kill));
    let server = Server::start_on(data.path(), &[]);
    let root = server.root();
    assert_eq!(ledger.verify_all(&root), Vec::<String>::new());
    let mut missed = 0;
    for taken in ledger.some_acknowledged() {
        root.send(&taken).expect(204);
        missed += 1;
        let noticed = ledger.verify_all(&root).len();
        assert_eq!(noticed, missed, "{} {} went unnoticed", taken.method, taken.raw_path);
    }
    assert_eq!(missed, 2, "an object and a version");
}
