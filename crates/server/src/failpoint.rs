//! Where a server is to die, for the crash tests. Release builds do not look.

use tidelock_store::Failpoint;

/// `StateWritten:before-commit`; see [`Failpoint`].
const VARIABLE: &str = "TIDELOCK_FAILPOINT";

/// What the environment asks for.
pub(crate) fn from_environment() -> Option<Failpoint> {
    if !cfg!(debug_assertions) {
        return None;
    }
    std::env::var(VARIABLE).ok()?.parse().ok()
}
