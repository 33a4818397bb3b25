//! What happened a moment ago, as one process knows it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Moments that are kept at once; when there are so many that none is old enough to go, further ones are
/// not remembered.
const MARKS_MAX: usize = 4096;

/// When something happened last, for a while. Only spares work: a server that has not seen it does more.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    kept_ms: i64,
    marks: Mutex<HashMap<K, i64>>,
}

impl<K: Eq + Hash> Recent<K> {
    pub(super) fn new(kept_ms: i64) -> Self {
        Self { kept_ms, marks: Mutex::default() }
    }

    /// Whether it happened after `since_ms`.
    pub(super) fn was_marked(&self, key: &K, since_ms: i64) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(key).is_some_and(|at| *at > since_ms)
    }

    pub(super) fn mark(&self, key: K, now_ms: i64) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKS_MAX {
            marks.retain(|_, at| *at > now_ms - self.kept_ms);
        }
        if marks.len() < MARKS_MAX {
            marks.insert(key, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_one_key_and_a_moment() {
        let marks = Recent::new(3_000);
        marks.mark("k", 1_000);
        for (key, since_ms, expected) in [("k", 999, true), ("k", 1_000, false), ("l", 0, false)] {
            assert_eq!(marks.was_marked(&key, since_ms), expected, "{key} {since_ms}");
        }
    }

    #[test]
    fn marks_are_bounded() {
        let marks = Recent::new(3_000);
        for number in 0..2 * MARKS_MAX {
            marks.mark(number, 1_000);
        }
        assert_eq!(marks.marks.lock().unwrap().len(), MARKS_MAX);
        marks.mark(usize::MAX, 4_000);
        assert_eq!(marks.marks.lock().unwrap().len(), 1, "the old ones go");
    }
}
