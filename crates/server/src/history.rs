//! What happened in the last hour, minute by minute, for people to look at. It is in memory and of this
//! process: whoever wants more, or other servers', has `/_/metrics` read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Minutes that are remembered.
pub(crate) const MINUTES_MAX: usize = 60;
const MINUTE_MS: i64 = 60_000;

/// Counts of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    /// When it began, Unix milliseconds.
    pub(crate) start_ms: i64,
    /// Requests that ended in it.
    pub(crate) requests: u64,
    /// Of these, those that the server failed.
    pub(crate) failed: u64,
    /// Locks that were held when they were last counted.
    pub(crate) locks: u64,
}

/// The last minutes, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<Minute>>);

impl History {
    /// A request ended at `now_ms`.
    pub(crate) fn request_ended(&self, now_ms: i64, has_failed: bool) {
        self.change(now_ms, |minute| {
            minute.requests += 1;
            minute.failed += u64::from(has_failed);
        });
    }

    /// So many locks are held at `now_ms`.
    pub(crate) fn locks_counted(&self, now_ms: i64, held: u64) {
        self.change(now_ms, |minute| minute.locks = held);
    }

    /// The minutes up to `now_ms`.
    pub(crate) fn minutes(&self, now_ms: i64) -> Vec<Minute> {
        self.change(now_ms, |_| {});
        self.lock().iter().copied().collect()
    }

    fn change(&self, now_ms: i64, change: impl FnOnce(&mut Minute)) {
        let start_ms = now_ms - now_ms.rem_euclid(MINUTE_MS);
        let mut minutes = self.lock();
        let mut last = minutes.back().copied().unwrap_or(Minute { start_ms, ..Minute::default() });
        if minutes.is_empty() {
            minutes.push_back(last);
        }
        // Longer than all that is remembered: what was before is of no hour that anybody sees.
        if start_ms - last.start_ms > MINUTES_MAX as i64 * MINUTE_MS {
            last.start_ms = start_ms - MINUTES_MAX as i64 * MINUTE_MS;
        }
        while last.start_ms < start_ms {
            last = Minute {
                start_ms: last.start_ms + MINUTE_MS,
                locks: last.locks,
                ..Minute::default()
            };
            minutes.push_back(last);
        }
        while minutes.len() > MINUTES_MAX {
            minutes.pop_front();
        }
        // A clock that was set back counts in the last minute.
        if let Some(last) = minutes.back_mut() {
            change(last);
        }
    }

    /// Each change is one step: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Minute>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_follow_one_another_without_gaps() {
        // When requests ended, in minutes, and how many of each minute are remembered at the end.
        let rows: &[(&[i64], &[u64])] = &[
            (&[0, 0], &[2]),
            (&[0, 1, 1, 3], &[1, 2, 0, 1]),
            (&[5, 4], &[2]),
            (&[-2, -1], &[1, 1]),
        ];
        for (ended, expected) in rows {
            let history = History::default();
            for minute in *ended {
                history.request_ended(minute * MINUTE_MS + 59_999, false);
            }
            let minutes = history.minutes(ended.iter().max().unwrap() * MINUTE_MS);
            let counts: Vec<u64> = minutes.iter().map(|minute| minute.requests).collect();
            assert_eq!(&counts, expected, "{ended:?}");
        }
    }

    #[test]
    fn an_hour_is_remembered_and_locks_stay_held() {
        for last in [MINUTES_MAX as i64 + 7, 1 << 40] {
            let history = History::default();
            history.locks_counted(0, 3);
            history.request_ended(last * MINUTE_MS, true);
            let minutes = history.minutes(last * MINUTE_MS);
            assert_eq!(minutes.len(), MINUTES_MAX);
            let end = minutes.last().unwrap();
            assert_eq!((end.requests, end.failed, end.start_ms), (1, 1, last * MINUTE_MS));
            let all = minutes.windows(2).all(|two| two[1].start_ms - two[0].start_ms == MINUTE_MS);
            assert!(all && minutes.iter().all(|minute| minute.locks == 3));
        }
    }
}
