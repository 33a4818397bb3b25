//! Locks that outlive a panic: what they guard is consistent between any two statements of its user.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for as long as `pending` says so.
pub(super) fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    pending: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    condvar.wait_while(guard, pending).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for as long as `pending` says so, but at most `patience`.
pub(super) fn wait_while_at_most<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    patience: Duration,
    pending: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = condvar.wait_timeout_while(guard, patience, pending);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
