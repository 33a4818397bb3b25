//! What a provider publishes, kept for a while.

use std::sync::Arc;

/// It is fetched anew after this long, in milliseconds.
const TERM_MS: i64 = 3_600_000;
/// It is still believed for this long while its provider does not answer.
const LAST_MS: i64 = 24 * 3_600_000;
/// A provider is asked no more often than this, whatever its tokens and browsers would need.
const ASK_AGAIN_MS: i64 = 5_000;

/// One document, if it was fetched.
pub(super) struct Kept<T> {
    document: Option<Arc<T>>,
    /// When it was fetched.
    fetched_ms: i64,
    /// When the provider was asked last.
    asked_ms: Option<i64>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { document: None, fetched_ms: 0, asked_ms: None }
    }
}

impl<T> Kept<T> {
    /// Whether to ask the provider now; `must` where what is known was not enough.
    pub(super) fn is_due(&self, now_ms: i64, must: bool) -> bool {
        let may = self.asked_ms.is_none_or(|at| !(0..ASK_AGAIN_MS).contains(&(now_ms - at)));
        let is_old = !(0..TERM_MS).contains(&(now_ms - self.fetched_ms));
        may && (must || self.document.is_none() || is_old)
    }

    /// The provider is asked.
    pub(super) fn ask(&mut self, now_ms: i64) {
        self.asked_ms = Some(now_ms);
    }

    /// It has answered.
    pub(super) fn keep(&mut self, document: T, now_ms: i64) {
        (self.document, self.fetched_ms) = (Some(Arc::new(document)), now_ms);
    }

    pub(super) fn still_believed(&self, now_ms: i64) -> Option<Arc<T>> {
        let is_recent = now_ms - self.fetched_ms < LAST_MS;
        self.document.clone().filter(|_| is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_when_it_must_be_and_not_too_often() {
        let hour = TERM_MS;
        // When it was asked and answered, the time, whether more was needed; whether it is asked.
        let rows = [
            (None, None, 0, false, true),
            (Some(0), None, ASK_AGAIN_MS - 1, false, false),
            (Some(0), None, ASK_AGAIN_MS, false, true),
            (Some(0), Some(0), hour - 1, false, false),
            (Some(0), Some(0), hour, false, true),
            (Some(0), Some(0), ASK_AGAIN_MS - 1, true, false),
            (Some(0), Some(0), ASK_AGAIN_MS, true, true),
            (Some(hour), Some(0), hour + 1, false, false),
            // A clock that was set back keeps nobody from asking.
            (Some(10), Some(10), 5, true, true),
        ];
        for (asked_ms, fetched, now_ms, must, expected) in rows {
            let mut kept = Kept::default();
            fetched.into_iter().for_each(|at_ms| kept.keep((), at_ms));
            asked_ms.into_iter().for_each(|at_ms| kept.ask(at_ms));
            assert_eq!(kept.is_due(now_ms, must), expected, "{asked_ms:?} {fetched:?} {now_ms}");
        }
        let mut kept = Kept::default();
        kept.keep((), 0);
        assert!(kept.still_believed(LAST_MS - 1).is_some());
        assert!(kept.still_believed(LAST_MS).is_none());
    }
}
