//! CreateBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>.

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow, ObjectLock, ObjectOwnership, Versioning};
use tidelock_meta::record::controls::Acl;
use tidelock_meta::{Batch, OpId};

use super::Bucket;
use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::{Plan, Reading};
use crate::error::CreateBucketError;
use crate::identity::Principal;
use crate::name::BucketName;

/// What a bucket is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBucket {
    /// The `LocationConstraint`; empty for the default region.
    pub region: String,
    /// Tags.
    pub tags: Option<Vec<(String, String)>>,
    /// Who owns what others write into it.
    pub object_ownership: ObjectOwnership,
    /// Who may use it besides its owner.
    pub acl: Option<Acl>,
    /// Whether versions can be locked; it has versions then.
    pub object_lock: Option<ObjectLock>,
}

impl Default for NewBucket {
    fn default() -> Self {
        Self {
            region: String::new(),
            tags: None,
            object_ownership: ObjectOwnership::BucketOwnerEnforced,
            acl: None,
            object_lock: None,
        }
    }
}

impl Store {
    /// Makes a bucket that belongs to `principal`.
    ///
    /// # Errors
    ///
    /// When somebody has a bucket of that name, or the caller has too many.
    pub async fn create_bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
        new: NewBucket,
    ) -> Result<Bucket, CreateBucketError> {
        let owned = self
            .rows
            .look(|reading| async move { count_buckets(&reading, principal).await })
            .await?;
        let row = BucketRow {
            id: BucketId(self.random()),
            owner: principal.canonical_id.to_string(),
            created_ms: self.now(),
            region: new.region,
            versioning: match new.object_lock {
                Some(_) => Versioning::Enabled,
                None => Versioning::Unversioned,
            },
            deleting: false,
            public_access_block: None,
            encryption: None,
            tags: new.tags,
            guard: None,
            object_ownership: Some(new.object_ownership),
            acl: new.acl,
            object_lock: new.object_lock,
            policy: None,
            cors: None,
            lifecycle: None,
        };
        let key = bucket::key(name.as_str());
        let op_id = OpId(row.id.0);
        self.update(std::slice::from_ref(&key), |view| {
            if let Some(seen) = &view.rows[0] {
                let existing = BucketRow::decode(&seen.value)?;
                let is_own = *existing.owner == *principal.canonical_id;
                return Err(match is_own {
                    true => CreateBucketError::AlreadyOwnedByYou,
                    false => CreateBucketError::AlreadyExists,
                });
            }
            // Counted before, not in the commit: a limit against accidents, not a quota.
            if owned >= self.config.buckets_per_user_max {
                return Err(CreateBucketError::TooManyBuckets);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), None);
            batch.put(key.clone(), row.encode());
            let event = AuditEvent::new("CreateBucket").bucket(name.as_str());
            self.audit(&mut batch, principal, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(Bucket { name: name.as_str().to_owned(), row })
    }
}

async fn count_buckets(
    reading: &Reading,
    principal: &Principal,
) -> Result<usize, CreateBucketError> {
    let mut owned = 0;
    for (_, value) in reading.all(bucket::range("")).await? {
        if BucketRow::decode(&value)?.owner == *principal.canonical_id {
            owned += 1;
        }
    }
    Ok(owned)
}
