//! Tombstones: a lock that was given back stays readable for a moment for those who were refused it.
//!
//! Terraform reads the lock after it was refused, and waits (`-lock-timeout`) only if it reads one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tidelock_meta::Key;
use tidelock_meta::record::contended::{self, ContendedRow};
use tidelock_meta::record::guard::{self, GuardRow, Released};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::ObjectVersion;

use super::lock::TOMBSTONE_WINDOW_MS;
use super::state_key;
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::StorageError;
use crate::object::Target;
use crate::origin::Protocol;

/// Refusals that are remembered so that they are not recorded twice.
const MARKS_MAX: usize = 4096;

/// The refusals that this server has recorded a moment ago. Only saves writes.
#[derive(Debug, Default)]
pub(crate) struct Contended(Mutex<HashMap<Key, i64>>);

impl Contended {
    /// Whether a refusal was recorded after `since_ms`.
    pub(super) fn was_marked(&self, key: &Key, since_ms: i64) -> bool {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(key).is_some_and(|at| *at > since_ms)
    }

    pub(super) fn mark(&self, key: Key, now_ms: i64) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKS_MAX {
            marks.retain(|_, at| *at > now_ms - TOMBSTONE_WINDOW_MS);
        }
        if marks.len() < MARKS_MAX {
            marks.insert(key, now_ms);
        }
    }
}

impl Store {
    /// The lock that was under this key until a moment ago, if somebody was refused a lock there a moment
    /// ago: that one, or one before it, for it may have changed hands more than once since. If it was
    /// taken again by now, that one.
    pub(crate) async fn tombstone(
        &self,
        reading: &Reading,
        bucket: &OpenBucket,
        target: Target<'_>,
    ) -> Result<Option<ObjectVersion>, StorageError> {
        // The HTTP backend answers a refusal with the lock: nobody there reads it afterwards.
        let reads_after = target.principal.origin.protocol != Protocol::TerraformHttp;
        if bucket.row.guard.is_none() || !reads_after {
            return Ok(None);
        }
        let Some(state) = state_key(target.key) else { return Ok(None) };
        let (id, state) = (bucket.row.id, state.as_str());
        let keys =
            [head::key(id, target.key.as_str()), guard::key(id, state), contended::key(id, state)];
        let rows = reading.get(&keys).await?;
        let head = rows[0].as_ref().map(|row| HeadRow::decode(&row.value)).transpose()?;
        let taken = head.and_then(|head| head.current).filter(|it| it.object().is_some());
        if taken.is_some() {
            return Ok(taken);
        }
        let (Some(guard), Some(contended)) = (&rows[1], &rows[2]) else { return Ok(None) };
        let released = GuardRow::decode(&guard.value)?.released;
        let until_ms = ContendedRow::decode(&contended.value)?.until_ms;
        let now = self.now();
        let is_fresh =
            |it: &Released| until_ms >= now && now - it.released_ms <= TOMBSTONE_WINDOW_MS;
        Ok(released.filter(is_fresh).map(|released| released.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_one_lock_and_a_moment() {
        let marks = Contended::default();
        marks.mark(Key::from_static(b"k"), 1_000);
        for (key, since_ms, expected) in [(b"k", 999, true), (b"k", 1_000, false), (b"l", 0, false)]
        {
            assert_eq!(marks.was_marked(&Key::from_static(key), since_ms), expected, "{since_ms}");
        }
    }

    #[test]
    fn marks_are_bounded() {
        let marks = Contended::default();
        for number in 0..2 * MARKS_MAX {
            marks.mark(Key::from(number.to_be_bytes().to_vec()), 1_000);
        }
        assert_eq!(marks.0.lock().unwrap().len(), MARKS_MAX);
        marks.mark(Key::from_static(b"later"), 1_000 + TOMBSTONE_WINDOW_MS);
        assert_eq!(marks.0.lock().unwrap().len(), 1, "the old ones go");
    }
}
