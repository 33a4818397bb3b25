//! Time as an argument: nothing below the wiring asks the machine what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMillis = i64;

/// Tells the time. Components take one, so that tests and simulations control it.
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> UnixMillis;

    /// Time since an arbitrary fixed moment; never goes back. For measuring durations.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    #[allow(clippy::new_without_default, reason = "a default that reads the clock would hide it")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at `now`.
    pub fn new(now: UnixMillis) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves on by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now().unsigned_abs())
    }
}
