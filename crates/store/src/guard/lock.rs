//! Taking a lock: a PUT of the lock object of a state.

use tidelock_meta::record::bucket::{BucketRow, GuardConfig, LockHistory, Versioning};
use tidelock_meta::record::contended::{self, ContendedRow};
use tidelock_meta::record::guard::{GuardRow, Hold, Released};
use tidelock_meta::record::version::ObjectVersion;
use tidelock_meta::{Batch, OpId};
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock};

use super::refusal::LockedBy;
use super::run::Asker;
use super::{OpenGuard, events, state_key};
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::error::StorageError;
use crate::identity::Principal;
use crate::object::Target;

/// Who was refused a lock may read it for this long after that, if it is given back meanwhile: without
/// its body, `-lock-timeout` does not wait.
pub(crate) const TOMBSTONE_WINDOW_MS: i64 = 3_000;
/// A refusal is recorded again only after this long.
const CONTENDED_RENEWAL_MS: i64 = 1_000;

impl Store {
    /// Adds to `batch` that the asker holds the lock `version` from now on.
    pub(crate) fn take_lock(
        &self,
        batch: &mut Batch,
        target: Target<'_>,
        bucket: &OpenBucket,
        guard: &OpenGuard,
        version: &ObjectVersion,
        body: Option<&[u8]>,
    ) {
        let asker = Asker::of(target.principal);
        let mut row: GuardRow = guard.row.clone();
        self.forget_released(batch, &mut row);
        if row.hold.is_some() {
            // Written over, where that is only observed. Without its body, the entry says less.
            let lost = self.held_lock(bucket, guard).ok().flatten();
            let event = events::of_lock("LockBroken", target, lost.as_ref());
            let event = AuditEvent { reason: "written over".to_owned(), ..event };
            self.audit(batch, target.principal, &event);
            row.end_hold(self.now(), true, asker.call());
        }
        asker.begin_anew(&mut row);
        let body = body.filter(|body| body.len() <= LOCK_BYTES_MAX);
        let seal = |body| self.seal_lock(bucket.row.id, &guard.state, version.id, body);
        let sealed = body.map(seal);
        row.hold = Some(Hold {
            sealed_lock: sealed.unwrap_or_default(),
            taken_by: asker.call(),
            ..Hold::begun(version.id, self.now(), asker.run().clone())
        });
        guard.replace(batch, &row);
        let lock = body.and_then(Lock::parse);
        self.audit(
            batch,
            target.principal,
            &events::of_lock("LockAcquired", target, lock.as_ref()),
        );
    }

    /// What is left to be written when the holder sends its lock again: that it is the holder, on this
    /// connection too.
    pub(crate) fn note_holder(&self, principal: &Principal, guard: &OpenGuard) -> Option<Batch> {
        let asker = Asker::of(principal);
        let mut row = guard.row.clone();
        asker.begin_anew(&mut row);
        asker.seen_as(&mut row.hold.as_mut()?.run);
        let mut batch = Batch::new(OpId(self.random()));
        guard.replace(&mut batch, &row);
        (row != guard.row).then_some(batch)
    }

    /// The body of the lock that was given back before is needed no more.
    pub(super) fn forget_released(&self, batch: &mut Batch, row: &mut GuardRow) {
        if let Some(body) = row.released.take().as_ref().and_then(Released::own_body) {
            self.discard_version(batch, body);
        }
    }

    /// What somebody is told who wanted a lock that is held.
    pub(crate) fn locked_by(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        config: &GuardConfig,
        guard: &OpenGuard,
    ) -> Result<Option<LockedBy>, StorageError> {
        let state = &guard.state;
        let Some(held) = self.held_now(bucket, state, &guard.row)? else { return Ok(None) };
        let now = self.now();
        let lock = held.facts(now, config);
        let message = lock.refusal_of_lock(target.bucket.as_str(), state.as_str(), now);
        Ok(Some(LockedBy { message, lock }))
    }

    /// Records that somebody was refused the lock, before they are told.
    pub(crate) async fn mark_contended(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        locked: &LockedBy,
    ) -> Result<(), StorageError> {
        self.note(target.principal, &events::of_locked(target, locked));
        let Some(state) = state_key(target.key) else { return Ok(()) };
        let (key, now) = (contended::key(bucket.row.id, state.as_str()), self.now());
        if self.refused_locks.recorded.was_marked(&key, now - CONTENDED_RENEWAL_MS) {
            return Ok(());
        }
        let until_ms = now + TOMBSTONE_WINDOW_MS + CONTENDED_RENEWAL_MS;
        let mut batch = Batch::new(OpId(self.random()));
        batch.put(key.clone(), ContendedRow { until_ms }.encode());
        if self.try_commit(batch).await? {
            self.refused_locks.recorded.mark(key, now);
        }
        Ok(())
    }
}

/// Whether the locks of a bucket leave nothing behind. Without versions nothing stays anyhow; where
/// versions can be locked by Object Lock, nothing is removed that a client has not named.
pub(crate) fn purges_locks(config: &GuardConfig, row: &BucketRow) -> bool {
    if row.object_lock.is_some() {
        return false;
    }
    match (config.lock_history, row.versioning) {
        (LockHistory::Purge, _) | (LockHistory::Keep, Versioning::Unversioned) => true,
        (LockHistory::Keep, Versioning::Enabled | Versioning::Suspended) => false,
    }
}
