//! The engine on a disk that commits every fault of docs/faults.md, against a model, under a seed. A seed
//! that fails is named and fails again, with the same steps.
//!
//! `TIDELOCK_SIMULATION_SEEDS=10000` says how many seeds; `TIDELOCK_SIMULATION_SEED=7` runs that one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod copies;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tidelock_log::disk::Disk;
use tidelock_log::disk::faulty::{Chance, Faults, FaultyDisk};
use tidelock_log::{Finding, LogError, Sabotage, inspect, record_bytes};

use self::copies::Copies;
use super::OpenError;
use super::engine::{Engine, EngineOptions, GroupError, INDEX_NAME};
use super::index::Held;
use super::rows::Rows;
use super::syncs::SyncMeter;
use super::verify::verify_on;
use crate::clock::ManualClock;
use crate::{Batch, Direction, Expect, Key, KeyRange, MetaError, OpId, Outcome, Version, Write};

/// What is done under each seed.
const STEPS: usize = 240;

const SEEDS_DEFAULT: u64 = 100;

/// Within so many seeds, the simulation has to notice what was taken away.
const SABOTAGE_SEEDS: u64 = 1000;

/// Few keys, so that they meet.
const KEYS: u64 = 24;

/// Some values are in the index, some in the log alone.
const VALUE_BYTES_MAX: u64 = 4000;

/// Small, so that segments end, are cleaned and are used again.
const SEGMENT_BYTES: u32 = 320 << 10;
const GARBAGE_BYTES_MIN: u64 = 128 << 10;

