//! Many writers over several servers that go on through every failure, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{RECOVERY_TIMEOUT, seed};
use crate::harness::chance::Chance;
use crate::harness::clock::{instant, wait_until};
use crate::harness::{Ask, Client, Session};
use crate::ledger::{Entry, Ledger};
use crate::writer;

const WRITERS: usize = 32;
/// After an answer that tells nothing, as a client does.
const PAUSE: Duration = Duration::from_millis(50);
/// One in so many acknowledged changes is read back at the next server.
const READ_BACK_ONE_IN: u64 = 4;
/// So many acknowledgements are a load, and not the tail of one.
const PROGRESS_CHANGES: usize = 2 * WRITERS;
const PROGRESS_READS: usize = PROGRESS_CHANGES / READ_BACK_ONE_IN as usize;

/// Writers at work.
pub(super) struct Load {
    over: Arc<AtomicBool>,
    progress: Arc<Progress>,
    writers: Vec<JoinHandle<Journal>>,
}

/// What all writers together have got through.
#[derive(Debug, Default)]
struct Progress {
    changes: AtomicUsize,
    reads: AtomicUsize,
}

/// What one writer did and saw.
#[derive(Default)]
struct Journal {
    entries: Vec<Entry>,
    acknowledged_at: Vec<Instant>,
    read_at: Vec<Instant>,
    /// Answers that were not true.
    wrong: Vec<String>,
}

/// What all of them did and saw.
pub(super) struct Harvest {
    ledger: Ledger,
    wrong: Vec<String>,
    acknowledged_at: Vec<Instant>,
    read_at: Vec<Instant>,
    unknown: usize,
}

impl Load {
    /// Lets all writers loose; each begins at one of the servers and goes to the next after a failure.
    pub(super) fn start(clients: &[Client], round: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(Progress::default());
        let writers = (0..WRITERS).map(|number| {
            let sessions: Vec<Session> = clients.iter().map(Client::session).collect();
            let (over, progress) = (Arc::clone(&over), Arc::clone(&progress));
            thread::spawn(move || {
                let mut writer = Writer::new(sessions, number, round, progress);
                writer.run(&over);
                writer.journal
            })
        });
        let writers = writers.collect();
        let load = Self { over, progress, writers };
        load.wait_for_progress("the load has begun");
        load
    }

    /// Waits until much was acknowledged and read that had not been when this was called.
    pub(super) fn wait_for_progress(&self, what: &str) {
        let now = || {
            let Progress { changes, reads } = &*self.progress;
            (changes.load(Ordering::SeqCst), reads.load(Ordering::SeqCst))
        };
        let (changes, reads) = now();
        wait_until(what, RECOVERY_TIMEOUT, || now().0 >= changes + PROGRESS_CHANGES);
        wait_until(what, RECOVERY_TIMEOUT, || now().1 >= reads + PROGRESS_READS);
    }

    /// Ends the load.
    pub(super) fn stop(self) -> Harvest {
        self.over.store(true, Ordering::SeqCst);
        let mut harvest = Harvest {
            ledger: Ledger::default(),
            wrong: Vec::new(),
            acknowledged_at: Vec::new(),
            read_at: Vec::new(),
            unknown: 0,
        };
        for writer in self.writers {
            let journal = writer.join().unwrap();
            harvest.unknown += journal.entries.iter().filter(|it| it.is_unknown()).count();
            harvest.ledger.extend(journal.entries);
            harvest.wrong.extend(journal.wrong);
            harvest.acknowledged_at.extend(journal.acknowledged_at);
            harvest.read_at.extend(journal.read_at);
        }
        harvest.acknowledged_at.sort();
        harvest.read_at.sort();
        harvest
    }
}

impl Harvest {
    /// Everything that was acknowledged is what every server shows, and nothing else was ever shown.
    pub(super) fn verify(&self, clients: &[Client]) {
        let mut wrong = self.wrong.clone();
        for client in clients {
            wrong.extend(self.ledger.verify_all(client));
        }
        assert!(wrong.is_empty(), "seed {}:\n{}", seed(), wrong.join("\n"));
    }

    /// Prints the longest times without an acknowledgement and without an answer to a read.
    #[allow(clippy::print_stdout, reason = "the measured outage is a result of the drill")]
    pub(super) fn print(&self, what: &str) {
        println!(
            "outage: {what}: {:.1} s of writes, {:.1} s of reads; {} acknowledged, {} unknown",
            longest_gap(&self.acknowledged_at).as_secs_f64(),
            longest_gap(&self.read_at).as_secs_f64(),
            self.ledger.acknowledged(),
            self.unknown
        );
    }
}

fn longest_gap(sorted: &[Instant]) -> Duration {
    sorted.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// One writer; nobody else writes its own keys.
struct Writer {
    sessions: Vec<Session>,
    /// The session in use.
    at: usize,
    number: usize,
    round: usize,
    /// After a change that may or may not come, its keys are left alone: it could come late.
    generation: usize,
    chance: Chance,
    progress: Arc<Progress>,
    journal: Journal,
}

impl Writer {
    fn new(sessions: Vec<Session>, number: usize, round: usize, progress: Arc<Progress>) -> Self {
        let at = number % sessions.len();
        let chance = Chance::new(seed() ^ ((round as u64) << 32) ^ ((number as u64) << 16));
        let journal = Journal::default();
        Self { sessions, at, number, round, generation: 0, chance, progress, journal }
    }

    fn run(&mut self, over: &AtomicBool) {
        for turn in 0_u64.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let known = self.change_one(turn);
            if !known {
                self.generation += 1;
                self.at = (self.at + 1) % self.sessions.len();
                thread::sleep(PAUSE);
            }
        }
    }

    /// Makes one change; whether its end is known.
    fn change_one(&mut self, turn: u64) -> bool {
        let own = format!("{}/{:02}/{}", self.round, self.number, self.generation);
        let (bucket, key, change) = writer::choose(&mut self.chance, self.round, &own, turn);
        let session = &mut self.sessions[self.at];
        let Ok(ask) = writer::last_request(session, bucket, &key, &change) else { return false };
        let entry = Entry::new(bucket, key.clone(), self.number, change, session.try_send(&ask));
        if entry.acknowledged() {
            self.journal.acknowledged_at.push(instant());
            self.progress.changes.fetch_add(1, Ordering::SeqCst);
            if !entry.is_contest() && self.chance.below(READ_BACK_ONE_IN) == 0 {
                self.read_back(bucket, &key, &entry);
            }
        }
        let known = !entry.is_unknown();
        self.journal.entries.push(entry);
        known
    }

    /// The next server (this one where the next is gone) shows what was acknowledged, or says that it
    /// cannot tell.
    fn read_back(&mut self, bucket: &str, key: &str, entry: &Entry) {
        let ask = Ask::object("GET", bucket, key);
        let next = (self.at + 1) % self.sessions.len();
        let answer = self.sessions[next].try_send(&ask);
        let Ok(answer) = answer.or_else(|_| self.sessions[self.at].try_send(&ask)) else { return };
        if answer.status >= 500 {
            return;
        }
        self.journal.read_at.push(instant());
        self.progress.reads.fetch_add(1, Ordering::SeqCst);
        if !entry.is_seen_in(&answer) {
            let (status, length) = (answer.status, answer.body.len());
            let wrong = format!("{entry:?}, but read as {status} with {length} bytes");
            self.journal.wrong.push(wrong);
        }
    }
}
