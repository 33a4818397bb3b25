//! Counts and measures syncs, and lets a test hold or fail the one that makes a group durable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidelock_log::LogError;

use super::SyncGate;
use crate::Clock;

/// Counts and measures syncs.
pub(super) struct SyncMeter {
    clock: Arc<dyn Clock>,
    gate: Option<Arc<SyncGate>>,
    count: AtomicU64,
    nanos: AtomicU64,
}

impl fmt::Debug for SyncMeter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SyncMeter").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Syncs so far, or between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syncs {
    pub(super) count: u64,
    pub(super) time: Duration,
}

impl Syncs {
    pub(super) fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, time: self.time.saturating_sub(before.time) }
    }
}

impl SyncMeter {
    pub(super) fn new(clock: Arc<dyn Clock>, gate: Option<Arc<SyncGate>>) -> Self {
        Self { clock, gate, count: AtomicU64::new(0), nanos: AtomicU64::new(0) }
    }

    pub(super) fn syncs(&self) -> Syncs {
        let time = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        Syncs { count: self.count.load(Ordering::Relaxed), time }
    }

    /// Opens the gate.
    pub(super) fn release(&self) {
        if let Some(gate) = &self.gate {
            gate.release();
        }
    }

    /// Runs the sync that makes a group durable, behind the gate.
    pub(super) fn measure_group(
        &self,
        sync: impl FnOnce() -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.measure(|| {
            if let Some(gate) = &self.gate {
                gate.pass()?;
            }
            sync()
        })
    }

    /// Runs any other sync.
    pub(super) fn measure<E>(&self, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let began = self.clock.monotonic();
        let result = sync();
        let took = self.clock.monotonic().saturating_sub(began);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        result
    }
}