#[test]
fn nothing_acknowledged_is_lost_whatever_the_disk_does() {
    if let Some(seed) = number("TIDELOCK_SIMULATION_SEED") {
        return check(seed, None).unwrap();
    }
    let seeds = number("TIDELOCK_SIMULATION_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut seen = Seen::default();
    thread::scope(|scope| {
        let share = |first: usize| (first as u64..seeds).step_by(threads);
        let spawn = |first| scope.spawn(move || run_all(share(first)));
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        workers.into_iter().for_each(|worker| seen.add(&worker.join().unwrap()));
    });
    seen.check();
}

fn run_all(seeds: impl Iterator<Item = u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let mut simulation = Simulation::new(seed, None);
        if let Err(wrong) = simulation.run() {
            panic!("TIDELOCK_SIMULATION_SEED={seed}: {wrong}");
        }
        seen.add(&simulation.seen);
    }
    seen
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    let run = |seed| {
        let mut simulation = Simulation::new(seed, None);
        simulation.run().unwrap();
        (simulation.seen, simulation.model, simulation.disk.syncs())
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn it_notices_what_is_taken_away() {
    for sabotage in [Sabotage::Sync, Sabotage::Checksum, Sabotage::Epoch] {
        let noticed = (0..SABOTAGE_SEEDS).find(|seed| check(*seed, Some(sabotage)).is_err());
        assert!(noticed.is_some(), "{sabotage:?} is taken away, and nothing is wrong");
    }
}

fn check(seed: u64, sabotage: Option<Sabotage>) -> Result<(), Wrong> {
    Simulation::new(seed, sabotage).run()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// What must not be.
#[derive(Debug)]
struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

macro_rules! ensure {
    ($holds:expr, $($what:tt)*) => {
        if !$holds {
            return Err(Wrong(format!($($what)*)));
        }
    };
}

/// How often what was to be tried has happened: a simulation that tries nothing finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    commits: u64,
    conflicts: u64,
    refused: u64,
    failed: u64,
    kills: u64,
    power_cuts: u64,
    undecided_kept: u64,
    undecided_lost: u64,
    rebuilt: u64,
    segments_dropped: u64,
    /// Checkpoints that let several go.
    dropped_together: u64,
    damage_found: u64,
    fenced: u64,
    /// Checkpoints that found no room.
    postponed: u64,
    /// Copies of the log that were opened, those of a time before among them, and groups that were copied and then lost.
    copies: u64,
    copies_of_before: u64,
    copies_cut: u64,
    copies_begun_again: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        let Self { commits, conflicts, refused, failed, kills, power_cuts, .. } = *other;
        self.commits += commits;
        self.conflicts += conflicts;
        self.refused += refused;
        self.failed += failed;
        self.kills += kills;
        self.power_cuts += power_cuts;
        self.undecided_kept += other.undecided_kept;
        self.undecided_lost += other.undecided_lost;
        self.rebuilt += other.rebuilt;
        self.segments_dropped += other.segments_dropped;
        self.dropped_together += other.dropped_together;
        self.damage_found += other.damage_found;
        self.fenced += other.fenced;
        self.postponed += other.postponed;
        self.copies += other.copies;
        self.copies_of_before += other.copies_of_before;
        self.copies_cut += other.copies_cut;
        self.copies_begun_again += other.copies_begun_again;
    }

    fn check(&self) {
        let Self { commits, conflicts, refused, failed, kills, power_cuts, .. } = *self;
        let Self { undecided_kept, undecided_lost, rebuilt, dropped_together, .. } = *self;
        for count in [commits, conflicts, refused, failed, kills, power_cuts] {
            assert!(count > 0, "{self:?}");
        }
        for count in [undecided_kept, undecided_lost, rebuilt, dropped_together] {
            assert!(count > 0, "{self:?}");
        }
        assert!(self.segments_dropped > 2 * dropped_together, "{self:?}");
        assert!(self.damage_found > 0 && self.fenced > 0 && self.postponed > 0, "{self:?}");
        assert!(
            self.copies > 0 && self.copies_of_before > 0 && self.copies_begun_again > 0,
            "{self:?}"
        );
    }
}

type Model = BTreeMap<Key, (Version, Bytes)>;

struct Simulation {
    disk: Arc<FaultyDisk>,
    options: EngineOptions,
    clock: Arc<ManualClock>,
    chance: Chance,
    running: Option<Running>,
    /// What every reader must see.
    model: Model,
    last_commit: u64,
    /// What the model is instead if the group is there that nobody was told of.
    undecided: Option<(Model, u64)>,
    copies: Copies,
    seen: Seen,
}

struct Running {
    engine: Engine,
    rows: Rows,
}

impl Simulation {
    fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let clock = Arc::new(ManualClock::new(0));
        let mut options = EngineOptions::new(seed, 1 << 20, Arc::clone(&clock) as _);
        options.log.segment_bytes = SEGMENT_BYTES;
        options.log.sabotage = sabotage;
        options.garbage_bytes_min = GARBAGE_BYTES_MIN;
        // Some let each segment go as soon as it is cleaned, some several at once.
        options.cleaned_bytes_max = seed / 8 % 4 * u64::from(SEGMENT_BYTES);
        // Some merge all the time, some at checkpoints only.
        options.index.memtable_rows_max = 1 << (seed % 8);
        Self {
            disk: Arc::new(FaultyDisk::new(seed)),
            options,
            clock,
            chance: Chance::new(!seed),
            running: None,
            model: Model::new(),
            last_commit: 0,
            undecided: None,
            copies: Copies::new(seed),
            seen: Seen::default(),
        }
    }

    fn run(&mut self) -> Result<(), Wrong> {
        self.start()?;
        for _ in 0..STEPS {
            self.step()?;
            if self.disk.is_stopped() || self.running.is_none() {
                self.end()?;
            }
            self.copy_some()?;
        }
        self.end()
    }

    fn step(&mut self) -> Result<(), Wrong> {
        match self.chance.below(100) {
            0..66 => self.commit(),
            66..74 => self.checkpoint(),
            74..80 => self.clean(),
            80..84 => self.read(),
            84..87 => self.end(),
            87 => self.restart_clean(),
            88..92 => {
                let stop_after_changes = Some(self.chance.below(40));
                self.set_faults(Faults { stop_after_changes, ..Faults::default() })
            }
            92 => {
                let fail_sync_after = Some(self.chance.below(6));
                self.set_faults(Faults { fail_sync_after, ..Faults::default() })
            }
            93 => {
                let fail_write_after = Some(self.chance.below(6));
                self.set_faults(Faults { fail_write_after, ..Faults::default() })
            }
            94 => {
                let capacity_bytes = Some(self.disk.used_bytes() + self.chance.below(64 << 10));
                self.set_faults(Faults { capacity_bytes, ..Faults::default() })
            }
            95 => self.set_faults(Faults::default()),
            96 => self.rot(),
            97 => self.lose_the_index(),
            98 => self.take_over(),
            _ => self.read_failing(),
        }
    }

    fn set_faults(&self, faults: Faults) -> Result<(), Wrong> {
        self.disk.set_faults(faults);
        Ok(())
    }

    /// Sets the clock forwards or back: the times of the log go forwards all the same.
    fn set_the_clock(&mut self) {
        self.clock = Arc::new(ManualClock::new(self.chance.below(1 << 20) as i64));
        self.options.clock = Arc::clone(&self.clock) as _;
    }

    /// Whether no group is of a time before that of the group before it.
    fn is_in_time(&self) -> Result<bool, Wrong> {
        let (mut last, mut goes_back) = (0, false);
        let inspected = inspect::<LogError>(&*self.disk, &mut |finding| {
            if let Finding::Group(group) = finding {
                goes_back |= group.time() < last;
                last = group.time();
            }
            Ok(())
        });
        inspected.map(|_| !goes_back).map_err(|error| Wrong(error.to_string()))
    }

    fn open(&self) -> Result<Running, OpenError> {
        let syncs = Arc::new(SyncMeter::new(Arc::new(ManualClock::new(0)), None));
        let held = Held { _lock: None, _released: mpsc::channel().0 };
        let disk: Arc<dyn Disk> = self.disk.clone();
        let engine = Engine::open(&disk, &self.options, &syncs, &held)?;
        let rows = Rows::new(engine.index(), engine.reader());
        Ok(Running { engine, rows })
    }

    /// Opens the store, which must succeed, and sees that nothing is missing.
    fn start(&mut self) -> Result<(), Wrong> {
        self.set_the_clock();
        let opened = self.open();
        let running = opened.map_err(|error| Wrong(format!("it does not open: {error}")))?;
        self.running = Some(running);
        self.read()
    }

    /// Ends the process, in one of the ways it can be ended, and starts it again; now and then twice.
    fn end(&mut self) -> Result<(), Wrong> {
        loop {
            // The process ends first: what its parts do when they are dropped reaches no disk.
            let running = self.running.take();
            if self.chance.one_in(2) {
                self.disk.cut_power();
                self.seen.power_cuts += 1;
            } else {
                self.disk.restart();
                self.seen.kills += 1;
            }
            drop(running);
            if self.chance.one_in(4) {
                let stop_after_changes = Some(self.chance.below(30));
                self.disk.set_faults(Faults { stop_after_changes, ..Faults::default() });
                // Cut off while it starts: whatever it says, it is started again.
                drop(self.open());
                continue;
            }
            ensure!(self.is_sound()?, "it is not sound after its end");
            return self.start();
        }
    }

    fn restart_clean(&mut self) -> Result<(), Wrong> {
        self.stop_clean();
        self.disk.restart();
        ensure!(self.is_sound()?, "it is not sound");
        ensure!(self.is_in_time()?, "the time goes back");
        self.start()
    }

    /// Whether all that is on the disk is what was written, read without the engine.
    fn is_sound(&self) -> Result<bool, Wrong> {
        let disk: Arc<dyn Disk> = self.disk.clone();
        match verify_on(&disk, Arc::new(ManualClock::new(0))) {
            Ok(found) => Ok(found.is_sound()),
            Err(OpenError::FormatTooNew { .. }) => Ok(false),
            Err(error) => Err(Wrong(format!("cannot be verified: {error}"))),
        }
    }

    /// Stops as a store that is closed does. False when the disk did not let it: then the last group may look
    /// like one that was never finished, if it rots.
    fn stop_clean(&mut self) -> bool {
        let Some(mut running) = self.running.take() else { return false };
        running.engine.make_checkpoint().is_ok() && !running.engine.is_behind()
    }

    fn commit(&mut self) -> Result<(), Wrong> {
        self.clock.advance(Duration::from_millis(100));
        let mut model = self.model.clone();
        let mut last_commit = self.last_commit;
        let mut batches = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.chance.below(4) {
            let batch = self.batch(&model);
            expected.push(apply(&batch, &mut model, &mut last_commit));
            batches.push(batch);
        }
        let Some(running) = &mut self.running else { return Ok(()) };
        match running.engine.commit(&batches) {
            Ok(outcomes) => {
                let is_merged = running.engine.merge_some().is_ok();
                ensure!(outcomes == expected, "{outcomes:?} and not {expected:?}");
                let is_conflict = |outcome: &&Outcome| matches!(outcome, Outcome::Conflict { .. });
                self.seen.conflicts += outcomes.iter().filter(is_conflict).count() as u64;
                self.seen.commits += 1;
                (self.model, self.last_commit) = (model, last_commit);
                self.copies.note(running.engine.time(), &self.model);
                if !is_merged {
                    self.read_while_failed()?;
                    self.running = None;
                } else if running.engine.needs_checkpoint() {
                    self.checkpoint()?;
                }
            }
            Err(GroupError::Refused(_)) => {
                self.seen.refused += 1;
                self.read()?;
            }
            Err(GroupError::Failed(_)) => {
                self.seen.failed += 1;
                self.read_while_failed()?;
                self.running = None;
                self.undecided = Some((model, last_commit));
            }
        }
        Ok(())
    }

    /// One to three writes, with checks that hold, mostly.
    fn batch(&mut self, model: &Model) -> Batch {
        let mut batch = Batch::new(OpId([0; 16]));
        for _ in 0..=self.chance.below(3) {
            let key = Bytes::from(format!("key {:02}", self.chance.below(KEYS)));
            if batch.writes.iter().any(|write| *write.key() == key) {
                continue;
            }
            let version = model.get(&key).map(|(version, _)| *version);
            match self.chance.below(8) {
                0 => batch.checks.push((key.clone(), Expect::Absent)),
                1 => batch.checks.push((key.clone(), Expect::At(Version(self.last_commit)))),
                2..4 => {
                    let expect = version.map_or(Expect::Absent, Expect::At);
                    batch.checks.push((key.clone(), expect));
                }
                _ => {}
            }
            if self.chance.one_in(4) {
                batch.delete(key);
            } else {
                let value = self.value();
                batch.put(key, value);
            }
        }
        batch
    }

    fn value(&mut self) -> Bytes {
        let len = self.chance.below(VALUE_BYTES_MAX) as usize;
        let seed = self.chance.number();
        (0..len).map(|at| (seed >> (at % 8 * 8)) as u8 ^ at as u8).collect()
    }

    fn checkpoint(&mut self) -> Result<(), Wrong> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let segments = running.engine.segments();
        // Some of the way to it, or all.
        let mut way = self.chance.below(4);
        let mut approached = Ok(false);
        while way > 0 && approached == Ok(false) {
            approached = running.engine.approach_checkpoint();
            way -= 1;
        }
        if approached.and_then(|_| running.engine.make_checkpoint()).is_err() {
            self.read_while_failed()?;
            self.running = None;
            return Ok(());
        }
        self.seen.postponed += u64::from(running.engine.file().is_behind());
        let dropped = segments.saturating_sub(running.engine.segments());
        self.seen.segments_dropped += dropped;
        self.seen.dropped_together += u64::from(dropped > 1);
        Ok(())
    }

    fn clean(&mut self) -> Result<(), Wrong> {
        let Some(running) = &mut self.running else { return Ok(()) };
        match running.engine.commit(&[]) {
            Ok(outcomes) => ensure!(outcomes.is_empty(), "{outcomes:?}"),
            Err(GroupError::Refused(_)) => self.seen.refused += 1,
            Err(GroupError::Failed(_)) => self.running = None,
        }
        Ok(())
    }

    /// Reads everything. What was undecided is decided by the first reader, and stays so.
    fn read(&mut self) -> Result<(), Wrong> {
        let Some(running) = &self.running else { return Ok(()) };
        let found = match all(&running.rows) {
            Ok(found) => found,
            Err(_) if self.disk.is_stopped() => return Ok(()),
            Err(error) => return Err(Wrong(format!("cannot be read: {error}"))),
        };
        if let Some((model, last_commit)) = self.undecided.take() {
            if found == model && model != self.model {
                self.seen.undecided_kept += 1;
                (self.model, self.last_commit) = (model, last_commit);
            } else {
                self.seen.undecided_lost += 1;
            }
        }
        ensure!(found == self.model, "{}", difference(&self.model, &found));
        self.copies.note(running.engine.time(), &self.model);
        self.last_commit = self.last_commit.max(running.engine.last_commit());
        let bytes = |(key, (_, value)): (&Key, &(Version, Bytes))| record_bytes(key, value.len());
        let (live, counted) =
            (self.model.iter().map(bytes).sum::<usize>(), running.engine.live_bytes());
        ensure!(live as u64 == counted, "{counted} bytes are counted as current, and {live} are");
        Ok(())
    }

    /// A disk that failed takes nothing from readers.
    fn read_while_failed(&self) -> Result<(), Wrong> {
        let Some(running) = &self.running else { return Ok(()) };
        match all(&running.rows) {
            Ok(found) => ensure!(found == self.model, "{}", difference(&self.model, &found)),
            Err(error) => ensure!(self.disk.is_stopped(), "cannot be read: {error}"),
        }
        Ok(())
    }

    /// A disk that does not read must never look like one that has nothing.
    fn read_failing(&mut self) -> Result<(), Wrong> {
        let Some(running) = &self.running else { return Ok(()) };
        self.disk.set_faults(Faults { fail_reads: true, ..Faults::default() });
        let found = all(&running.rows);
        self.disk.set_faults(Faults::default());
        if let Ok(found) = found {
            ensure!(found == self.model, "{}", difference(&self.model, &found));
        }
        // redb does not read again once it could not.
        self.end()
    }

    /// One bit of the log is flipped while nobody looks: then what is read is right, or there is an error.
    fn rot(&mut self) -> Result<(), Wrong> {
        if !self.stop_clean() {
            return self.end();
        }
        self.disk.restart();
        let (Some((name, len)), rebuilds) = (self.a_segment(), self.chance.one_in(2)) else {
            return self.start();
        };
        let (offset, bit) = (self.chance.below(len), self.chance.below(8) as u8);
        self.disk.flip_bit(&name, offset, bit);
        let (is_sound, found_before) = (self.is_sound()?, self.seen.damage_found);
        match self.open() {
            Err(OpenError::Corrupt(_) | OpenError::FormatTooNew { .. }) => {
                self.seen.damage_found += 1;
            }
            Err(error) => return Err(Wrong(format!("rot, and it says {error}"))),
            Ok(running) => match all(&running.rows) {
                Ok(found) => ensure!(found == self.model, "{}", difference(&self.model, &found)),
                Err(MetaError::Corrupt(_)) => self.seen.damage_found += 1,
                Err(error) => return Err(Wrong(format!("rot, and it says {error}"))),
            },
        }
        let was_found = self.seen.damage_found > found_before;
        ensure!(!(was_found && is_sound), "damage at {offset} of {name} was not verified");
        self.disk.flip_bit(&name, offset, bit);
        self.disk.restart();
        if rebuilds { self.lose_the_index() } else { self.start() }
    }

    fn a_segment(&mut self) -> Option<(String, u64)> {
        let names = self.disk.list().ok()?;
        let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".log")).collect();
        let at = self.chance.below(segments.len().max(1) as u64) as usize;
        let name = (*segments.get(at)?).clone();
        let len = self.disk.bytes_of(&name)?.len() as u64;
        // Mostly where something is.
        let end = if self.chance.one_in(2) { len } else { len.min(64 << 10) };
        Some((name, end)).filter(|_| end > 0)
    }

    /// The index is gone: all is in the log.
    fn lose_the_index(&mut self) -> Result<(), Wrong> {
        let running = self.running.take();
        self.disk.restart();
        drop(running);
        if self.disk.remove(INDEX_NAME).is_ok() {
            self.seen.rebuilt += 1;
        }
        self.start()
    }

    /// Another process opens the store while this one runs, where locks of files do not hold: this one must
    /// not acknowledge anything any more.
    fn take_over(&mut self) -> Result<(), Wrong> {
        self.disk.set_faults(Faults::default());
        let (Some(mut old), Ok(new)) = (self.running.take(), self.open()) else {
            return self.end();
        };
        self.running = Some(new);
        let mut batch = Batch::new(OpId([0; 16]));
        batch.put(Bytes::from_static(b"key 00"), self.value());
        match old.engine.commit(&[batch]) {
            Err(GroupError::Failed(_)) => self.seen.fenced += 1,
            told => return Err(Wrong(format!("one that was replaced answers {told:?}"))),
        }
        drop(old);
        self.read()?;
        self.commit()
    }
}

