//! PutObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>.

use tidelock_meta::record::version::{ETag, ObjectFacts, ObjectVersion, VersionKind};
use tidelock_meta::{Batch, OpId};

use super::install::{OpenHead, Target, writes_null};
use super::{ObjectSettings, StoredObject};
use crate::Store;
use crate::body::source::BodySource;
use crate::body::write::{BodyExpectation, WrittenBody};
use crate::bucket::OpenBucket;
use crate::checksum::ChecksumRequest;
use crate::commit::Plan;
use crate::condition::{ConditionFailure, UploadWindow, WriteCondition};
use crate::error::PutObjectError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::DisplayVersion;

/// A PutObject request, but for its body.
#[derive(Clone, Debug)]
pub struct PutObject<'a> {
    /// Who writes.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Under which conditions.
    pub condition: &'a WriteCondition,
    /// Headers, metadata and tags.
    pub settings: &'a ObjectSettings,
    /// `Content-MD5`
    pub content_md5: Option<[u8; 16]>,
    /// The checksum asked for.
    pub checksum: Option<ChecksumRequest>,
}

impl Store {
    /// Writes an object. It is there, whole and durable, when this answers.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used, a condition does not hold, or the body is not what was
    /// announced. Then nothing has changed.
    pub async fn put_object(
        &self,
        request: &PutObject<'_>,
        source: &mut dyn BodySource,
    ) -> Result<StoredObject, PutObjectError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        self.refuse_early(target, request.condition).await?;
        let expectation =
            BodyExpectation { md5: request.content_md5, checksum: request.checksum.clone() };
        let written = self.write_body(source, &expectation).await?;
        self.commit_object(target, request.condition, request.settings, written).await
    }

    /// Refuses before the body is read what the commit would refuse. A lock is not refused here: it
    /// may turn out to be the very lock that is held.
    pub(crate) async fn refuse_early(
        &self,
        target: Target<'_>,
        condition: &WriteCondition,
    ) -> Result<(), PutObjectError> {
        let look = self.rows.look(|reading| async move {
            let bucket = OpenBucket::read(&reading, target.bucket, target.principal).await?;
            if condition.is_empty() || target.key.is_lock() {
                return Ok(());
            }
            let [_, key] = Self::target_keys(target, bucket.row.id);
            let seen = reading.row(key.clone()).await?;
            let head = OpenHead::of(key, seen.as_ref())?;
            condition.check(head.row.current.as_ref(), UploadWindow::Quiet)?;
            Ok(())
        });
        look.await
    }

    /// Makes a written body the current version of a key, if the condition holds.
    pub(crate) async fn commit_object(
        &self,
        target: Target<'_>,
        condition: &WriteCondition,
        settings: &ObjectSettings,
        written: WrittenBody,
    ) -> Result<StoredObject, PutObjectError> {
        let bucket_id = self.find_bucket(target.principal, target.bucket).await?.row.id;
        let keys = Self::target_keys(target, bucket_id);
        let random = self.random();
        let result = self
            .update(&keys, |view| {
                let seen = view.rows[0].as_ref();
                let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
                let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
                if let Err(failure) =
                    condition.check(head.row.current.as_ref(), UploadWindow::Quiet)
                {
                    return self.same_lock(target, failure, (&bucket, &head), &written, view);
                }
                let new = self.new_version(target, (&bucket, &head), settings, &written, random);
                let stored = stored(&new, &bucket, &written);
                let mut batch = Batch::new(op_id(&new));
                let place = (&bucket, target.key);
                if let Some(needed) = self.install(&mut batch, place, &head, new, view)? {
                    return Ok(Plan::Read(needed));
                }
                written.keep(&mut batch);
                Ok(Plan::Commit(batch, stored))
            })
            .await;
        if result.as_ref().is_err_and(|error| !error.is_outcome_unknown()) {
            self.abandon(written).await;
        }
        result
    }

    fn new_version(
        &self,
        target: Target<'_>,
        place: (&OpenBucket, &OpenHead),
        settings: &ObjectSettings,
        written: &WrittenBody,
        random: [u8; 8],
    ) -> ObjectVersion {
        let (bucket, head) = place;
        let now = self.now();
        let id = head.next_id(now, random);
        let bound_to = Self::key_place(bucket.row.id, target.key, id);
        ObjectVersion {
            id,
            is_null: writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: target.principal.arn.clone(),
            kind: VersionKind::Object(Box::new(ObjectFacts {
                size: written.size,
                etag: ETag { md5: written.md5, parts: None },
                headers: settings.headers.clone(),
                metadata: settings.metadata.clone(),
                tags: settings.tags.clone(),
                checksum: Some(written.checksum.clone()),
                body: written.body.clone(),
                wrapped_key: self.keyring.wrap(&*written.data_key, &bound_to, &*self.entropy),
                state: None,
            })),
        }
    }

    /// The answer to a refused write: success if it is the same lock by the same principal again
    /// (its first reply was lost), the refusal otherwise.
    fn same_lock(
        &self,
        target: Target<'_>,
        failure: ConditionFailure,
        place: (&OpenBucket, &OpenHead),
        written: &WrittenBody,
        view: &crate::commit::View,
    ) -> Result<Plan<StoredObject>, PutObjectError> {
        let (bucket, head) = place;
        let (ConditionFailure::IfNoneMatch, Some(current)) = (failure, &head.row.current) else {
            return Err(failure.into());
        };
        match self.compare_lock(target, bucket, current, written, view)? {
            crate::lock::Comparison::Needs(keys) => Ok(Plan::Read(keys)),
            crate::lock::Comparison::Same => Ok(Plan::Answer(stored(current, bucket, written))),
            crate::lock::Comparison::Other => Err(failure.into()),
        }
    }
}

/// Names the attempt by the version that it makes.
pub(crate) fn op_id(version: &ObjectVersion) -> OpId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&version.id.sequence.to_be_bytes());
    id[8..].copy_from_slice(&version.id.random.to_be_bytes());
    OpId(id)
}

fn stored(version: &ObjectVersion, bucket: &OpenBucket, written: &WrittenBody) -> StoredObject {
    StoredObject {
        version: DisplayVersion::of(version),
        versioning: bucket.row.versioning,
        etag: ETag { md5: written.md5, parts: None },
        checksum: Some(written.checksum.clone()),
        modified_ms: version.modified_ms,
        size: written.size,
    }
}
