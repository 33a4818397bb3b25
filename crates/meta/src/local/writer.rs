//! The one thread that writes. For each group: decide every batch in order, make the survivors
//! durable with one commit, and only then answer, conflicts included: a conflict may tell of a write
//! of the same group, which nobody may hear of before it is durable.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::backend::Disk;
use super::group::{Gather, Queue};
use super::index::Index;
use super::{CommitObserver, describe};
use crate::{Batch, Clock, Outcome};

/// The longest wait for a group to fill. The wait is also never longer than the commit before it, so
/// it at most doubles what a caller among many waits anyway.
const GATHER_TIME_MAX: Duration = Duration::from_millis(2);

/// Starts the writer; it ends when `queue` is closed and empty, or failed.
pub(super) fn start(
    index: Arc<Index>,
    queue: Arc<Queue>,
    disk: Arc<Disk>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CommitObserver>,
) -> io::Result<JoinHandle<()>> {
    let writer = Writer { index, queue, disk, clock, observer };
    std::thread::Builder::new().name("tidelock-meta".into()).spawn(move || writer.run())
}

struct Writer {
    index: Arc<Index>,
    queue: Arc<Queue>,
    disk: Arc<Disk>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CommitObserver>,
}

impl Writer {
    fn run(self) {
        let _fail_on_panic = FailOnPanic(&self.queue);
        let on_failure = Arc::clone(&self.queue);
        self.disk.stop_this_thread_on_failure(move |error| {
            tracing::error!(error = %error, "meta.disk_failed");
            on_failure.fail(&describe(error));
        });
        let mut gather = Gather::FIRST;
        while let Some(batches) = self.queue.take_group(gather) {
            let began = self.clock.monotonic();
            let Err(error) = self.commit(&batches) else {
                let took = self.clock.monotonic().saturating_sub(began);
                gather = Gather { batches: batches.len(), at_most: took.min(GATHER_TIME_MAX) };
                continue;
            };
            tracing::error!(error = %error, "meta.commit_failed");
            self.queue.fail(&format!("a commit failed, restart to go on: {error}"));
        }
    }

    fn commit(&self, batches: &[Batch]) -> Result<(), redb::Error> {
        let before = self.disk.syncs();
        let mut transaction = self.index.begin()?;
        let outcomes = transaction.apply(batches)?;
        let survives = |outcome: &Outcome| matches!(outcome, Outcome::Committed(_));
        if outcomes.iter().any(survives) {
            transaction.commit_durably()?;
        } else {
            // All lost against what was durable before.
            transaction.abort()?;
        }
        let syncs = self.disk.syncs().since(before);
        self.queue.answer(outcomes);
        self.observer.group_committed(batches.len(), syncs.time, syncs.count);
        Ok(())
    }
}

/// Whoever waits for the writer must not wait for a thread that is gone.
struct FailOnPanic<'a>(&'a Queue);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer thread panicked, restart to go on");
        }
    }
}
