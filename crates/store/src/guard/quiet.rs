//! Quiet locks: found and told of once, never broken. A holder that writes again is no longer quiet.

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow, GuardConfig};
use tidelock_meta::{Batch, OpId};

use super::view::held_guards;
use super::{OpenGuard, events, guard_keys};
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::Plan;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::Target;

/// The locks of a store, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockCounts {
    /// Held, in guarded buckets.
    pub held: u64,
    /// Of these, the quiet ones.
    pub quiet: u64,
}

impl Store {
    /// Looks through all locks, and tells the audit log of those that have become quiet.
    ///
    /// # Errors
    ///
    /// When the store fails; the next look begins anew.
    pub async fn look_for_quiet_locks(&self) -> Result<LockCounts, StorageError> {
        let mut counts = LockCounts::default();
        for (key, value) in self.rows.latest().all(bucket::range("")).await? {
            let Ok(name) = bucket::decode_key(&key)?.parse::<BucketName>() else { continue };
            let row = BucketRow::decode(&value)?;
            if let Some(config) = &row.guard {
                self.look_through_bucket(&name, &row, config, &mut counts).await?;
            }
        }
        Ok(counts)
    }

    async fn look_through_bucket(
        &self,
        name: &BucketName,
        bucket: &BucketRow,
        config: &GuardConfig,
        counts: &mut LockCounts,
    ) -> Result<(), StorageError> {
        for (key, row) in held_guards(&self.rows.latest(), bucket.id, "").await? {
            counts.held += 1;
            let Some(hold) = row.hold.filter(|it| it.is_quiet(self.now(), config.stale_after_ms))
            else {
                continue;
            };
            counts.quiet += 1;
            if hold.told_quiet_ms.is_none()
                && let Ok(state) = key.parse()
            {
                self.tell_quiet(name, bucket.id, &state).await?;
            }
        }
        Ok(())
    }

    async fn tell_quiet(
        &self,
        name: &BucketName,
        id: BucketId,
        state: &ObjectKey,
    ) -> Result<(), StorageError> {
        // What the server does at nobody's request it does as root.
        let (root, server) = (Principal::root().unbound(), Principal::server());
        let op_id = OpId(self.random());
        let mut keys = vec![bucket::key(name.as_str())];
        keys.extend(guard_keys(id, state));
        let told = self.update(&keys, |view| {
            let open = OpenBucket::again(id, name, view.rows[0].as_ref(), &root)?;
            let Some(config) = &open.row.guard else { return Ok(Plan::Answer(())) };
            let guard = OpenGuard::of_rows(state, None, &keys[1..], &view.rows[1..])?;
            let Some(guard) = guard else { return Ok(Plan::Answer(())) };
            let now = self.now();
            let mut row = guard.row.clone();
            match &mut row.hold {
                Some(hold)
                    if hold.told_quiet_ms.is_none()
                        && hold.is_quiet(now, config.stale_after_ms) =>
                {
                    hold.told_quiet_ms = Some(now);
                }
                // Its holder came back, or another server has told.
                Some(_) | None => return Ok(Plan::Answer(())),
            }
            let held = self.held_now(&open, state, &guard.row)?;
            let lock = held.as_ref().and_then(|held| held.lock.as_ref());
            let mut batch = Batch::new(op_id);
            guard.replace(&mut batch, &row);
            let target = Target { principal: &server, bucket: name, key: state };
            let event = events::of_lock("LockQuiet", target, lock);
            let holder = held.as_ref().map(|held| held.hold.run.holder.clone());
            let event = AuditEvent { subject: holder.unwrap_or_default(), ..event };
            self.audit(&mut batch, &server, &event);
            Ok::<_, BucketError>(Plan::Commit(batch, ()))
        });
        match told.await {
            Err(BucketError::Storage(error)) => Err(error),
            // A bucket that went at this moment has no locks; nothing else keeps the server out.
            Ok(())
            | Err(
                BucketError::NoSuchBucket
                | BucketError::AccessDenied
                | BucketError::AccessChanged
                | BucketError::HasAcl
                | BucketError::TooManyTags
                | BucketError::NoObjectLock
                | BucketError::NotVersioned
                | BucketError::HasObjectLock,
            ) => Ok(()),
        }
    }
}
