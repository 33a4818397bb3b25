//! The removals of lifecycle rules: one commit each, which decides anew from the rows it checks.
//!
//! The bucket's row says that the rules are still the same; the head is the lock of the key. A version that
//! was written, tagged or locked meanwhile is looked at as it is now.

use std::sync::Arc;

use tidelock_meta::record::lifecycle::LifecycleRule;
use tidelock_meta::record::version::{self, ObjectVersion, VersionId};
use tidelock_meta::{Batch, Key, OpId, successor_of_key};

use super::pass::Ruled;
use super::rules;
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, View};
use crate::error::{DeleteObjectError, StorageError};
use crate::guard::{OpenGuard, guard_keys};
use crate::name::ObjectKey;
use crate::object::{Governance, OpenHead, Target, is_protected_version};
use crate::version::DisplayVersion;

/// Noncurrent versions that one commit removes, with the chunks of their bodies.
const VERSIONS_PER_COMMIT: usize = 8;
/// Rows of one step through the versions of a key.
const VERSION_SCAN_ROWS: usize = 200;

/// What is due, with the rule that says so.
type Due<'a> = (Key, ObjectVersion, &'a LifecycleRule);

impl Store {
    /// Ends the current version of a key, if a rule still says so: by a delete marker where there are
    /// versions.
    pub(super) async fn expire_current(
        self: &Arc<Self>,
        ruled: &Ruled,
        key: &ObjectKey,
        rules: &[&LifecycleRule],
    ) -> Result<bool, StorageError> {
        // A lock that is there is held, in a guarded bucket or not.
        if key.is_lock() {
            return Ok(false);
        }
        let target = ruled.target(key);
        let found = match self.find_bucket(target.principal, target.bucket).await {
            Ok(found) => found,
            Err(error) => return settle(Err(error.into())),
        };
        let harmless = match found.row.guard {
            Some(_) => self.harmless_version(target, &found).await?,
            None => None,
        };
        let random = self.random();
        let mut keys = Self::target_keys(target, ruled.id).to_vec();
        keys.extend(guard_keys(ruled.id, key));
        let ended = self.update(&keys, |view| {
            let Some((bucket, head)) = ruled.open(target, &keys, view)? else {
                return Ok(Plan::Answer(false));
            };
            let Some(current) = &head.row.current else { return Ok(Plan::Answer(false)) };
            let (now, day_ms) = (self.now(), self.lifecycle_day_ms());
            let Some(rule) = rules::expiring(rules, current, now, day_ms) else {
                return Ok(Plan::Answer(false));
            };
            let guard = OpenGuard::of_rows(key, Some(current), &keys[2..], &view.rows[2..])?;
            let is_held = guard.as_ref().is_some_and(|guard| guard.row.hold.is_some());
            let is_guarded = bucket.row.guard.is_some();
            if is_guarded && (is_held || harmless != Some(current.id)) {
                return Ok(Plan::Answer(false));
            }
            let plan = self.plan_delete(
                target,
                (None, Governance::Heeded),
                (&bucket, &head, random),
                view,
            )?;
            let plan = plan.also(|batch, deleted| {
                // A state that is written meanwhile rewrites its guard.
                if let Some(guard) = guard.filter(|guard| is_guarded && guard.seen.is_some()) {
                    guard.check(batch);
                }
                self.tell_expired(batch, target, ("ExpireObject", rule), deleted.version);
            });
            Ok::<_, DeleteObjectError>(plan.map(|_| true))
        });
        settle(ended.await)
    }

    /// The version that is current in a guarded bucket, if it is no state.
    async fn harmless_version(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
    ) -> Result<Option<VersionId>, StorageError> {
        let current = self.current_state(target, bucket).await?;
        Ok(current.version.filter(|_| !current.is_state()))
    }

    /// Removes the delete marker that is current, if nothing is behind it and a rule still says so.
    pub(super) async fn expire_marker(
        &self,
        ruled: &Ruled,
        key: &ObjectKey,
        rules: &[&LifecycleRule],
    ) -> Result<bool, StorageError> {
        let target = ruled.target(key);
        let keys = Self::target_keys(target, ruled.id);
        let versions = version::range(ruled.id, key.as_str());
        let ended = self.update(&keys, |view| {
            let Some((bucket, head)) = ruled.open(target, &keys, view)? else {
                return Ok(Plan::Answer(false));
            };
            let marker = head.row.current.as_ref().filter(|current| current.object().is_none());
            let Some(marker) = marker else { return Ok(Plan::Answer(false)) };
            let (now, day_ms) = (self.now(), self.lifecycle_day_ms());
            let Some(rule) = rules::expiring_marker(rules, marker, now, day_ms) else {
                return Ok(Plan::Answer(false));
            };
            let Some(behind) = view.scanned(&versions) else {
                return Ok(Plan::Scan(versions.clone(), 1));
            };
            if !behind.is_empty() {
                return Ok(Plan::Answer(false));
            }
            let plan = self.plan_delete_current(target, &bucket, &head, marker, view)?;
            let plan = plan.also(|batch, deleted| {
                self.tell_expired(batch, target, ("ExpireDeleteMarker", rule), deleted.version);
            });
            Ok::<_, DeleteObjectError>(plan.map(|_| true))
        });
        settle(ended.await)
    }

