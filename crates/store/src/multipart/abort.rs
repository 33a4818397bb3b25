//! AbortMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>.

use tidelock_meta::record::reclaim::Reclaimed;
use tidelock_meta::record::upload::{self, UploadId};
use tidelock_meta::{Batch, OpId, Write};

use super::OpenUpload;
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::Plan;
use crate::error::UploadError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{OpenHead, Target};

impl Store {
    /// Ends an upload without an object; its parts go.
    pub async fn abort_upload(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<(), UploadError> {
        let target = Target { principal, bucket, key };
        let bucket_id = self.find_bucket(principal, bucket).await?.row.id;
        let [bucket_key, head_key] = Self::target_keys(target, bucket_id);
        let keys = [bucket_key, head_key, upload::key(bucket_id, key.as_str(), upload)];
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let open = OpenBucket::again(bucket_id, bucket, view.rows[0].as_ref(), principal)?;
            let under_way = OpenUpload::under_way(keys[2].clone(), view.rows[2].as_ref())?;
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let mut row = head.row.clone();
            row.uploads = row.uploads.saturating_sub(1);
            let mut batch = Batch::new(op_id);
            head.replace(&mut batch, &row);
            batch.expect(under_way.key.clone(), Some(&under_way.seen));
            batch.writes.insert(0, Write::Delete(under_way.key.clone()));
            self.reclaim(&mut batch, upload.0, Reclaimed::Upload);
            open.guard(&mut batch);
            let event = AuditEvent::new("AbortMultipartUpload");
            self.audit(&mut batch, principal, &event.object(bucket.as_str(), key.as_str()));
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }
}
