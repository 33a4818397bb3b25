//! The queue in front of the writer, and how groups form in it. Knows no disk.
//!
//! Nothing is ever waited for when one caller commits at a time. When groups had several
//! batches, their callers are likely on their way back with the next ones: the writer then waits for
//! as many as long as they go on coming. Without that, a group of 64 is followed by a group of
//! one, because the writer is faster than the callers it has just woken.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::lock::{locked, wait_while, wait_while_at_most};
use crate::{Batch, Limits, MetaError, Outcome};

/// Most batches of one group: bounds how long the first of them waits for the last to be applied.
const GROUP_BATCHES_MAX: usize = 1024;

/// Most bytes of one group, past which no further batch is taken.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Most bytes of waiting batches, past which a batch is refused.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// When none has come for so long, none is waited for: callers who are on their way come one after another.
const GAP: Duration = Duration::from_micros(500);

/// The same where there are many callers, who keep the processors from each other.
const GAP_OF_MANY: Duration = Duration::from_millis(2);

/// As many batches in a group are many.
const MANY_BATCHES: usize = 16;

/// How often a gap is looked for, at most, which bounds the wait for a group to some 8 ms.
const GAPS_MAX: u32 = 4;

/// Above this a batch is of a task that moves many rows at once now and then: nobody need wait for its next one.
const CALLER_OPERATIONS_MAX: usize = Limits::COMMON.batch_operations_max;

/// Groups that say how many callers there are.
const REMEMBERED_GROUPS: usize = 8;

/// The answer to one batch, which comes back with it: memory is best given back on the thread it was taken on.
type Reply = Result<(Outcome, Batch), MetaError>;

/// Batches that wait for the writer, and the callers of those it works on.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
    batches_max: usize,
}

struct QueueState {
    waiting: VecDeque<Submission>,
    waiting_bytes: usize,
    /// Kept here, not with the writer, so that whoever sees the engine fail can answer them.
    in_flight: Vec<oneshot::Sender<Reply>>,
    /// How many waiting batches are worth waking the writer for.
    wake_at_batches: usize,
    life: Life,
}

struct Submission {
    batch: Batch,
    size_bytes: usize,
    reply: oneshot::Sender<Reply>,
}

enum Life {
    Open,
    /// Takes nothing more; what waits is still committed.
    Closing,
    Failed(String),
}

/// How many batches the next group may be waited for: as many as the largest of the last groups had. One of
/// [`REMEMBERED_GROUPS`] asks for twice as many, to find out whether there are more callers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gather {
    last: [usize; REMEMBERED_GROUPS],
    count: usize,
}

/// What came of waiting for a group.
pub(super) enum Taken {
    Group(Vec<Batch>),
    /// Nothing has come for as long as was waited.
    Nothing,
    /// Nothing will come: the queue is closed and empty, or failed.
    End,
}

impl Gather {
    /// Remembers a group.
    pub(super) fn taken(&mut self, batches: &[Batch]) {
        let operations = |batch: &Batch| batch.checks.len() + batch.writes.len();
        let of_callers = batches.iter().filter(|it| operations(it) <= CALLER_OPERATIONS_MAX);
        self.last[self.count % REMEMBERED_GROUPS] = of_callers.count();
        self.count = self.count.wrapping_add(1);
    }

    fn batches(&self) -> usize {
        let most = self.last.iter().copied().max().unwrap_or_default();
        let asks_for_more = self.count.is_multiple_of(REMEMBERED_GROUPS) && most > 1;
        (if asks_for_more { 2 * most } else { most }).min(GROUP_BATCHES_MAX)
    }

    /// How long the next batch is waited for.
    fn gap(&self) -> Duration {
        let are_many = self.last.iter().any(|batches| *batches >= MANY_BATCHES);
        if are_many { GAP_OF_MANY } else { GAP }
    }
}

impl Queue {
    pub(super) fn new(batches_max: usize) -> Self {
        let state = QueueState {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            in_flight: Vec::new(),
            wake_at_batches: 1,
            life: Life::Open,
        };
        Self { state: Mutex::new(state), arrived: Condvar::new(), batches_max }
    }

    /// Queues a batch; its answer arrives at the receiver.
    pub(super) fn push(&self, batch: Batch) -> Result<oneshot::Receiver<Reply>, MetaError> {
        let size_bytes = batch.size_bytes();
        let (reply, receiver) = oneshot::channel();
        let mut state = locked(&self.state);
        state.life.accepts()?;
        let is_full = state.waiting.len() >= self.batches_max
            || state.waiting_bytes + size_bytes > QUEUE_BYTES_MAX;
        if is_full {
            return Err(MetaError::Overloaded);
        }
        state.waiting_bytes += size_bytes;
        state.waiting.push_back(Submission { batch, size_bytes, reply });
        let wakes = !state.must_wait_for(state.wake_at_batches);
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        Ok(receiver)
    }

    /// Whether batches are taken.
    pub(super) fn is_open(&self) -> bool {
        matches!(locked(&self.state).life, Life::Open)
    }

