//! How the requests of one HTTP/2 connection get on, and when the connection has to end.
//!
//! A client that keeps its flow-control window shut holds its requests' places although the socket
//! never blocks, so the guard on the socket does not see it; and one that asks for nothing would
//! hold its connection for as long as it answers pings. HTTP/1.1 has neither problem.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidelock_meta::Clock;

/// The requests of one connection.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    /// Since when the client is to take the next piece of an answer; none while it waits for us.
    answers: HashMap<u64, Option<Duration>>,
    begun: u64,
    /// Counts while there are no answers.
    idle_since: Duration,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It has no requests.
    Idle,
    /// The client does not take an answer.
    Stalled,
}

/// One request of a connection; over when it is dropped.
pub(crate) struct Turn {
    pace: Arc<Pace>,
    number: u64,
}

impl Pace {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State { answers: HashMap::new(), begun: 0, idle_since: clock.monotonic() };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    /// A request has arrived.
    pub(crate) fn begin(self: &Arc<Self>) -> Turn {
        let mut state = self.locked();
        state.begun += 1;
        let number = state.begun;
        state.answers.insert(number, None);
        Turn { pace: self.clone(), number }
    }

    /// Whether the connection has had no request for `idle_limit`, or has left one for `stall_limit`.
    pub(crate) fn overdue(&self, idle_limit: Duration, stall_limit: Duration) -> Option<Overdue> {
        let now = self.clock.monotonic();
        let longer = |since: Duration, limit| now.saturating_sub(since) > limit;
        let state = self.locked();
        if state.answers.is_empty() {
            return longer(state.idle_since, idle_limit).then_some(Overdue::Idle);
        }
        let mut waiting = state.answers.values().flatten();
        waiting.any(|since| longer(*since, stall_limit)).then_some(Overdue::Stalled)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The client has something to take.
    pub(crate) fn to_client(&self) {
        let now = self.pace.clock.monotonic();
        self.pace.locked().answers.insert(self.number, Some(now));
    }

    /// The client waits for us.
    pub(crate) fn to_server(&self) {
        self.pace.locked().answers.insert(self.number, None);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = self.pace.clock.monotonic();
        let mut state = self.pace.locked();
        state.answers.remove(&self.number);
        state.idle_since = now;
    }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::clock::ManualClock;

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const STALL: Duration = Duration::from_secs(5);

    #[test]
    fn only_a_client_that_leaves_its_turn_is_overdue() {
        let clock = Arc::new(ManualClock::new(0));
        let pace = Pace::new(clock.clone());
        let check = |seconds, expected| {
            clock.advance(Duration::from_secs(seconds));
            assert_eq!(pace.overdue(IDLE, STALL), expected, "after {seconds} s");
        };
        check(10, None);
        check(1, Some(Overdue::Idle));
        let (slow, quick) = (pace.begin(), pace.begin());
        check(100, None);
        slow.to_client();
        check(5, None);
        slow.to_server();
        check(100, None);
        slow.to_client();
        quick.to_client();
        check(4, None);
        quick.to_client();
        check(2, Some(Overdue::Stalled));
        drop(slow);
        check(1, None);
        drop(quick);
        check(10, None);
        check(1, Some(Overdue::Idle));
    }
}
