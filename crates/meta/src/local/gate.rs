//! A gate in front of fdatasync, so that a test can hold a sync and see that nobody is answered.
//! Open by default; knows nothing of what is synced.

use std::io;
use std::sync::{Condvar, Mutex};

use super::lock::{locked, wait_while};

/// Stands before every sync that makes a commit durable.
#[derive(Debug, Default)]
pub struct SyncGate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    held: bool,
    passes: usize,
    waiting: bool,
    fail_next: Option<io::ErrorKind>,
}

impl SyncGate {
    /// An open gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds every sync that comes from now on.
    pub fn hold(&self) {
        locked(&self.state).held = true;
    }

    /// Lets one sync through, be it waiting or to come, while holding the rest.
    pub fn let_one_pass(&self) {
        locked(&self.state).passes += 1;
        self.changed.notify_all();
    }

    /// Opens the gate. Closing the store does so, too.
    pub fn release(&self) {
        let mut state = locked(&self.state);
        state.held = false;
        state.passes = 0;
        drop(state);
        self.changed.notify_all();
    }

    /// Makes the next sync that passes fail.
    pub fn fail_next(&self, kind: io::ErrorKind) {
        locked(&self.state).fail_next = Some(kind);
    }

    /// Whether a sync waits at the gate.
    pub fn is_waiting(&self) -> bool {
        let state = locked(&self.state);
        state.waiting && state.passes == 0
    }

    /// Passes the gate, after waiting for it to be opened.
    pub(super) fn pass(&self) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.waiting = state.held;
        state = wait_while(&self.changed, state, |state| state.held && state.passes == 0);
        state.waiting = false;
        state.passes = state.passes.saturating_sub(1);
        match state.fail_next.take() {
            Some(kind) => Err(io::Error::new(kind, "failed by the gate")),
            None => Ok(()),
        }
    }
}
