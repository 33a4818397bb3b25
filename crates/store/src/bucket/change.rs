//! Changes of a bucket's configuration.

use std::collections::BTreeMap;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{
    self, BucketRow, DefaultEncryption, GuardConfig, ObjectLock, ObjectOwnership,
    PublicAccessBlock, Versioning,
};
use tidelock_meta::record::bucket_document::{self, DocumentId};
use tidelock_meta::record::controls::Acl;
use tidelock_meta::{Batch, OpId};

use super::OpenBucket;
use super::guard::GuardEdit;
use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::Plan;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;

/// Most tags of a bucket, as on AWS.
pub const BUCKET_TAGS_MAX: usize = 50;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketChange {
    /// PutBucketVersioning. It cannot go back to [`Versioning::Unversioned`], and not be suspended where
    /// there is Object Lock.
    Versioning(Versioning),
    /// Put or DeleteBucketEncryption.
    Encryption(Option<DefaultEncryption>),
    /// Put or DeletePublicAccessBlock.
    PublicAccessBlock(Option<PublicAccessBlock>),
    /// Put or DeleteBucketTagging.
    Tags(Option<Vec<(String, String)>>),
    /// TagResource: these besides those that it has, or instead of those with their keys.
    AddTags(Vec<(String, String)>),
    /// UntagResource: those with these keys go.
    RemoveTags(Vec<String>),
    /// Put or DeleteBucketOwnershipControls.
    ObjectOwnership(Option<ObjectOwnership>),
    /// PutBucketAcl; none is the owner's full control.
    Acl(Option<Acl>),
    /// PutObjectLockConfiguration: versioning must be on, and stays on from then on.
    ObjectLock(ObjectLock),
    /// Put or Delete of a document, in the form that its operation keeps it in.
    Document(DocumentKind, Option<Vec<u8>>),
    /// Guards its states, or ceases to.
    Guard(Option<GuardConfig>),
    /// Guards its states so, unless it is said already how they are.
    GuardUnlessSet(GuardConfig),
    /// Guards its states by other rules, some of them.
    EditGuard(GuardEdit),
}

/// A document that a bucket is configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// Its policy, as it was sent.
    Policy,
    /// Its CORS rules.
    Cors,
    /// Its lifecycle rules.
    Lifecycle,
}

impl DocumentKind {
    /// Which document of this kind a bucket has.
    pub fn of(self, row: &BucketRow) -> Option<DocumentId> {
        match self {
            Self::Policy => row.policy,
            Self::Cors => row.cors,
            Self::Lifecycle => row.lifecycle,
        }
    }

    fn of_mut(self, row: &mut BucketRow) -> &mut Option<DocumentId> {
        match self {
            Self::Policy => &mut row.policy,
            Self::Cors => &mut row.cors,
            Self::Lifecycle => &mut row.lifecycle,
        }
    }

    fn operation(self, is_put: bool) -> &'static str {
        match (self, is_put) {
            (Self::Policy, true) => "PutBucketPolicy",
            (Self::Policy, false) => "DeleteBucketPolicy",
            (Self::Cors, true) => "PutBucketCors",
            (Self::Cors, false) => "DeleteBucketCors",
            (Self::Lifecycle, true) => "PutBucketLifecycleConfiguration",
            (Self::Lifecycle, false) => "DeleteBucketLifecycle",
        }
    }
}

impl BucketChange {
    /// The operation that asks for it.
    fn operation(&self) -> &'static str {
        match self {
            Self::Versioning(_) => "PutBucketVersioning",
            Self::Encryption(Some(_)) => "PutBucketEncryption",
            Self::Encryption(None) => "DeleteBucketEncryption",
            Self::PublicAccessBlock(Some(_)) => "PutPublicAccessBlock",
            Self::PublicAccessBlock(None) => "DeletePublicAccessBlock",
            Self::Tags(Some(_)) => "PutBucketTagging",
            Self::Tags(None) => "DeleteBucketTagging",
            Self::AddTags(_) => "TagResource",
            Self::RemoveTags(_) => "UntagResource",
            Self::ObjectOwnership(Some(_)) => "PutBucketOwnershipControls",
            Self::ObjectOwnership(None) => "DeleteBucketOwnershipControls",
            Self::Acl(_) => "PutBucketAcl",
            Self::ObjectLock(_) => "PutObjectLockConfiguration",
            Self::Document(kind, content) => kind.operation(content.is_some()),
            Self::Guard(Some(_)) | Self::GuardUnlessSet(_) | Self::EditGuard(_) => "PutBucketGuard",
            Self::Guard(None) => "DeleteBucketGuard",
        }
    }
}

