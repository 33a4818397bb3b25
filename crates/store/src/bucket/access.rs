//! Who may use a bucket: what its row says of that, and what a decision made on it is worth.
//!
//! Policies are read and requests decided above this crate. What comes down is a grant: "this request
//! may go on, as far as what the bucket says is this". Every operation holds it against the row it
//! reads, in its commit: a decision that has become outdated is no decision.

use std::sync::Arc;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow, ObjectOwnership, PublicAccessBlock};
use tidelock_meta::record::bucket_document::DocumentId;
use tidelock_meta::record::controls::Acl;
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{ObjectVersion, VersionId};

use crate::Store;
use crate::commit::Reading;
use crate::error::{BucketError, GetObjectError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::find_version;
use crate::version::VersionSelector;

/// All that a bucket says of who may use it. A decision rests on it, and on the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAccess {
    /// The bucket: one made anew under its name is another.
    pub id: BucketId,
    /// Canonical id of its owner.
    pub owner: String,
    /// Its public access block.
    pub public_access_block: Option<PublicAccessBlock>,
    /// Who owns what is in it; lists mean nothing where the owner of the bucket does.
    pub object_ownership: Option<ObjectOwnership>,
    /// Its access control list; none is the owner's full control.
    pub acl: Option<Acl>,
    /// Its policy.
    pub policy: Option<DocumentId>,
    /// Whether versions can be locked in it. No decision rests on that.
    pub has_object_lock: bool,
}

impl BucketAccess {
    /// What the row says.
    pub fn of(row: &BucketRow) -> Self {
        Self {
            id: row.id,
            owner: row.owner.clone(),
            public_access_block: row.public_access_block,
            object_ownership: row.object_ownership,
            acl: row.acl.clone(),
            policy: row.policy,
            has_object_lock: row.object_lock.is_some(),
        }
    }

    /// Whether access control lists mean anything in it.
    pub fn has_acls(&self) -> bool {
        self.object_ownership != Some(ObjectOwnership::BucketOwnerEnforced)
    }

    fn holds_for(&self, row: &BucketRow) -> bool {
        self.id == row.id
            && self.owner == row.owner
            && self.public_access_block == row.public_access_block
            && self.object_ownership == row.object_ownership
            && self.acl == row.acl
            && self.policy == row.policy
    }
}

/// What an object says of who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAccess {
    /// Which version it is: one written anew under its key is another.
    pub version: VersionId,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Its access control list.
    pub acl: Option<Acl>,
}

impl ObjectAccess {
    /// What the version says; none if it is a delete marker.
    pub(crate) fn of(version: &ObjectVersion) -> Option<Self> {
        let facts = version.object()?;
        let (tags, acl) = (facts.tags.clone(), facts.controls.acl.clone());
        Some(Self { version: version.id, tags, acl })
    }
}

/// An object that was looked at for a decision, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedObject {
    /// Its bucket.
    pub bucket: BucketId,
    /// Its key.
    pub key: ObjectKey,
    /// The version that was asked for.
    pub selector: Option<VersionSelector>,
    /// What it said; none if it was not there.
    pub access: Option<ObjectAccess>,
}

/// What was decided that a request may use.
#[derive(Clone, Debug)]
pub struct Granted {
    /// A bucket, as long as it says this of who may.
    pub bucket: Arc<BucketAccess>,
    /// The object that the decision rests on, if it rests on one.
    pub object: Option<JudgedObject>,
}

/// Whether `principal` may use the bucket with this row. Its owner and root may, where no policy stands, of
/// the bucket or of theirs; for everything else somebody must have decided, on what the row still says.
pub(super) fn check(row: &BucketRow, principal: &Principal) -> Result<(), BucketError> {
    if principal.grants.iter().any(|grant| grant.holds_for(row)) {
        return Ok(());
    }
    let is_owner = principal.is_root || principal.owns(row);
    if !principal.grants.is_empty() {
        return Err(BucketError::AccessChanged);
    }
    let is_free = row.policy.is_none() && !principal.entitlement.is_narrowed();
    if is_owner && (is_free || !principal.is_bound) {
        Ok(())
    } else {
        Err(BucketError::AccessDenied)
    }
}

/// Whether what was decided of an object holds for the one that is there now: somebody may have written
/// another, or other tags and lists, while the request waited for its body.
pub(crate) fn check_object(
    principal: &Principal,
    (bucket, key, selector): (BucketId, &ObjectKey, Option<VersionSelector>),
    found: &ObjectVersion,
) -> Result<(), BucketError> {
    let is_of_it = |judged: &&JudgedObject| {
        judged.bucket == bucket && judged.key == *key && judged.selector == selector
    };
    let mut judged = principal.judged.iter().filter(is_of_it).peekable();
    if judged.peek().is_none() {
        return Ok(());
    }
    let found = ObjectAccess::of(found);
    if judged.all(|judged| judged.access == found) {
        Ok(())
    } else {
        Err(BucketError::AccessChanged)
    }
}

impl Store {
    /// What a bucket says of who may use it, for whoever decides; none if there is no such bucket. It is
    /// not confirmed: what follows from it is, by the operation that it allows.
    pub async fn look_at_access(
        &self,
        name: &BucketName,
    ) -> Result<Option<BucketAccess>, StorageError> {
        self.rows.look(|reading| async move { read_access(&reading, name).await }).await
    }

    /// The same, confirmed, for a refusal.
    pub async fn bucket_access(
        &self,
        name: &BucketName,
    ) -> Result<Option<BucketAccess>, StorageError> {
        self.rows.answer(|reading| async move { read_access(&reading, name).await }).await
    }

    /// What an object says of who may use it, for whoever decides; none if there is no such object.
    pub async fn object_access(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: Option<VersionSelector>,
    ) -> Result<Option<ObjectAccess>, GetObjectError> {
        let read = self.rows.answer(|reading| async move {
            let found = match version {
                Some(selector) => Some(find_version(&reading, bucket, key, selector).await?),
                None => {
                    let row = reading.value(head::key(bucket, key.as_str())).await?;
                    let head = row.map(|row| HeadRow::decode(&row)).transpose()?;
                    head.and_then(|head| head.current)
                }
            };
            Ok::<Option<ObjectVersion>, GetObjectError>(found)
        });
        let found = match read.await {
            Err(GetObjectError::NoSuchVersion) => None,
            found => found?,
        };
        Ok(found.as_ref().and_then(ObjectAccess::of))
    }
}

async fn read_access(
    reading: &Reading,
    name: &BucketName,
) -> Result<Option<BucketAccess>, StorageError> {
    let Some(value) = reading.value(bucket::key(name.as_str())).await? else { return Ok(None) };
    Ok(Some(BucketAccess::of(&BucketRow::decode(&value)?)))
}
