//! Object tags: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>.

use tidelock_meta::record::version::{ObjectVersion, VersionKind};
use tidelock_meta::{Batch, OpId};

use super::ObjectInfo;
use super::install::{Noncurrent, OpenHead, Target, noncurrent};
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::Plan;
use crate::error::GetObjectError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::{DisplayVersion, VersionSelector};

impl Store {
    /// Replaces the tags of an object, or of one version of it. Neither its time nor its entity tag
    /// changes.
    pub async fn put_object_tags(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        tags: &[(String, String)],
    ) -> Result<ObjectInfo, GetObjectError> {
        let target = Target { principal, bucket, key };
        let bucket_id = self.find_bucket(principal, bucket).await?.row.id;
        let keys = Self::target_keys(target, bucket_id);
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let bucket = OpenBucket::again(bucket_id, bucket, view.rows[0].as_ref(), principal)?;
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let mut batch = Batch::new(op_id);
            match (&head.row.current, version) {
                (Some(current), None) => {
                    self.plan_tag_current(batch, (target, &bucket), &head, current, tags)
                }
                (Some(current), Some(selector)) if selector.matches(current) => {
                    self.plan_tag_current(batch, (target, &bucket), &head, current, tags)
                }
                (None, None) => Err(GetObjectError::NoSuchKey { delete_marker: None }),
                (_, Some(selector)) => {
                    let (row, old) = match noncurrent((&bucket, key), &head, selector, view)? {
                        Noncurrent::Needs(row) => return Ok(Plan::Read(vec![row])),
                        Noncurrent::Absent => return Err(GetObjectError::NoSuchVersion),
                        Noncurrent::Found(row, version) => (row, version),
                    };
                    let (tagged, info) = tag(&old, tags, &bucket)?;
                    batch.put(row, tagged.encode());
                    batch.expect(head.key.clone(), head.seen.as_ref());
                    batch.put(head.key.clone(), head.row.encode());
                    bucket.guard(&mut batch);
                    self.audit(&mut batch, principal, &tagged_event(target, tags, &info));
                    Ok(Plan::Commit(batch, info))
                }
            }
        })
        .await
    }

    fn plan_tag_current(
        &self,
        mut batch: Batch,
        (target, bucket): (Target<'_>, &OpenBucket),
        head: &OpenHead,
        current: &ObjectVersion,
        tags: &[(String, String)],
    ) -> Result<Plan<ObjectInfo>, GetObjectError> {
        if current.object().is_none() {
            let delete_marker = Some(DisplayVersion::of(current));
            return Err(GetObjectError::NoSuchKey { delete_marker });
        }
        let (tagged, info) = tag(current, tags, bucket)?;
        let mut row = head.row.clone();
        row.current = Some(tagged);
        head.replace(&mut batch, &row);
        bucket.guard(&mut batch);
        self.audit(&mut batch, target.principal, &tagged_event(target, tags, &info));
        Ok(Plan::Commit(batch, info))
    }
}

fn tagged_event(target: Target<'_>, tags: &[(String, String)], info: &ObjectInfo) -> AuditEvent {
    let action = if tags.is_empty() { "DeleteObjectTagging" } else { "PutObjectTagging" };
    let event = AuditEvent::new(action).object(target.bucket.as_str(), target.key.as_str());
    AuditEvent { version_id: info.version.to_string(), ..event }
}

fn tag(
    version: &ObjectVersion,
    tags: &[(String, String)],
    bucket: &OpenBucket,
) -> Result<(ObjectVersion, ObjectInfo), GetObjectError> {
    let mut tagged = version.clone();
    let VersionKind::Object(facts) = &mut tagged.kind else {
        return Err(GetObjectError::IsDeleteMarker {
            version: DisplayVersion::of(version),
            modified_ms: version.modified_ms,
        });
    };
    facts.tags = tags.to_vec();
    let info = ObjectInfo::of(version, facts, bucket.row.versioning);
    Ok((tagged, info))
}
