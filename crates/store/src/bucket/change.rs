//! Changes of a bucket's configuration.

use tidelock_meta::record::bucket::{
    self, DefaultEncryption, GuardConfig, PublicAccessBlock, Versioning,
};
use tidelock_meta::{Batch, OpId};

use super::OpenBucket;
use super::guard::GuardEdit;
use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::Plan;
use crate::error::BucketError;
use crate::identity::Principal;
use crate::name::BucketName;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketChange {
    /// PutBucketVersioning. It cannot go back to [`Versioning::Unversioned`].
    Versioning(Versioning),
    /// Put or DeleteBucketEncryption.
    Encryption(Option<DefaultEncryption>),
    /// Put or DeletePublicAccessBlock.
    PublicAccessBlock(Option<PublicAccessBlock>),
    /// Put or DeleteBucketTagging.
    Tags(Option<Vec<(String, String)>>),
    /// Guards its states, or ceases to.
    Guard(Option<GuardConfig>),
    /// Guards its states so, unless it is said already how they are.
    GuardUnlessSet(GuardConfig),
    /// Guards its states by other rules, some of them.
    EditGuard(GuardEdit),
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
            Self::Guard(Some(_)) | Self::GuardUnlessSet(_) | Self::EditGuard(_) => "PutBucketGuard",
            Self::Guard(None) => "DeleteBucketGuard",
        }
    }
}

impl Store {
    /// Makes the change.
    pub async fn change_bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
        change: &BucketChange,
    ) -> Result<(), BucketError> {
        let op_id = OpId(self.random());
        self.update(&[bucket::key(name.as_str())], |view| {
            let open = OpenBucket::of(name, view.rows[0].as_ref(), principal)?;
            let mut row = open.row.clone();
            row.deleting = false;
            match change {
                BucketChange::Versioning(versioning) => row.versioning = *versioning,
                BucketChange::Encryption(encryption) => row.encryption = *encryption,
                BucketChange::PublicAccessBlock(block) => row.public_access_block = *block,
                BucketChange::Tags(tags) => row.tags.clone_from(tags),
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
            let event = AuditEvent::new(change.operation()).bucket(name.as_str());
            self.audit(&mut batch, principal, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }
}
