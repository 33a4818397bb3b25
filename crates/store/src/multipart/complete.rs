//! CompleteMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
//!
//! The upload is sealed first, so that its parts stand still; then they are looked at; then one commit
//! makes the object, if the sealed row is still as it was. An UploadPart that comes in between opens
//! the upload again and this begins anew. The object points at its part rows, however many there are.

use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::upload::{self, Completed, UploadId, UploadRow, UploadState};
use tidelock_meta::record::version::{
    Body, Checksum, ChecksumAlgorithm, ObjectFacts, ObjectVersion, VersionKind,
};
use tidelock_meta::{Batch, Key, OpId, Version};

use super::OpenUpload;
use super::key::upload_place;
use super::part_list::{Assembled, RequestedPart, assemble, request_digest};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, Reading};
use crate::condition::{UploadWindow, WriteCondition};
use crate::error::{CompleteError, StorageError, UploadError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{OpenHead, StoredObject, Target, writes_null};
use crate::version::DisplayVersion;

/// How often parts may come in between before it gives up.
const COMPLETE_ATTEMPTS_MAX: u32 = 20;

/// A CompleteMultipartUpload request.
#[derive(Clone, Debug)]
pub struct CompleteUpload<'a> {
    /// Who completes it.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Which upload.
    pub upload: UploadId,
    /// Under which conditions.
    pub condition: &'a WriteCondition,
    /// The parts, in order.
    pub parts: &'a [RequestedPart],
    /// What the object's checksum must come to.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
    /// `x-amz-mp-object-size`
    pub size: Option<u64>,
}

enum Attempt {
    Done(Box<StoredObject>),
    /// The upload is not sealed any more.
    Disturbed,
}

/// Where an upload is, and whose request this is.
struct Place<'a> {
    target: Target<'a>,
    bucket: OpenBucket,
    upload_key: Key,
}

impl Store {
    /// Makes the object. Asked again with the same parts within an hour of its success, it answers the
    /// same again: a lost reply must not fail a saved state.
    pub async fn complete_upload(
        &self,
        request: &CompleteUpload<'_>,
    ) -> Result<StoredObject, CompleteError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        let bucket = self.find_bucket(target.principal, target.bucket).await?;
        let upload_key = upload::key(bucket.row.id, target.key.as_str(), request.upload);
        let place = Place { target, bucket, upload_key };
        for _ in 0..COMPLETE_ATTEMPTS_MAX {
            if let Some(answer) = self.seal_upload(&place, request).await? {
                return Ok(answer);
            }
            let key = place.upload_key.clone();
            // Confirmed: the commit checks that the upload is still sealed, not what its parts are.
            let looked = self.rows.answer(|reading| async move {
                let seen = reading.row(key.clone()).await?;
                let upload = OpenUpload::of(key, seen.as_ref())?;
                if upload.row.state != UploadState::Sealed {
                    return Ok(None);
                }
                let parts = all_parts(&reading, request.upload).await?;
                let assembled = assemble(request.parts, &parts, upload.row.checksum, &self.config)?;
                check_expectations(request, &assembled)?;
                Ok::<_, CompleteError>(Some((upload, assembled)))
            });
            let Some((upload, assembled)) = looked.await? else { continue };
            match self.commit_completed(&place, request, &upload, &assembled).await? {
                Attempt::Done(stored) => return Ok(*stored),
                Attempt::Disturbed => {}
            }
        }
        Err(StorageError::Overloaded("parts keep coming while the upload completes".to_owned())
            .into())
    }

    /// Seals the upload; the first answer, if it was completed with the same parts before.
    async fn seal_upload(
        &self,
        place: &Place<'_>,
        request: &CompleteUpload<'_>,
    ) -> Result<Option<StoredObject>, CompleteError> {
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&place.upload_key), |view| {
            let upload = OpenUpload::of(place.upload_key.clone(), view.rows[0].as_ref())?;
            match &upload.row.state {
                UploadState::Completed(completed) => {
                    first_answer(&place.bucket, completed, request).map(|it| Plan::Answer(Some(it)))
                }
                UploadState::Sealed => Ok(Plan::Answer(None)),
                UploadState::Open => {
                    let sealed = UploadRow { state: UploadState::Sealed, ..upload.row.clone() };
                    let mut batch = Batch::new(op_id);
                    batch.expect(upload.key.clone(), Some(&upload.seen));
                    batch.put(upload.key.clone(), sealed.encode());
                    Ok(Plan::Commit(batch, None))
                }
            }
        })
        .await
    }

    async fn commit_completed(
        &self,
        place: &Place<'_>,
        request: &CompleteUpload<'_>,
        sealed: &OpenUpload,
        assembled: &Assembled,
    ) -> Result<Attempt, CompleteError> {
        let target = place.target;
        let bucket_id = place.bucket.row.id;
        let [bucket_key, head_key] = Self::target_keys(target, bucket_id);
        let keys = [bucket_key, head_key, place.upload_key.clone()];
        let random = self.random();
        let sealed_at: Version = sealed.seen.version;
        self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            if view.rows[2].as_ref().is_none_or(|row| row.version != sealed_at) {
                return Ok(Plan::Answer(Attempt::Disturbed));
            }
            let mut head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let window = match head.row.mutations == sealed.row.mutations {
                true => UploadWindow::Quiet,
                false => UploadWindow::Disturbed,
            };
            request.condition.check(head.row.current.as_ref(), window)?;
            head.row.uploads = head.row.uploads.saturating_sub(1);
            let new = self.completed_version(
                (&bucket, target.key),
                &head,
                (sealed, request.upload),
                assembled,
                random,
            )?;
            let stored = stored(&new, &bucket, assembled);
            let mut batch = Batch::new(crate::object::op_id(&new));
            let done = completed_row(sealed, request, &new, assembled);
            if let Some(needed) =
                self.install(&mut batch, (&bucket, target.key), &head, new, view)?
            {
                return Ok(Plan::Read(needed));
            }
            batch.expect(keys[2].clone(), view.rows[2].as_ref());
            batch.put(keys[2].clone(), done.encode());
            Ok(Plan::Commit(batch, Attempt::Done(Box::new(stored))))
        })
        .await
    }

    fn completed_version(
        &self,
        place: (&OpenBucket, &ObjectKey),
        head: &OpenHead,
        upload: (&OpenUpload, UploadId),
        assembled: &Assembled,
        random: [u8; 8],
    ) -> Result<ObjectVersion, StorageError> {
        let (bucket, key) = place;
        let (sealed, upload_id) = upload;
        let now = self.now();
        let id = head.next_id(now, random);
        let was_bound_to = upload_place(bucket.row.id, key, upload_id);
        let upload_key = self.unwrap_key(&sealed.row.wrapped_key, &was_bound_to)?;
        let bound_to = Self::key_place(bucket.row.id, key, id);
        Ok(ObjectVersion {
            id,
            is_null: writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: sealed.row.author.clone(),
            kind: VersionKind::Object(Box::new(ObjectFacts {
                size: assembled.size,
                etag: assembled.etag,
                headers: sealed.row.headers.clone(),
                metadata: sealed.row.metadata.clone(),
                tags: sealed.row.tags.clone(),
                checksum: assembled.checksum.clone(),
                body: Body::Parts { upload: upload_id.0, ranges: assembled.ranges.clone() },
                wrapped_key: self.keyring.wrap(&*upload_key, &bound_to, &*self.entropy),
                state: None,
            })),
        })
    }
}

