//! UploadPart and UploadPartCopy:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>.

use std::sync::Arc;

use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::upload::{UploadId, UploadRow, UploadState};
use tidelock_meta::record::{bucket, version::ChecksumAlgorithm};
use tidelock_meta::{Batch, OpId};

use super::key::upload_place;
use super::{OpenUpload, StoredPart, UploadKey, part_place, read_upload};
use crate::Store;
use crate::body::source::BodySource;
use crate::body::write::{BodyExpectation, WrittenBody};
use crate::bucket::OpenBucket;
use crate::checksum::{ChecksumExpectation, ChecksumRequest};
use crate::commit::Plan;
use crate::encryption::{CustomerKey, check_customer_key};
use crate::error::{CopyError, UploadPartError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{ByteRange, CopySource, ObjectInfo, Target};

/// An UploadPart request, but for its body.
#[derive(Clone, Debug)]
pub struct UploadPart<'a> {
    /// Who writes.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// To which upload.
    pub upload: UploadId,
    /// As which part, 1 to 10,000.
    pub number: u16,
    /// `Content-MD5`
    pub content_md5: Option<[u8; 16]>,
    /// The checksum asked for.
    pub checksum: Option<ChecksumRequest>,
    /// The customer's key, if the upload was begun with one.
    pub customer_key: Option<&'a CustomerKey>,
}

impl Store {
    /// Stores a part; one of the same number is replaced.
    pub async fn upload_part(
        &self,
        request: &UploadPart<'_>,
        source: &mut dyn BodySource,
    ) -> Result<StoredPart, UploadPartError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        let found = self
            .rows
            .look(|reading| async move { read_upload(&reading, target, request.upload).await });
        let (bucket, upload) = found.await?;
        check_customer_key(&upload.row.controls.encryption, request.customer_key)?;
        let checksum = part_checksum(&upload.row, request.checksum.clone())?;
        let expectation = BodyExpectation { md5: request.content_md5, checksum };
        let written = self.write_body(source, &expectation).await?;
        let result = self.commit_part(target, (&bucket, &upload), request, &written).await;
        if result.as_ref().is_err_and(|error| !error.is_outcome_unknown()) {
            self.abandon(written).await;
        }
        result
    }

    /// Stores bytes of an object as a part. `select` says which, or refuses.
    pub async fn upload_part_copy<R: Send>(
        self: &Arc<Self>,
        request: &UploadPart<'_>,
        source: CopySource<'_>,
        select: impl Fn(&ObjectInfo) -> Result<Option<ByteRange>, R> + Send,
    ) -> Result<Result<(ObjectInfo, StoredPart), R>, CopyError> {
        let mut source = match self.open_source(request.principal, source, select).await? {
            Ok(source) => source,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let stored = self.upload_part(request, &mut source.reader).await?;
        Ok(Ok((source.info, stored)))
    }

    async fn commit_part(
        &self,
        target: Target<'_>,
        place: (&OpenBucket, &OpenUpload),
        request: &UploadPart<'_>,
        written: &WrittenBody,
    ) -> Result<StoredPart, UploadPartError> {
        let (bucket, upload) = place;
        let bucket_id = bucket.row.id;
        let bound_to = upload_place(bucket_id, target.key, request.upload);
        let encryption = &upload.row.controls.encryption;
        let wrapped = &upload.row.wrapped_key;
        let customer = request.customer_key;
        let upload_key = self.unwrap_data_key(encryption, customer, wrapped, &bound_to)?;
        let (md5, checksum) = written.kept_digests(encryption, &upload_key);
        let ring = UploadKey::new(upload_key, request.upload)?;
        let part_bound_to = part_place(request.number, &written.body);
        let row = PartRow {
            modified_ms: self.now(),
            size: written.size,
            md5,
            checksum: Some(checksum),
            body: written.body.clone(),
            wrapped_key: ring.wrap(&written.data_key, &part_bound_to, &*self.entropy),
        };
        let keys = [
            bucket::key(target.bucket.as_str()),
            upload.key.clone(),
            part::key(request.upload, request.number),
        ];
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            let upload = OpenUpload::under_way(keys[1].clone(), view.rows[1].as_ref())?;
            let mut batch = Batch::new(op_id);
            // First: its wrapped key is random, so it tells whether a lost commit landed.
            batch.put(keys[2].clone(), row.encode());
            batch.expect(keys[2].clone(), view.rows[2].as_ref());
            if let Some(old) = &view.rows[2] {
                self.discard(&mut batch, &PartRow::decode(&old.value)?.body);
            }
            batch.expect(upload.key.clone(), Some(&upload.seen));
            if upload.row.state == UploadState::Sealed {
                let reopened = UploadRow { state: UploadState::Open, ..upload.row.clone() };
                batch.put(upload.key.clone(), reopened.encode());
            }
            written.keep(&mut batch);
            bucket.guard(&mut batch);
            Ok::<_, UploadPartError>(Plan::Commit(batch, ()))
        })
        .await?;
        let PartRow { modified_ms, size, md5, .. } = row;
        let (checksum, encryption) = (Some(written.checksum.clone()), encryption.clone());
        Ok(StoredPart { md5, checksum, modified_ms, size, encryption })
    }
}

/// The checksum a part gets: its upload's algorithm, where that has one.
fn part_checksum(
    upload: &UploadRow,
    asked: Option<ChecksumRequest>,
) -> Result<Option<ChecksumRequest>, UploadPartError> {
    let expected: Option<ChecksumAlgorithm> = upload.checksum.map(|(algorithm, _)| algorithm);
    match (expected, asked) {
        (Some(expected), Some(asked)) if asked.algorithm != expected => {
            let got = asked.algorithm;
            Err(UploadPartError::ChecksumMismatch { expected: Some(expected), got })
        }
        (Some(algorithm), None) => {
            Ok(Some(ChecksumRequest { algorithm, expectation: ChecksumExpectation::Computed }))
        }
        (_, asked) => Ok(asked),
    }
}
