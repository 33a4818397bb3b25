//! DeleteObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>.

use tidelock_meta::record::bucket::Versioning;
use tidelock_meta::record::version::{self, ObjectVersion, VersionKind};
use tidelock_meta::{Batch, Key, OpId};

use super::install::{Keeping, Noncurrent, OpenHead, Target, noncurrent, writes_null};
use super::lock::{Governance, is_protected_version};
use super::put::op_id;
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, View};
use crate::condition::DeleteCondition;
use crate::error::{DeleteObjectError, StorageError};
use crate::guard::{DeleteVerdict, LockDelete, OpenGuard, Refusal, guard_keys};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::{DisplayVersion, VersionSelector};

/// How often a delete begins anew because the bucket's guard has changed.
const LOOKS_MAX: u32 = 20;

/// What a delete answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// The version that is gone, or the delete marker that was made; none in an unversioned bucket.
    pub version: Option<DisplayVersion>,
    /// That version is a delete marker.
    pub is_delete_marker: bool,
}

impl Store {
    /// Deletes an object: in a versioned bucket by a delete marker, or one version of it for good.
    /// What is not there is as good as deleted.
    ///
    /// A condition is about the current version, also where a version is named (AWS does not say).
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used, the condition does not hold, the guard refuses it, or the version
    /// that was named is locked.
    pub async fn delete_object(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        condition: &DeleteCondition,
    ) -> Result<DeletedObject, DeleteObjectError> {
        let target = Target { principal, bucket, key };
        for _ in 0..LOOKS_MAX {
            let found = self.find_bucket(principal, bucket).await?;
            if let Some(deleted) = self.try_delete(target, version, condition, &found).await? {
                return Ok(deleted);
            }
        }
        Err(StorageError::Overloaded("the bucket's guard keeps changing".to_owned()).into())
    }

