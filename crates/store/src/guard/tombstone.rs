//! Tombstones: a lock that was given back stays readable for a moment for those who were refused it.
//!
//! Terraform reads the lock after it was refused, and waits (`-lock-timeout`) only if it reads one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tidelock_meta::Key;
use tidelock_meta::record::contended::{self, ContendedRow};
use tidelock_meta::record::guard::{self, GuardRow, Released};
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
pub(crate) struct Contended(Mutex<HashMap<Key, (u64, i64)>>);

impl Contended {
    /// Whether a refusal of the lock `epoch` was recorded after `since_ms`.
    pub(super) fn was_marked(&self, key: &Key, epoch: u64, since_ms: i64) -> bool {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(key).is_some_and(|(of, at)| *of == epoch && *at > since_ms)
    }

    pub(super) fn mark(&self, key: Key, epoch: u64, now_ms: i64) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKS_MAX {
            marks.retain(|_, (_, at)| *at > now_ms - TOMBSTONE_WINDOW_MS);
        }
        if marks.len() < MARKS_MAX {
            marks.insert(key, (epoch, now_ms));
        }
    }
}

/// What there is to read under the key of a lock that is not there.
pub(crate) enum Tombstone {
    /// Nothing.
    Nothing,
    /// The lock that was given back last.
    Released(ObjectVersion),
    /// A lock that was taken since.
    TakenAnew,
}

impl Store {
    /// The lock that was under this key until a moment ago, if somebody was refused a lock there a moment
    /// ago: that one, or one before it, for it may have changed hands more than once since.
    pub(crate) async fn tombstone(
        &self,
        reading: &Reading,
        bucket: &OpenBucket,
        target: Target<'_>,
    ) -> Result<Tombstone, StorageError> {
        // The HTTP backend answers a refusal with the lock: nobody there reads it afterwards.
        let reads_after = target.principal.origin.protocol != Protocol::TerraformHttp;
        if bucket.row.guard.is_none() || !reads_after {
            return Ok(Tombstone::Nothing);
        }
        let Some(state) = state_key(target.key) else { return Ok(Tombstone::Nothing) };
        let id = bucket.row.id;
        let rows = reading
            .get(&[guard::key(id, state.as_str()), contended::key(id, state.as_str())])
            .await?;
        let (Some(guard), Some(contended)) = (&rows[0], &rows[1]) else {
            return Ok(Tombstone::Nothing);
        };
        let guard = GuardRow::decode(&guard.value)?;
        let contended = ContendedRow::decode(&contended.value)?;
        let now = self.now();
        if contended.until_ms < now {
            return Ok(Tombstone::Nothing);
        }
        if guard.hold.is_some() {
            return Ok(Tombstone::TakenAnew);
        }
        let fresh = |it: &Released| now - it.released_ms <= TOMBSTONE_WINDOW_MS;
        let released = guard.released.filter(fresh);
        Ok(released.map_or(Tombstone::Nothing, |it| Tombstone::Released(it.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_one_lock_and_a_moment() {
        let (marks, key) = (Contended::default(), Key::from_static(b"k"));
        marks.mark(key.clone(), 1, 1_000);
        for (epoch, since_ms, expected) in [(1, 999, true), (1, 1_000, false), (2, 0, false)] {
            assert_eq!(marks.was_marked(&key, epoch, since_ms), expected, "{epoch} {since_ms}");
        }
    }

    #[test]
    fn marks_are_bounded() {
        let marks = Contended::default();
        for number in 0..2 * MARKS_MAX {
            marks.mark(Key::from(number.to_be_bytes().to_vec()), 1, 1_000);
        }
        assert_eq!(marks.0.lock().unwrap().len(), MARKS_MAX);
        marks.mark(Key::from_static(b"later"), 1, 1_000 + TOMBSTONE_WINDOW_MS);
        assert_eq!(marks.0.lock().unwrap().len(), 1, "the old ones go");
    }
}