    /// The next group, in the order of arrival. Waits for one, but not longer than `patience` if there is a
    /// limit to it.
    pub(super) fn take_group(&self, gather: &Gather, patience: Option<Duration>) -> Taken {
        let mut state = locked(&self.state);
        state.wake_at_batches = 1;
        let first = |state: &mut QueueState| state.must_wait_for(1);
        state = match patience {
            None => wait_while(&self.arrived, state, first),
            Some(patience) => wait_while_at_most(&self.arrived, state, patience, first),
        };
        if state.must_wait_for(1) {
            return Taken::Nothing;
        }
        let wanted = gather.batches();
        state.wake_at_batches = wanted.max(1);
        for _ in 0..GAPS_MAX {
            let before = state.waiting.len();
            if !state.must_wait_for(wanted) {
                break;
            }
            let pending = |state: &mut QueueState| state.must_wait_for(wanted);
            state = wait_while_at_most(&self.arrived, state, gather.gap(), pending);
            if state.waiting.len() == before {
                break;
            }
        }
        state.take_group().map_or(Taken::End, Taken::Group)
    }

    /// Answers the group in flight, batch by batch.
    pub(super) fn answer(&self, batches: Vec<Batch>, outcomes: Vec<Outcome>) {
        let in_flight = std::mem::take(&mut locked(&self.state).in_flight);
        debug_assert!(in_flight.is_empty() || in_flight.len() == outcomes.len());
        for (reply, answer) in in_flight.into_iter().zip(outcomes.into_iter().zip(batches)) {
            // The caller may have stopped waiting.
            let _ = reply.send(Ok(answer));
        }
    }

    /// Answers the group in flight that nothing of it was written.
    pub(super) fn refuse(&self, reason: &str) {
        let in_flight = std::mem::take(&mut locked(&self.state).in_flight);
        for reply in in_flight {
            let _ = reply.send(Err(MetaError::Unavailable(reason.to_owned())));
        }
    }

    /// Ends the engine's writing: the group in flight may or may not be durable, what waits is not.
    /// Only the first reason counts.
    pub(super) fn fail(&self, reason: &str) {
        let mut state = locked(&self.state);
        if !matches!(state.life, Life::Failed(_)) {
            state.life = Life::Failed(reason.to_owned());
        }
        let in_flight = std::mem::take(&mut state.in_flight);
        let waiting = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        drop(state);
        self.arrived.notify_all();
        for reply in in_flight {
            let _ = reply.send(Err(MetaError::Unknown));
        }
        for submission in waiting {
            let _ = submission.reply.send(Err(MetaError::Unavailable(reason.to_owned())));
        }
    }

    /// Takes no more batches; the writer ends when it has committed those that wait.
    pub(super) fn close(&self) {
        let mut state = locked(&self.state);
        if matches!(state.life, Life::Open) {
            state.life = Life::Closing;
        }
        drop(state);
        self.arrived.notify_all();
    }
}

impl QueueState {
    fn must_wait_for(&self, batches: usize) -> bool {
        self.waiting.len() < batches
            && self.waiting_bytes < GROUP_BYTES_MAX
            && matches!(self.life, Life::Open)
    }

    fn take_group(&mut self) -> Option<Vec<Batch>> {
        if self.waiting.is_empty() || matches!(self.life, Life::Failed(_)) {
            return None;
        }
        let mut batches = Vec::new();
        let mut group_bytes = 0;
        while batches.len() < GROUP_BATCHES_MAX && group_bytes < GROUP_BYTES_MAX {
            let Some(submission) = self.waiting.pop_front() else { break };
            group_bytes += submission.size_bytes;
            batches.push(submission.batch);
            self.in_flight.push(submission.reply);
        }
        self.waiting_bytes -= group_bytes;
        Some(batches)
    }
}

impl Life {
    fn accepts(&self) -> Result<(), MetaError> {
        match self {
            Self::Open => Ok(()),
            Self::Closing => Err(MetaError::Unavailable("the store is closing".into())),
            Self::Failed(reason) => Err(MetaError::Unavailable(reason.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpId, Write};

    fn batch(value_bytes: usize) -> Batch {
        let mut batch = Batch::new(OpId([1; 16]));
        batch.writes.push(Write::Put("key".into(), vec![0; value_bytes].into()));
        batch
    }

    #[test]
    fn a_group_that_is_full_waits_for_no_more() {
        for (value_bytes, waits) in [(1, true), (GROUP_BYTES_MAX, false)] {
            let queue = Queue::new(2);
            let _answer = queue.push(batch(value_bytes)).unwrap();
            assert_eq!(locked(&queue.state).must_wait_for(2), waits, "{value_bytes}");
        }
    }

    #[test]
    fn many_callers_are_waited_for_longer() {
        let mut gather = Gather::default();
        for (batches, gap, wanted) in [
            (1, GAP, 1),
            (MANY_BATCHES - 1, GAP, MANY_BATCHES - 1),
            (MANY_BATCHES, GAP_OF_MANY, MANY_BATCHES),
        ] {
            gather.taken(&vec![batch(1); batches]);
            assert_eq!((gather.gap(), gather.batches()), (gap, wanted), "{batches}");
        }
        for _ in 0..REMEMBERED_GROUPS {
            gather.taken(&[batch(1)]);
        }
        assert_eq!((gather.gap(), gather.batches()), (GAP, 1));
    }

    #[test]
    fn a_task_that_moves_many_rows_is_waited_for_by_nobody() {
        let mut large = batch(1);
        large.writes = vec![large.writes[0].clone(); CALLER_OPERATIONS_MAX + 1];
        let mut gather = Gather::default();
        gather.taken(&[batch(1), large, batch(1)]);
        assert_eq!(gather.batches(), 2);
    }
}
