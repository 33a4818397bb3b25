//! The one thread that writes. For each group: decide every batch in order, make the survivors
//! durable with one sync of the log, and only then answer, conflicts included: a conflict may tell of a
//! write of the same group, which nobody may hear of before it is durable. Between groups it merges rows
//! into the index, makes checkpoints and, when nothing else is to be done, cleans the log.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::CommitObserver;
use super::backend::IndexFile;
use super::engine::{Engine, GroupError};
use super::group::{Gather, Queue, Taken};
use super::syncs::{SyncMeter, Syncs};
use crate::{Batch, Clock};

/// How long after a checkpoint the next one is made, if there is something for it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// The same after one that has found no room: it writes all of the index.
const POSTPONED_INTERVAL: Duration = Duration::from_secs(30);

/// How long nothing must have come before the log is cleaned by itself, and between two steps of that.
const CLEANING_INTERVAL: Duration = Duration::from_millis(50);

/// Starts the writer; it ends when `queue` is closed and empty, or failed.
pub(super) fn start(
    engine: Engine,
    queue: Arc<Queue>,
    syncs: Arc<SyncMeter>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CommitObserver>,
) -> io::Result<JoinHandle<()>> {
    let (reported, last_checkpoint) = (syncs.syncs(), clock.monotonic());
    let writer = Writer {
        engine,
        queue,
        syncs,
        reported,
        clock,
        last_checkpoint,
        is_approaching: false,
        observer,
    };
    std::thread::Builder::new().name("tidelock-meta".into()).spawn(move || writer.run())
}

struct Writer {
    engine: Engine,
    queue: Arc<Queue>,
    syncs: Arc<SyncMeter>,
    /// Syncs the observer has heard of.
    reported: Syncs,
    clock: Arc<dyn Clock>,
    last_checkpoint: Duration,
    /// A checkpoint is to be made, and more rows may wait for it than it should find.
    is_approaching: bool,
    observer: Arc<dyn CommitObserver>,
}

impl Writer {
    fn run(mut self) {
        let (queue, file) = (Arc::clone(&self.queue), self.engine.file());
        let _fail_on_panic = FailOnPanic(&queue, &file);
        if let Err(reason) = self.serve() {
            tracing::error!(error = %reason, "meta.failed");
            queue.fail(&format!("the disk failed, restart when it is repaired: {reason}"));
        }
    }

    /// Commits groups until the queue ends, or says why it cannot go on.
    fn serve(&mut self) -> Result<(), String> {
        let mut gather = Gather::default();
        loop {
            match self.queue.take_group(&gather, self.patience()) {
                Taken::Group(batches) => {
                    gather.taken(&batches);
                    self.commit(batches)?;
                }
                Taken::Nothing => self.use_the_pause()?,
                Taken::End => break,
            }
            self.keep_the_index()?;
        }
        if self.engine.awaits_checkpoint() { self.engine.make_checkpoint() } else { Ok(()) }
    }

    /// How long a group is waited for before there is something else to do.
    fn patience(&self) -> Option<Duration> {
        if self.is_approaching {
            Some(Duration::ZERO)
        } else if self.engine.must_clean() {
            Some(CLEANING_INTERVAL)
        } else if self.engine.awaits_checkpoint() {
            Some(self.checkpoint_interval())
        } else {
            None
        }
    }

    fn commit(&mut self, batches: Vec<Batch>) -> Result<(), String> {
        let count = batches.len();
        match self.engine.commit(&batches) {
            Ok(outcomes) => self.queue.answer(batches, outcomes),
            Err(GroupError::Refused(error)) => {
                tracing::warn!(%error, "meta.group_refused");
                self.queue.refuse(&error.to_string());
            }
            Err(GroupError::Failed(reason)) => return Err(reason),
        }
        let syncs = self.syncs.syncs();
        let since = syncs.since(self.reported);
        self.reported = syncs;
        self.observer.group_committed(count, since.time, since.count);
        self.observer.log_measured(self.engine.space());
        Ok(())
    }

    fn use_the_pause(&mut self) -> Result<(), String> {
        if !self.engine.must_clean() {
            self.is_approaching |= self.engine.awaits_checkpoint() && !self.engine.is_behind();
        }
        if self.is_approaching {
            return Ok(());
        }
        match self.engine.commit(&[]) {
            // On a full disk, cleaning waits for room as all others do.
            Ok(_) | Err(GroupError::Refused(_)) => Ok(()),
            Err(GroupError::Failed(reason)) => Err(reason),
        }
    }

    /// Makes a checkpoint if it is time for one, or merges rows: a little at a time, as commits wait for it.
    fn keep_the_index(&mut self) -> Result<(), String> {
        let age = self.clock.monotonic().saturating_sub(self.last_checkpoint);
        let is_urgent = !self.engine.is_behind() && self.engine.needs_checkpoint();
        let is_due = self.engine.awaits_checkpoint() && age >= self.checkpoint_interval();
        if !is_urgent && !is_due && !self.is_approaching {
            return self.engine.merge_some();
        }
        self.is_approaching = !self.engine.approach_checkpoint()?;
        if self.is_approaching { Ok(()) } else { self.make_checkpoint() }
    }

    fn checkpoint_interval(&self) -> Duration {
        if self.engine.is_behind() { POSTPONED_INTERVAL } else { CHECKPOINT_INTERVAL }
    }

    fn make_checkpoint(&mut self) -> Result<(), String> {
        self.last_checkpoint = self.clock.monotonic();
        self.engine.make_checkpoint()?;
        self.observer.log_measured(self.engine.space());
        Ok(())
    }
}

/// Whoever waits for the writer must not wait for a thread that is gone, nor believe what it left.
struct FailOnPanic<'a>(&'a Queue, &'a IndexFile);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            const WHY: &str = "the writer thread panicked, restart to go on";
            self.0.fail(WHY);
            // Rows of a group that was cut off must not become durable.
            self.1.stop(WHY);
        }
    }
}