    /// Removes the noncurrent versions of a key that are due; says how many.
    pub(super) async fn expire_noncurrent(
        &self,
        ruled: &Ruled,
        key: &ObjectKey,
        rules: &[&LifecycleRule],
    ) -> Result<u64, StorageError> {
        let target = ruled.target(key);
        let keys = Self::target_keys(target, ruled.id);
        let mut removed = 0;
        loop {
            let op_id = OpId(self.random());
            let ended = self.update(&keys, |view| {
                let Some((bucket, head)) = ruled.open(target, &keys, view)? else {
                    return Ok(Plan::Answer(0));
                };
                let due = match self.due_noncurrent(ruled, key, (rules, &head), view)? {
                    Ok(due) => due,
                    Err(scan) => return Ok(scan),
                };
                let removed = due.len();
                if removed == 0 {
                    return Ok(Plan::Answer(0));
                }
                let batch = self.noncurrent_removal(target, (&bucket, &head), due, op_id);
                Ok::<_, DeleteObjectError>(Plan::Commit(batch, removed))
            });
            let some = settle(ended.await)?;
            removed += some as u64;
            if some < VERSIONS_PER_COMMIT {
                return Ok(removed);
            }
        }
    }

    /// The first noncurrent versions that are due, or what must be read to tell.
    fn due_noncurrent<'a>(
        &self,
        ruled: &Ruled,
        key: &ObjectKey,
        (rules, head): (&[&'a LifecycleRule], &OpenHead),
        view: &View,
    ) -> Result<Result<Vec<Due<'a>>, Plan<usize>>, StorageError> {
        let Some(current) = &head.row.current else { return Ok(Ok(Vec::new())) };
        let (now, day_ms) = (self.now(), self.lifecycle_day_ms());
        let mut rest = version::range(ruled.id, key.as_str());
        // Each was current until the next newer one was written.
        let (mut since_ms, mut newer, mut due) = (current.modified_ms, 0, Vec::new());
        loop {
            let Some(rows) = view.scanned(&rest) else {
                return Ok(Err(Plan::Scan(rest, VERSION_SCAN_ROWS)));
            };
            for (row, seen) in rows {
                let version = ObjectVersion::decode(&seen.value)?;
                let place = (since_ms, newer);
                let rule = rules::expiring_noncurrent(rules, &version, place, now, day_ms);
                (since_ms, newer) = (version.modified_ms, newer + 1);
                let is_protected = is_protected_version(&version, Governance::Heeded, now);
                due.extend(rule.filter(|_| !is_protected).map(|rule| (row.clone(), version, rule)));
                if due.len() == VERSIONS_PER_COMMIT {
                    return Ok(Ok(due));
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == VERSION_SCAN_ROWS => {
                    rest = rest.starting_at(successor_of_key(last));
                }
                Some(_) | None => return Ok(Ok(due)),
            }
        }
    }

    fn noncurrent_removal(
        &self,
        target: Target<'_>,
        (bucket, head): (&OpenBucket, &OpenHead),
        due: Vec<Due<'_>>,
        op_id: OpId,
    ) -> Batch {
        let mut batch = Batch::new(op_id);
        let mut row = head.row.clone();
        // A deleted row is the first write: it tells whether a lost commit landed, since the head is
        // rewritten only to be the lock it is.
        for (key, _, _) in &due {
            batch.delete(key.clone());
        }
        for (_, version, rule) in due {
            self.discard_version(&mut batch, &version);
            if version.is_null {
                row.null_sequence = None;
            }
            let shown = Some(DisplayVersion::of(&version));
            self.tell_expired(&mut batch, target, ("ExpireNoncurrentVersion", rule), shown);
        }
        batch.expect(head.key.clone(), head.seen.as_ref());
        batch.put(head.key.clone(), row.encode());
        bucket.guard(&mut batch);
        batch
    }

    /// Adds the entry in the audit log.
    fn tell_expired(
        &self,
        batch: &mut Batch,
        target: Target<'_>,
        (action, rule): (&'static str, &LifecycleRule),
        version: Option<DisplayVersion>,
    ) {
        let event = AuditEvent::new(action).object(target.bucket.as_str(), target.key.as_str());
        let version_id = version.map(|version| version.to_string()).unwrap_or_default();
        let reason = format!("lifecycle rule {}", rule.id);
        self.audit(batch, target.principal, &AuditEvent { version_id, reason, ..event });
    }
}

impl Ruled {
    fn target<'a>(&'a self, key: &'a ObjectKey) -> Target<'a> {
        Target { principal: &self.principal, bucket: &self.name, key }
    }

    /// Bucket and head; none if the rules are others by now.
    fn open(
        &self,
        target: Target<'_>,
        keys: &[Key],
        view: &View,
    ) -> Result<Option<(OpenBucket, OpenHead)>, DeleteObjectError> {
        let seen = view.rows[0].as_ref();
        let bucket = OpenBucket::again(self.id, target.bucket, seen, target.principal)?;
        if bucket.row.lifecycle != Some(self.document) {
            return Ok(None);
        }
        let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
        Ok(Some((bucket, head)))
    }
}

/// Only a failure of the store is one: what is not there any more need not expire.
fn settle<T: Default>(ended: Result<T, DeleteObjectError>) -> Result<T, StorageError> {
    match ended {
        Ok(ended) => Ok(ended),
        Err(DeleteObjectError::Bucket(error)) => error.into_storage().map_or(Ok(T::default()), Err),
        Err(
            DeleteObjectError::Condition(_)
            | DeleteObjectError::Refused(_)
            | DeleteObjectError::HeldByAnother(_)
            | DeleteObjectError::Protected,
        ) => Ok(T::default()),
    }
}
