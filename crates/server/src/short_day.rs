//! How long a day of lifecycle rules is, for tests that cannot wait for one. Release builds do not look.

use std::time::Duration;

/// Seconds.
const VARIABLE: &str = "TIDELOCK_LIFECYCLE_DAY_SECONDS";

/// What the environment asks for.
pub(crate) fn from_environment() -> Option<Duration> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let seconds = std::env::var(VARIABLE).ok()?.parse().ok().filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs)
}
