//! Copies of the log that are taken while the simulated store runs, a piece between two steps: whenever one has come to the
//! end of the log, it must be the store, and up to a time what the store was then.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use tidelock_log::disk::Disk;
use tidelock_log::disk::faulty::FaultyDisk;
use tidelock_log::{Cursor, Followed, Follower, Import, LogError, Piece};

use super::super::engine::Engine;
use super::super::index::Held;
use super::super::rows::Rows;
use super::super::syncs::SyncMeter;
use super::{ManualClock, Model, Simulation, Wrong, all, difference};

/// A copy of the log, as far as it was taken.
pub(super) struct Copies {
    /// Once in so many steps, something is copied.
    pause: u64,
    cursor: Option<Cursor>,
    segments: BTreeMap<u64, Vec<u8>>,
    /// From this time on it is a whole store; none before it was at the end of the log once.
    complete_from: Option<u64>,
    /// The store at each time.
    history: BTreeMap<u64, Model>,
}

impl Copies {
    /// Nothing yet. Under some seeds it keeps up with the log, under others the log is cleaned meanwhile.
    pub(super) fn new(seed: u64) -> Self {
        let pause = if seed.is_multiple_of(2) { 4 } else { 40 };
        let (segments, history) = (BTreeMap::new(), BTreeMap::new());
        Self { pause, cursor: None, segments, complete_from: None, history }
    }

    /// The store is `model` since the group of this time.
    pub(super) fn note(&mut self, time: u64, model: &Model) {
        self.history.insert(time, model.clone());
    }

    fn add(&mut self, piece: &Piece) {
        let bytes = self.segments.entry(piece.segment).or_default();
        assert_eq!(bytes.len(), piece.start as usize);
        bytes.extend_from_slice(&piece.bytes);
    }
}

impl Simulation {
    /// Copies the next piece, and compares at the end of the log.
    pub(super) fn copy_some(&mut self) -> Result<(), Wrong> {
        let Some(running) = &self.running else { return Ok(()) };
        if self.disk.is_stopped() || !self.chance.one_in(self.copies.pause) {
            return Ok(());
        }
        let time = running.engine.time();
        let mut follower = Follower::new(self.disk.clone(), self.copies.cursor);
        let followed = follower.next(&mut |_| ()).map_err(|error| Wrong(error.to_string()))?;
        self.copies.cursor = follower.cursor();
        match followed {
            Followed::Piece(piece) => {
                self.copies.add(&piece);
                if piece.is_tail { self.compare(time) } else { Ok(()) }
            }
            Followed::Cut { segment, end } => {
                self.seen.copies_cut += 1;
                let bytes = self.copies.segments.get_mut(&segment);
                bytes.ok_or_else(|| Wrong("a cut of nothing".into()))?.truncate(end as usize);
                Ok(())
            }
            Followed::End => Ok(()),
            Followed::Gone => {
                self.seen.copies_begun_again += 1;
                (self.copies.cursor, self.copies.complete_from) = (None, None);
                self.copies.segments.clear();
                Ok(())
            }
            Followed::Diverged => Err(Wrong("the log does not go on from its copy".into())),
        }
    }

    fn compare(&mut self, time: u64) -> Result<(), Wrong> {
        self.seen.copies += 1;
        let found = self.open_copy(None)?;
        if found != self.model {
            return Err(Wrong(format!("the copy: {}", difference(&self.model, &found))));
        }
        let first = *self.copies.complete_from.get_or_insert(time);
        let until = first + self.chance.below(time - first + 1);
        let then = self.copies.history.range(..=until).next_back();
        let Some((_, model)) = then else { return Ok(()) };
        let found = self.open_copy(Some(until))?;
        if found != *model {
            return Err(Wrong(format!("the copy at {until}: {}", difference(model, &found))));
        }
        self.seen.copies_of_before += 1;
        Ok(())
    }

    /// The rows of a store that is made of the copy.
    fn open_copy(&self, until: Option<u64>) -> Result<Model, Wrong> {
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new(0));
        let mut import = Import::new(Arc::clone(&disk), until);
        let wrong = |error: LogError| Wrong(format!("the copy: {error}"));
        for (number, bytes) in &self.copies.segments {
            if !import.segment(*number, bytes).map_err(wrong)? {
                break;
            }
        }
        import.finish().map_err(wrong)?;
        let syncs = Arc::new(SyncMeter::new(Arc::new(ManualClock::new(0)), None));
        let held = Held { _lock: None, _released: mpsc::channel().0 };
        let engine = Engine::open(&disk, &self.options, &syncs, &held);
        let engine = engine.map_err(|error| Wrong(format!("the copy does not open: {error}")))?;
        let rows = Rows::new(engine.index(), engine.reader());
        all(&rows).map_err(|error| Wrong(format!("the copy cannot be read: {error}")))
    }
}