/// What a batch does to the rows, and how it must be answered.
fn apply(batch: &Batch, model: &mut Model, last_commit: &mut u64) -> Outcome {
    for (index, (key, expect)) in batch.checks.iter().enumerate() {
        let found = model.get(key).map(|(version, _)| *version);
        let holds = match expect {
            Expect::Absent => found.is_none(),
            Expect::At(version) => found == Some(*version),
        };
        if !holds {
            return Outcome::Conflict { first: index };
        }
    }
    *last_commit += 1;
    for write in &batch.writes {
        match write {
            Write::Put(key, value) => {
                drop(model.insert(key.clone(), (Version(*last_commit), value.clone())));
            }
            Write::Delete(key) => drop(model.remove(key)),
        }
    }
    Outcome::Committed(Version(*last_commit))
}

/// All rows, read in every way there is.
fn all(rows: &Rows) -> Result<Model, MetaError> {
    let (range, found) = (KeyRange::prefix(b""), rows);
    let rows = found.scan(&range, usize::MAX, Direction::Forward)?;
    let keys: Vec<_> = rows.iter().map(|(key, _)| key.clone()).collect();
    let got = keys.iter().cloned().zip(found.get(&keys)?.into_iter().flatten());
    assert!(got.eq(rows.iter().cloned()), "one by one the rows are others");
    let mut backward = found.scan(&range, usize::MAX, Direction::Backward)?;
    backward.reverse();
    assert_eq!(backward, rows, "backward the rows are others");
    let groups = found.scan_grouped(&range, 0, b"", usize::MAX)?;
    assert!(groups.into_iter().map(|group| group.first).eq(rows.iter().cloned()));
    Ok(rows.into_iter().map(|(key, row)| (key, (row.version, row.value))).collect())
}

/// The keys that are not as they must be.
fn difference(expected: &Model, found: &Model) -> String {
    let mut lines = Vec::new();
    for key in expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key))) {
        let shown = |model: &Model| {
            model.get(key).map(|(version, value)| (version.0, value.len(), value.first().copied()))
        };
        if expected.get(key) != found.get(key) {
            lines.push(format!("{key:?}: {:?}, must be {:?}", shown(found), shown(expected)));
        }
    }
    lines.join("; ")
}
