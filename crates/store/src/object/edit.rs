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
use crate::bucket::{OpenBucket, check_object};
use crate::commit::{Plan, View};
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
            let plan = plan_change((&bucket, target, &head), version, op_id, view, |facts| {
                edit.apply(facts);
                Ok::<_, GetObjectError>(())
            });
            Ok(plan?.also(|batch, info| {
                let event = AuditEvent::new(edit.operation());
                self.audit(batch, principal, &changed(event, target, info));
            }))
        })
        .await
    }
}

/// What the audit log says of a version that was changed.
pub(super) fn changed(event: AuditEvent, target: Target<'_>, info: &ObjectInfo) -> AuditEvent {
    let event = event.object(target.bucket.as_str(), target.key.as_str());
    AuditEvent { version_id: info.version.to_string(), ..event }
}

/// Plans that an object, or one version of it, is changed where it stands, if it still is the one that was
/// looked at for the decision that it may be.
pub(super) fn plan_change<E: From<GetObjectError>>(
    (bucket, target, head): (&OpenBucket, Target<'_>, &OpenHead),
    version: Option<VersionSelector>,
    op_id: OpId,
    view: &View,
    change: impl FnOnce(&mut ObjectFacts) -> Result<(), E>,
) -> Result<Plan<ObjectInfo>, E> {
    let mut batch = Batch::new(op_id);
    let check = |found: &ObjectVersion| {
        let place = (bucket.row.id, target.key, version);
        check_object(target.principal, place, found).map_err(GetObjectError::from)
    };
    let current = head.row.current.as_ref();
    let is_current = |current: &&ObjectVersion| version.is_none_or(|it| it.matches(current));
    if let Some(current) = current.filter(is_current) {
        if version.is_none() && current.object().is_none() {
            let delete_marker = Some(DisplayVersion::of(current));
            return Err(GetObjectError::NoSuchKey { delete_marker }.into());
        }
        check(current)?;
        let (changed, info) = change_facts(current, bucket, change)?;
        let mut row = head.row.clone();
        row.current = Some(changed);
        head.replace(&mut batch, &row);
        bucket.guard(&mut batch);
        return Ok(Plan::Commit(batch, info));
    }
    let Some(selector) = version else {
        return Err(GetObjectError::NoSuchKey { delete_marker: None }.into());
    };
    let found =
        noncurrent((bucket, target.key), head, selector, view).map_err(GetObjectError::from)?;
    let (row, old) = match found {
        Noncurrent::Needs(row) => return Ok(Plan::Read(vec![row])),
        Noncurrent::Absent => return Err(GetObjectError::NoSuchVersion.into()),
        Noncurrent::Found(row, version) => (row, version),
    };
    check(&old)?;
    let (changed, info) = change_facts(&old, bucket, change)?;
    batch.put(row, changed.encode());
    batch.expect(head.key.clone(), head.seen.as_ref());
    batch.put(head.key.clone(), head.row.encode());
    bucket.guard(&mut batch);
    Ok(Plan::Commit(batch, info))
}

fn change_facts<E: From<GetObjectError>>(
    version: &ObjectVersion,
    bucket: &OpenBucket,
    change: impl FnOnce(&mut ObjectFacts) -> Result<(), E>,
) -> Result<(ObjectVersion, ObjectInfo), E> {
    let mut changed = version.clone();
    let VersionKind::Object(facts) = &mut changed.kind else {
        let (version, modified_ms) = (DisplayVersion::of(version), version.modified_ms);
        return Err(GetObjectError::IsDeleteMarker { version, modified_ms }.into());
    };
    change(facts)?;
    let info = ObjectInfo::of(version, facts, bucket.row.versioning);
    Ok((changed, info))
}
