//! DeleteBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>.
//!
//! The row is marked first, which fences writers (they check it); then the bucket is looked through;
//! then the marked row is deleted, at its version. A write that comes in between rewrites the row, so
//! that the deletion loses: no acknowledged write vanishes with its bucket.

use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::reclaim::Reclaimed;
use tidelock_meta::record::{BucketId, version};
use tidelock_meta::{Batch, OpId, successor_of_key};

use super::OpenBucket;
use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::{Plan, Reading};
use crate::error::{BucketError, DeleteBucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;

/// How often writers may call a deletion off before it gives up.
const DELETE_ATTEMPTS_MAX: u32 = 10;
/// Rows of one step through the heads of a bucket.
const HEAD_SCAN_ROWS: usize = 500;

enum Marked {
    Deleted,
    Disturbed,
}

impl Store {
    /// Deletes an empty bucket. Multipart uploads under way in it are dropped.
    pub async fn delete_bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
    ) -> Result<(), DeleteBucketError> {
        for _ in 0..DELETE_ATTEMPTS_MAX {
            let id = self.mark_deleting(principal, name, true).await?;
            // Confirmed: nothing that the commit checks tells that the bucket is empty.
            let looked = self.rows.answer(|reading| async move {
                let open = OpenBucket::read(&reading, name, principal).await?;
                let is_empty = is_empty(&reading, id).await?;
                Ok::<_, BucketError>((open, is_empty))
            });
            let (open, is_empty) = looked.await?;
            if !open.row.deleting || open.row.id != id {
                continue;
            }
            if !is_empty {
                self.mark_deleting(principal, name, false).await?;
                return Err(DeleteBucketError::NotEmpty);
            }
            match self.delete_marked(principal, name, &open).await? {
                Marked::Deleted => return Ok(()),
                Marked::Disturbed => {}
            }
        }
        Err(StorageError::Overloaded("writers keep the bucket from being deleted".to_owned())
            .into())
    }

    async fn mark_deleting(
        &self,
        principal: &Principal,
        name: &BucketName,
        deleting: bool,
    ) -> Result<BucketId, BucketError> {
        let op_id = OpId(self.random());
        self.update(&[bucket::key(name.as_str())], |view| {
            let open = OpenBucket::of(name, view.rows[0].as_ref(), principal)?;
            let id = open.row.id;
            if open.row.deleting == deleting {
                return Ok(Plan::Answer(id));
            }
            let mut batch = Batch::new(op_id);
            open.replace(&mut batch, &BucketRow { deleting, ..open.row.clone() });
            Ok(Plan::Commit(batch, id))
        })
        .await
    }

    async fn delete_marked(
        &self,
        principal: &Principal,
        name: &BucketName,
        open: &OpenBucket,
    ) -> Result<Marked, StorageError> {
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(open.key.clone(), Some(&open.seen));
        batch.delete(open.key.clone());
        self.reclaim(&mut batch, open.row.id.0, Reclaimed::Bucket);
        let event = AuditEvent::new("DeleteBucket").bucket(name.as_str());
        self.audit(&mut batch, principal, &event);
        Ok(if self.try_commit(batch).await? { Marked::Deleted } else { Marked::Disturbed })
    }
}

async fn is_empty(reading: &Reading, id: BucketId) -> Result<bool, StorageError> {
    if !reading.scan(version::range_of_bucket(id, ""), 1).await?.is_empty() {
        return Ok(false);
    }
    let mut rest = head::range(id, "");
    loop {
        let rows = reading.scan(rest.clone(), HEAD_SCAN_ROWS).await?;
        for (_, row) in &rows {
            if HeadRow::decode(&row.value)?.current.is_some() {
                return Ok(false);
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == HEAD_SCAN_ROWS => {
                rest = rest.starting_at(successor_of_key(last));
            }
            Some(_) | None => return Ok(true),
        }
    }
}
