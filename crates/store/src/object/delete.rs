//! DeleteObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>.

use tidelock_meta::record::bucket::Versioning;
use tidelock_meta::record::version::{self, ObjectVersion, VersionKind};
use tidelock_meta::{Batch, Key, OpId};

use super::install::{Noncurrent, OpenHead, Target, noncurrent, writes_null};
use super::put::op_id;
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, View};
use crate::condition::DeleteCondition;
use crate::error::{DeleteObjectError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::{DisplayVersion, VersionSelector};

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
    pub async fn delete_object(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        condition: &DeleteCondition,
    ) -> Result<DeletedObject, DeleteObjectError> {
        let target = Target { principal, bucket, key };
        let bucket_id = self.find_bucket(principal, bucket).await?.row.id;
        let keys = Self::target_keys(target, bucket_id);
        let random = self.random();
        self.update(&keys, |view| {
            let bucket = OpenBucket::again(bucket_id, bucket, view.rows[0].as_ref(), principal)?;
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            condition.check(head.row.current.as_ref())?;
            match (version, bucket.row.versioning) {
                (Some(selector), _) => {
                    self.plan_delete_version(target, &bucket, head, selector, view)
                }
                (None, Versioning::Unversioned) => Ok(self.plan_delete_only(&bucket, &head)),
                (None, Versioning::Enabled | Versioning::Suspended) => {
                    self.plan_delete_marker(target, &bucket, &head, random, view)
                }
            }
        })
        .await
    }

    fn plan_delete_only(&self, bucket: &OpenBucket, head: &OpenHead) -> Plan<DeletedObject> {
        let Some(old) = &head.row.current else { return Plan::Answer(DeletedObject::default()) };
        let mut batch = Batch::new(op_id(old));
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
        let now = self.now();
        let marker = ObjectVersion {
            id: head.next_id(now, random),
            is_null: writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: target.principal.arn.clone(),
            kind: VersionKind::DeleteMarker,
        };
        let deleted =
            DeletedObject { version: Some(DisplayVersion::of(&marker)), is_delete_marker: true };
        let mut batch = Batch::new(op_id(&marker));
        match self.install(&mut batch, (bucket, target.key), head, marker, view)? {
            Some(needed) => Ok(Plan::Read(needed)),
            None => Ok(Plan::Commit(batch, deleted)),
        }
    }

    fn plan_delete_version(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        head: OpenHead,
        selector: VersionSelector,
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        match &head.row.current {
            Some(current) if selector.matches(current) => {
                self.plan_delete_current(target, bucket, &head, current, view)
            }
            Some(_) | None => self.plan_delete_noncurrent(target, bucket, head, selector, view),
        }
    }

    /// The newest noncurrent version becomes current.
    fn plan_delete_current(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        head: &OpenHead,
        current: &ObjectVersion,
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let versions = version::range(bucket.row.id, target.key.as_str());
        let Some(found) = view.scanned(&versions) else { return Ok(Plan::Scan(versions, 1)) };
        let mut batch = Batch::new(op_id(current));
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
        bucket: &OpenBucket,
        head: OpenHead,
        selector: VersionSelector,
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let (key, old) = match noncurrent((bucket, target.key), &head, selector, view)? {
            Noncurrent::Needs(row) => return Ok(Plan::Read(vec![row])),
            Noncurrent::Absent => {
                let absent = DeletedObject { version: None, is_delete_marker: false };
                return Ok(Plan::Answer(absent));
            }
            Noncurrent::Found(row, version) => (row, version),
        };
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

fn deleted_version(version: &ObjectVersion) -> DeletedObject {
    DeletedObject {
        version: Some(DisplayVersion::of(version)),
        is_delete_marker: version.object().is_none(),
    }
}