    /// None if the bucket's guard has changed since it was found.
    async fn try_delete(
        &self,
        target: Target<'_>,
        version: Option<VersionSelector>,
        condition: &DeleteCondition,
        found: &OpenBucket,
    ) -> Result<Option<DeletedObject>, DeleteObjectError> {
        let (bucket_id, random) = (found.row.id, self.random());
        let mut keys = Self::target_keys(target, bucket_id).to_vec();
        if found.row.guard.is_some() {
            keys.extend(guard_keys(bucket_id, target.key));
        }
        let settled = self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            if bucket.row.guard != found.row.guard {
                return Ok::<_, DeleteObjectError>(Plan::Answer(Ended::LookAgain));
            }
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            condition.check(head.row.current.as_ref())?;
            let current = head.row.current.as_ref();
            let guard = OpenGuard::of_rows(target.key, current, &keys[2..], &view.rows[2..])?;
            let is_of_current = version
                .is_none_or(|selector| current.is_some_and(|current| selector.matches(current)));
            let place = (&bucket, &head, random);
            let plan = || self.plan_delete(target, (version, condition.governance), place, view);
            let Some(guard) = guard.filter(|_| is_of_current) else {
                return Ok(self.told(plan()?, target, "DeleteObject").map(Ended::Done));
            };
            let check = |batch: &mut Batch, _: &DeletedObject| guard.check(batch);
            if target.key.is_lock() {
                let (bucket, head, guard) = (&bucket, &head, &guard);
                let (is_certain, breaking) = (condition.names_object(), condition.breaking);
                let delete =
                    LockDelete { target, bucket, head, guard, is_certain, breaking, random };
                let plan = match (version, &guard.row.hold) {
                    (None, _) => self.plan_delete_lock(&delete, view)?,
                    // A version that is named goes, and what it did as a lock with it.
                    (Some(_), Some(_)) => self.end_lock(plan()?, &delete)?,
                    (Some(_), None) => self.told(plan()?.also(check), target, "DeleteObject"),
                };
                return Ok(plan.map(Ended::Done));
            }
            // A marker that is named goes, and what is behind it becomes the state.
            let changes = version.is_some() || current.is_some_and(|it| it.object().is_some());
            match self.guard_delete(target, &bucket, &guard, changes)? {
                DeleteVerdict::Refuse(refusal, batch) => {
                    Ok(Plan::Commit(batch, Ended::Refused(refusal)))
                }
                DeleteVerdict::Pass => {
                    let is_state = current.and_then(|it| it.object()?.state.as_ref()).is_some();
                    let action = if is_state { "StateDeleted" } else { "DeleteObject" };
                    Ok(self.told(plan()?.also(check), target, action).map(Ended::Done))
                }
            }
        });
        match settled.await? {
            Ended::Done(deleted) => Ok(Some(deleted)),
            Ended::Refused(refusal) => Err(DeleteObjectError::Refused(refusal)),
            Ended::LookAgain => Ok(None),
        }
    }

    /// The delete, with its entry in the audit log.
    fn told(
        &self,
        plan: Plan<DeletedObject>,
        target: Target<'_>,
        action: &'static str,
    ) -> Plan<DeletedObject> {
        plan.also(|batch, deleted| {
            let shown = deleted.version.map(|version| version.to_string()).unwrap_or_default();
            let (bucket, key) = (target.bucket.as_str(), target.key.as_str());
            let event = AuditEvent::new(action).object(bucket, key);
            self.audit(batch, target.principal, &AuditEvent { version_id: shown, ..event });
        })
    }

    pub(crate) fn plan_delete(
        &self,
        target: Target<'_>,
        (version, governance): (Option<VersionSelector>, Governance),
        (bucket, head, random): (&OpenBucket, &OpenHead, [u8; 8]),
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        match (version, bucket.row.versioning) {
            (Some(selector), _) => {
                let place = (bucket, head);
                self.plan_delete_version(target, place, (selector, governance), view)
            }
            (None, Versioning::Unversioned) => Ok(self.plan_delete_only(bucket, head)),
            (None, Versioning::Enabled | Versioning::Suspended) => {
                self.plan_delete_marker(target, bucket, head, random, view)
            }
        }
    }

    fn plan_delete_only(&self, bucket: &OpenBucket, head: &OpenHead) -> Plan<DeletedObject> {
        let Some(old) = &head.row.current else { return Plan::Answer(DeletedObject::default()) };
        let mut batch = Batch::new(OpId(self.random()));
        self.discard_version(&mut batch, old);
        let mut row = head.row.clone();
        row.current = None;
        row.mutations += 1;
        head.replace(&mut batch, &row);
        bucket.guard(&mut batch);
        Plan::Commit(batch, DeletedObject::default())
    }

    fn plan_delete_marker(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        head: &OpenHead,
        random: [u8; 8],
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let marker = self.delete_marker(target, bucket, head, random);
        let deleted = deleted_version(&marker);
        let mut batch = Batch::new(op_id(&marker));
        let (at, new) = ((bucket, target.key), (marker, Keeping::AsVersioned));
        match self.install(&mut batch, at, head, new, view)? {
            Some(needed) => Ok(Plan::Read(needed)),
            None => Ok(Plan::Commit(batch, deleted)),
        }
    }

    pub(crate) fn delete_marker(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        head: &OpenHead,
        random: [u8; 8],
    ) -> ObjectVersion {
        let now = self.now();
        ObjectVersion {
            id: head.next_id(now, random),
            is_null: writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: target.principal.arn.to_string(),
            kind: VersionKind::DeleteMarker,
        }
    }

    /// A version that is locked stays: that is decided from the rows that the commit checks.
    fn plan_delete_version(
        &self,
        target: Target<'_>,
        (bucket, head): (&OpenBucket, &OpenHead),
        (selector, governance): (VersionSelector, Governance),
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        match &head.row.current {
            Some(current) if selector.matches(current) => {
                self.refuse_protected(current, governance)?;
                self.plan_delete_current(target, bucket, head, current, view)
            }
            Some(_) | None => {
                let asked = (selector, governance);
                self.plan_delete_noncurrent(target, (bucket, head), asked, view)
            }
        }
    }

    fn refuse_protected(
        &self,
        version: &ObjectVersion,
        governance: Governance,
    ) -> Result<(), DeleteObjectError> {
        match is_protected_version(version, governance, self.now()) {
            true => Err(DeleteObjectError::Protected),
            false => Ok(()),
        }
    }

    /// The newest noncurrent version becomes current.
    pub(crate) fn plan_delete_current(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        head: &OpenHead,
        current: &ObjectVersion,
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let versions = version::range(bucket.row.id, target.key.as_str());
        let Some(found) = view.scanned(&versions) else { return Ok(Plan::Scan(versions, 1)) };
        let mut batch = Batch::new(OpId(self.random()));
        self.discard_version(&mut batch, current);
        let mut row = head.row.clone();
        row.mutations += 1;
        row.current = match found.first() {
            Some((key, next)) => {
                let next = ObjectVersion::decode(&next.value).map_err(StorageError::from)?;
                batch.delete(key.clone());
                if next.is_null {
                    row.null_sequence = None;
                }
                Some(next)
            }
            None => None,
        };
        head.replace(&mut batch, &row);
        bucket.guard(&mut batch);
        Ok(Plan::Commit(batch, deleted_version(current)))
    }

    fn plan_delete_noncurrent(
        &self,
        target: Target<'_>,
        (bucket, head): (&OpenBucket, &OpenHead),
        (selector, governance): (VersionSelector, Governance),
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let (key, old) = match noncurrent((bucket, target.key), head, selector, view)? {
            Noncurrent::Needs(row) => return Ok(Plan::Read(vec![row])),
            Noncurrent::Absent => {
                let absent = DeletedObject { version: None, is_delete_marker: false };
                return Ok(Plan::Answer(absent));
            }
            Noncurrent::Found(row, version) => (row, version),
        };
        self.refuse_protected(&old, governance)?;
        let mut batch = Batch::new(OpId(self.random()));
        // The deleted row is the first write: it alone tells whether a lost commit landed, since the
        // head is rewritten only to be the lock it is.
        batch.delete(key);
        self.discard_version(&mut batch, &old);
        let mut row = head.row.clone();
        if old.is_null {
            row.null_sequence = None;
        }
        let rewritten: Key = head.key.clone();
        batch.expect(rewritten.clone(), head.seen.as_ref());
        batch.put(rewritten, row.encode());
        bucket.guard(&mut batch);
        Ok(Plan::Commit(batch, deleted_version(&old)))
    }
}

/// How a delete ended.
enum Ended {
    Done(DeletedObject),
    /// The guard refused it.
    Refused(Box<Refusal>),
    /// What was looked at before is outdated.
    LookAgain,
}

fn deleted_version(version: &ObjectVersion) -> DeletedObject {
    DeletedObject {
        version: Some(DisplayVersion::of(version)),
        is_delete_marker: version.object().is_none(),
    }
}