async fn all_parts(
    reading: &Reading,
    upload: UploadId,
) -> Result<Vec<(u16, PartRow)>, StorageError> {
    let mut parts = Vec::new();
    for (key, value) in reading.all(part::range(upload)).await? {
        parts.push((part::decode_key(&key)?, PartRow::decode(&value)?));
    }
    Ok(parts)
}

fn check_expectations(request: &CompleteUpload<'_>, got: &Assembled) -> Result<(), CompleteError> {
    if let Some(expected) = request.size
        && expected != got.size
    {
        return Err(CompleteError::BadSize { expected, actual: got.size });
    }
    if let Some((algorithm, value)) = &request.checksum {
        let same = |it: &Checksum| it.algorithm == *algorithm && it.value == *value;
        if !got.checksum.as_ref().is_some_and(same) {
            return Err(CompleteError::BadChecksum);
        }
    }
    Ok(())
}

fn completed_row(
    sealed: &OpenUpload,
    request: &CompleteUpload<'_>,
    new: &ObjectVersion,
    assembled: &Assembled,
) -> UploadRow {
    let completed = Completed {
        completed_ms: new.modified_ms,
        request: request_digest(request.parts),
        version: new.id,
        is_null: new.is_null,
        etag: assembled.etag,
        checksum: assembled.checksum.clone(),
        ranges: assembled.ranges.clone(),
    };
    UploadRow { state: UploadState::Completed(Box::new(completed)), ..sealed.row.clone() }
}

fn first_answer(
    bucket: &OpenBucket,
    completed: &Completed,
    request: &CompleteUpload<'_>,
) -> Result<StoredObject, CompleteError> {
    if completed.request != request_digest(request.parts) {
        return Err(UploadError::NoSuchUpload.into());
    }
    Ok(StoredObject {
        version: DisplayVersion { id: completed.version, is_null: completed.is_null },
        versioning: bucket.row.versioning,
        etag: completed.etag,
        checksum: completed.checksum.clone(),
        modified_ms: completed.completed_ms,
        size: 0,
    })
}

fn stored(version: &ObjectVersion, bucket: &OpenBucket, assembled: &Assembled) -> StoredObject {
    StoredObject {
        version: DisplayVersion::of(version),
        versioning: bucket.row.versioning,
        etag: assembled.etag,
        checksum: assembled.checksum.clone(),
        modified_ms: version.modified_ms,
        size: assembled.size,
    }
}