fn with_tags(
    row: &BucketRow,
    more: &[(String, String)],
) -> Result<Option<Vec<(String, String)>>, BucketError> {
    let all = row.tags.iter().flatten().chain(more);
    let tags: BTreeMap<_, _> = all.map(|(key, value)| (key, value)).collect();
    if tags.len() > BUCKET_TAGS_MAX {
        return Err(BucketError::TooManyTags);
    }
    let tags = tags.into_iter().map(|(key, value)| (key.clone(), value.clone()));
    Ok(Some(tags.collect::<Vec<_>>()).filter(|tags| !tags.is_empty()))
}

fn without_tags(row: &BucketRow, keys: &[String]) -> Option<Vec<(String, String)>> {
    let left = row.tags.iter().flatten().filter(|(key, _)| !keys.contains(key));
    Some(left.cloned().collect::<Vec<_>>()).filter(|tags| !tags.is_empty())
}

impl Store {
    /// Makes the change.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used, or is not in a state that the change can follow.
    pub async fn change_bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
        change: &BucketChange,
    ) -> Result<(), BucketError> {
        let op_id = OpId(self.random());
        let document = DocumentId(self.random());
        self.update(&[bucket::key(name.as_str())], |view| {
            let open = OpenBucket::of(name, view.rows[0].as_ref(), principal)?;
            let mut row = open.row.clone();
            row.deleting = false;
            match change {
                BucketChange::ObjectOwnership(ownership) => {
                    row.object_ownership = *ownership;
                    if *ownership == Some(ObjectOwnership::BucketOwnerEnforced) && row.acl.is_some()
                    {
                        return Err(BucketError::HasAcl);
                    }
                }
                BucketChange::Acl(acl) => row.acl.clone_from(acl),
                BucketChange::Document(kind, content) => {
                    *kind.of_mut(&mut row) = content.as_ref().map(|_| document);
                }
                BucketChange::Versioning(versioning) => {
                    if row.object_lock.is_some() && *versioning != Versioning::Enabled {
                        return Err(BucketError::HasObjectLock);
                    }
                    row.versioning = *versioning;
                }
                BucketChange::ObjectLock(lock) => {
                    if row.versioning != Versioning::Enabled {
                        return Err(BucketError::NotVersioned);
                    }
                    row.object_lock = Some(*lock);
                }
                BucketChange::Encryption(encryption) => row.encryption.clone_from(encryption),
                BucketChange::PublicAccessBlock(block) => row.public_access_block = *block,
                BucketChange::Tags(tags) => row.tags.clone_from(tags),
                BucketChange::AddTags(more) => row.tags = with_tags(&open.row, more)?,
                BucketChange::RemoveTags(keys) => row.tags = without_tags(&open.row, keys),
                BucketChange::Guard(guard) => row.guard.clone_from(guard),
                BucketChange::GuardUnlessSet(guard) => {
                    row.guard.get_or_insert_with(|| guard.clone());
                }
                BucketChange::EditGuard(edit) => row.guard = Some(edit.over(row.guard.as_ref())),
            }
            if row == open.row {
                return Ok(Plan::Answer(()));
            }
            let mut batch = Batch::new(op_id);
            open.replace(&mut batch, &row);
            if let BucketChange::Document(kind, content) = change {
                let key = |id| bucket_document::key(row.id, id);
                kind.of(&open.row).into_iter().for_each(|old| batch.delete(key(old)));
                let content = content.as_ref().map(|content| bucket_document::encode(content));
                content.into_iter().for_each(|content| batch.put(key(document), content));
            }
            let event = AuditEvent::new(change.operation()).bucket(name.as_str());
            self.audit(&mut batch, principal, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }
}

impl Store {
    /// A document of a bucket, by the id that its row told; none if another one has replaced it since.
    pub async fn bucket_document(
        &self,
        bucket: BucketId,
        id: DocumentId,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let row = self.rows.immutable().value(bucket_document::key(bucket, id)).await?;
        Ok(row.map(|row| bucket_document::decode(&row)).transpose()?)
    }
}
