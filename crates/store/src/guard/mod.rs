//! The guard: a state lock becomes law.
//!
//! A client of S3 takes a lock and then writes as if there were none: no state write names its lock, no
//! unlock says which lock it means, and nobody tells that a run is still alive. The guard ties them
//! together again, from who asks ([`run`]), what is stored and what is written ([`rules`]), and decides
//! in the commit of the write itself: every lock, unlock and state write in a guarded bucket checks and
//! rewrites the state's guard row ([`tidelock_meta::record::guard`]).
//!
//! What it refuses it keeps ([`quarantine`]), and what it says is for people ([`message`]).

mod activity;
mod allow;
mod candidate;
mod delete;
pub(crate) mod events;
mod lock;
mod message;
mod quarantine;
mod quiet;
mod recent;
mod refusal;
mod release;
mod rules;
mod run;
mod tombstone;
mod unseen;
mod view;
mod wait;
mod write;

use tidelock_meta::record::guard::{self, GuardRow, Hold};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::run::Run;
use tidelock_meta::record::version::ObjectVersion;
use tidelock_meta::record::{BucketId, DecodeError};
use tidelock_meta::{Batch, Key, Versioned};

pub use allow::{ALLOWANCE_TERM_MAX, AllowError, StateAllowance};
pub(crate) use candidate::{Candidate, CurrentState, LOOKED_INTO_KIB_MAX};
pub(crate) use delete::DeleteVerdict;
pub(crate) use lock::purges_locks;
pub use message::LockFacts;
pub use quarantine::{REFUSED_KEPT_MAX, REFUSED_TERM, RefusedError, RefusedVersion};
pub use quiet::LockCounts;
pub use refusal::{LockedBy, Refusal, RefusalReason};
pub(crate) use release::LockDelete;
pub use release::{LockRelease, ReleaseError};
pub use view::HeldLock;
pub(crate) use view::guards_with_locks;
pub(crate) use wait::{RefusedLocks, Wait};
pub(crate) use write::{GuardedWrite, Verdict, rolled_back_from};

use crate::identity::Principal;
use crate::name::{ObjectKey, lock_key};
use run::Asker;

/// The guard of a state, as one operation has read it.
#[derive(Clone, Debug)]
pub(crate) struct OpenGuard {
    /// The key of the state.
    pub(crate) state: ObjectKey,
    pub(crate) key: Key,
    pub(crate) seen: Option<Versioned>,
    pub(crate) row: GuardRow,
}

impl OpenGuard {
    pub(crate) fn of(
        state: &ObjectKey,
        key: Key,
        seen: Option<&Versioned>,
    ) -> Result<Self, DecodeError> {
        let row = seen.map(|row| GuardRow::decode(&row.value)).transpose()?.unwrap_or_default();
        Ok(Self { state: state.clone(), key, seen: seen.cloned(), row })
    }

    /// The guard in the rows of [`guard_keys`]; none where there are none. `current` is the version
    /// that is current under `key`.
    pub(crate) fn of_rows(
        key: &ObjectKey,
        current: Option<&ObjectVersion>,
        keys: &[Key],
        rows: &[Option<Versioned>],
    ) -> Result<Option<Self>, DecodeError> {
        let (Some(guard_key), Some(seen)) = (keys.first(), rows.first()) else { return Ok(None) };
        let Some(state) = state_key(key) else { return Ok(None) };
        let guard = Self::of(&state, guard_key.clone(), seen.as_ref())?;
        Ok(Some(match rows.get(1) {
            Some(lock) => guard.with_lock(current_lock(lock.as_ref())?.as_ref()),
            None => guard.with_lock(current.filter(|lock| lock.object().is_some())),
        }))
    }

    /// The same, where `lock` is the version that is current under the key of the lock.
    pub(crate) fn with_lock(mut self, lock: Option<&ObjectVersion>) -> Self {
        fit_hold(&mut self.row, lock);
        self
    }

    /// Whether the request is a try of a call that had taken the lock before, and had it ended since: one
    /// that was held up on its way. The lock would be nobody's.
    pub(crate) fn has_ended_lock_of(&self, principal: &Principal) -> bool {
        Asker::of(principal).has_had_its_lock(&self.row)
    }

    /// Makes `batch` land only on what was read, and leave it. A guard that was never written is written
    /// now: that there is none cannot be checked otherwise, and a lock may be taken at this moment.
    pub(crate) fn check(&self, batch: &mut Batch) {
        match &self.seen {
            Some(seen) => batch.expect(self.key.clone(), Some(seen)),
            None => self.replace(batch, &self.row),
        }
    }

    /// Makes `batch` land only on what was read, and leave `row` instead.
    pub(crate) fn replace(&self, batch: &mut Batch, row: &GuardRow) {
        batch.expect(self.key.clone(), self.seen.as_ref());
        batch.put(self.key.clone(), row.encode());
    }
}

/// The keys of what a write of `key` must know of its guard: the guard's row, and for a state the head
/// of its lock. None where a lock has no state.
pub(crate) fn guard_keys(bucket: BucketId, key: &ObjectKey) -> Vec<Key> {
    let Some(state) = state_key(key) else { return Vec::new() };
    let guard = guard::key(bucket, state.as_str());
    if key.is_lock() {
        return vec![guard];
    }
    vec![guard, lock_head_key(bucket, state.as_str())]
}

/// While a bucket is not guarded, locks come and go without the guard's knowing. A lock in its row that
/// is not `lock`, the object that is current under the lock's key, is over; and `lock` is held, though
/// the guard has not seen it taken: by whoever wrote it, from wherever that was.
fn fit_hold(row: &mut GuardRow, lock: Option<&ObjectVersion>) {
    let is_fit = |hold: &Hold| lock.is_some_and(|lock| lock.id == hold.version);
    row.hold = row.hold.take().filter(is_fit).or_else(|| {
        let lock = lock?;
        let run = Run { holder: lock.author.clone(), ..Run::default() };
        Some(Hold::begun(lock.id, lock.modified_ms, run))
    });
}

/// The key of the head of a state's lock.
fn lock_head_key(bucket: BucketId, state: &str) -> Key {
    head::key(bucket, &lock_key(state))
}

/// The object that is current in the row of a lock's head.
fn current_lock(head: Option<&Versioned>) -> Result<Option<ObjectVersion>, DecodeError> {
    let head = head.map(|row| HeadRow::decode(&row.value)).transpose()?;
    Ok(head.and_then(|head| head.current).filter(|current| current.object().is_some()))
}

/// The key of the state that `key` is, or is the lock of.
pub(crate) fn state_key(key: &ObjectKey) -> Option<ObjectKey> {
    if key.is_lock() { key.locked_state() } else { Some(key.clone()) }
}
