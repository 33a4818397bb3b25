//! What can be changed of an object that is there: its tags, its access control list. Neither its time nor
//! its entity tag changes.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html>.

use tidelock_meta::record::controls::Acl;
use tidelock_meta::record::version::{ObjectFacts, ObjectVersion, VersionKind};
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

/// A change of an object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectEdit {
    /// These are its tags.
    Tags(Vec<(String, String)>),
    /// This is its access control list; none is the full control of the bucket's owner.
    Acl(Option<Acl>),
}

impl ObjectEdit {
    /// The operation that asks for it.
    fn operation(&self) -> &'static str {
        match self {
            Self::Tags(tags) if tags.is_empty() => "DeleteObjectTagging",
            Self::Tags(_) => "PutObjectTagging",
            Self::Acl(_) => "PutObjectAcl",
        }
    }

    fn apply(&self, facts: &mut ObjectFacts) {
        match self {
            Self::Tags(tags) => facts.tags.clone_from(tags),
            Self::Acl(acl) => facts.controls.acl.clone_from(acl),
        }
    }
}

impl Store {
    /// Changes an object, or one version of it.
    pub async fn edit_object(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        edit: &ObjectEdit,
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
                    self.plan_edit_of_current(batch, (target, &bucket), &head, current, edit)
                }
                (Some(current), Some(selector)) if selector.matches(current) => {
                    self.plan_edit_of_current(batch, (target, &bucket), &head, current, edit)
                }
                (None, None) => Err(GetObjectError::NoSuchKey { delete_marker: None }),
                (_, Some(selector)) => {
                    let (row, old) = match noncurrent((&bucket, key), &head, selector, view)? {
                        Noncurrent::Needs(row) => return Ok(Plan::Read(vec![row])),
                        Noncurrent::Absent => return Err(GetObjectError::NoSuchVersion),
                        Noncurrent::Found(row, version) => (row, version),
                    };
                    let (edited, info) = edited(&old, edit, &bucket)?;
                    batch.put(row, edited.encode());
                    batch.expect(head.key.clone(), head.seen.as_ref());
                    batch.put(head.key.clone(), head.row.encode());
                    bucket.guard(&mut batch);
                    self.audit(&mut batch, principal, &event(target, edit, &info));
                    Ok(Plan::Commit(batch, info))
                }
            }
        })
        .await
    }

    fn plan_edit_of_current(
        &self,
        mut batch: Batch,
        (target, bucket): (Target<'_>, &OpenBucket),
        head: &OpenHead,
        current: &ObjectVersion,
        edit: &ObjectEdit,
    ) -> Result<Plan<ObjectInfo>, GetObjectError> {
        if current.object().is_none() {
            let delete_marker = Some(DisplayVersion::of(current));
            return Err(GetObjectError::NoSuchKey { delete_marker });
        }
        let (edited, info) = edited(current, edit, bucket)?;
        let mut row = head.row.clone();
        row.current = Some(edited);
        head.replace(&mut batch, &row);
        bucket.guard(&mut batch);
        self.audit(&mut batch, target.principal, &event(target, edit, &info));
        Ok(Plan::Commit(batch, info))
    }
}

fn event(target: Target<'_>, edit: &ObjectEdit, info: &ObjectInfo) -> AuditEvent {
    let event = AuditEvent::new(edit.operation());
    let event = event.object(target.bucket.as_str(), target.key.as_str());
    AuditEvent { version_id: info.version.to_string(), ..event }
}

fn edited(
    version: &ObjectVersion,
    edit: &ObjectEdit,
    bucket: &OpenBucket,
) -> Result<(ObjectVersion, ObjectInfo), GetObjectError> {
    let mut edited = version.clone();
    let VersionKind::Object(facts) = &mut edited.kind else {
        return Err(GetObjectError::IsDeleteMarker {
            version: DisplayVersion::of(version),
            modified_ms: version.modified_ms,
        });
    };
    edit.apply(facts);
    let info = ObjectInfo::of(version, facts, bucket.row.versioning);
    Ok((edited, info))
}
