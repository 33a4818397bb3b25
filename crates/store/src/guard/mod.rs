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
mod refusal;
mod release;
mod rules;
mod run;
mod tombstone;
mod view;
mod write;

use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::record::{BucketId, DecodeError};
use tidelock_meta::{Batch, Key, Versioned};

pub use allow::{ALLOWANCE_TERM_MAX, AllowError, StateAllowance};
pub(crate) use candidate::{Candidate, CurrentState, LOOKED_INTO_KIB_MAX};
pub(crate) use delete::DeleteVerdict;
pub(crate) use lock::purges_locks;
pub use message::LockFacts;
pub(crate) use quarantine::PlannedRefusal;
pub use quarantine::{REFUSED_KEPT_MAX, REFUSED_TERM, RefusedError, RefusedVersion};
pub use quiet::LockCounts;
pub use refusal::{LockedBy, Refusal, RefusalReason};
pub(crate) use release::LockDelete;
pub use release::{LockRelease, ReleaseError};
pub(crate) use tombstone::Contended;
pub use view::HeldLock;
pub(crate) use write::{GuardedWrite, Verdict, rolled_back_from};

use crate::name::ObjectKey;

/// What follows the key of a state in that of its lock.
const LOCK_SUFFIX: &str = ".tflock";

/// The guard of a state, as one operation has read it.
#[derive(Clone, Debug)]
pub(crate) struct OpenGuard {
    pub(crate) key: Key,
    pub(crate) seen: Option<Versioned>,
    pub(crate) row: GuardRow,
}

impl OpenGuard {
    pub(crate) fn of(key: Key, seen: Option<&Versioned>) -> Result<Self, DecodeError> {
        let row = seen.map(|row| GuardRow::decode(&row.value)).transpose()?.unwrap_or_default();
        Ok(Self { key, seen: seen.cloned(), row })
    }

    /// Makes `batch` land only on what was read, and leave it. A guard that was never written is no row
    /// to check.
    pub(crate) fn check(&self, batch: &mut Batch) {
        if self.seen.is_some() {
            batch.expect(self.key.clone(), self.seen.as_ref());
        }
    }

    /// Makes `batch` land only on what was read, and leave `row` instead.
    pub(crate) fn replace(&self, batch: &mut Batch, row: &GuardRow) {
        batch.expect(self.key.clone(), self.seen.as_ref());
        batch.put(self.key.clone(), row.encode());
    }
}

/// The key of the guard of the state that `key` is, or is the lock of; none where a lock has no state.
pub(crate) fn guard_key(bucket: BucketId, key: &ObjectKey) -> Option<Key> {
    state_key(key).map(|state| guard::key(bucket, state.as_str()))
}

/// The key of the state that `key` is, or is the lock of.
pub(crate) fn state_key(key: &ObjectKey) -> Option<ObjectKey> {
    key.as_str().strip_suffix(LOCK_SUFFIX).unwrap_or(key.as_str()).parse().ok()
}
