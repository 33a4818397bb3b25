//! Buckets: made, looked at, changed, deleted.

mod access;
mod change;
mod create;
mod delete;
mod guard;
mod list;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::{Batch, Key, Versioned};

pub(crate) use access::check_object;
pub use access::{BucketAccess, Granted, JudgedObject, ObjectAccess};
pub use change::{BUCKET_TAGS_MAX, BucketChange, DocumentKind};
pub use create::NewBucket;
pub use guard::GuardEdit;
pub use list::BucketPage;

use crate::commit::Reading;
use crate::error::BucketError;
use crate::identity::Principal;
use crate::name::BucketName;

/// A bucket as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its row: owner, creation time, configuration.
    pub row: BucketRow,
}

/// A bucket that the caller may use, as one operation has read it.
#[derive(Clone, Debug)]
pub(crate) struct OpenBucket {
    key: Key,
    seen: Versioned,
    pub(crate) row: BucketRow,
}

impl OpenBucket {
    /// The bucket in `seen`, if there is one and `principal` may use it: the user that made it and root
    /// may, others only with a grant, and where there is a policy nobody without one ([`access`]).
    pub(crate) fn of(
        name: &BucketName,
        seen: Option<&Versioned>,
        principal: &Principal,
    ) -> Result<Self, BucketError> {
        let Some(seen) = seen else { return Err(BucketError::NoSuchBucket) };
        let row = BucketRow::decode(&seen.value)?;
        access::check(&row, principal)?;
        Ok(Self { key: bucket::key(name.as_str()), seen: seen.clone(), row })
    }

    /// The bucket `name`, read now.
    pub(crate) async fn read(
        reading: &Reading,
        name: &BucketName,
        principal: &Principal,
    ) -> Result<Self, BucketError> {
        let seen = reading.row(bucket::key(name.as_str())).await?;
        Self::of(name, seen.as_ref(), principal)
    }

    /// The bucket `id`, read once more. One that was made anew under the name since is another: there
    /// was a moment without this one, and what is written under its id would belong to nobody.
    pub(crate) fn again(
        id: BucketId,
        name: &BucketName,
        seen: Option<&Versioned>,
        principal: &Principal,
    ) -> Result<Self, BucketError> {
        let open = Self::of(name, seen, principal)?;
        if open.row.id == id { Ok(open) } else { Err(BucketError::NoSuchBucket) }
    }

    /// Makes `batch` land only while the bucket is as it was read. A write to a bucket that is about to
    /// be deleted calls that off: DeleteBucket checks the row it has marked, so one of them loses.
    pub(crate) fn guard(&self, batch: &mut Batch) {
        batch.expect(self.key.clone(), Some(&self.seen));
        if self.row.deleting {
            let row = BucketRow { deleting: false, ..self.row.clone() };
            batch.put(self.key.clone(), row.encode());
        }
    }

    /// Makes `batch` replace the row.
    fn replace(&self, batch: &mut Batch, row: &BucketRow) {
        batch.expect(self.key.clone(), Some(&self.seen));
        batch.put(self.key.clone(), row.encode());
    }
}
