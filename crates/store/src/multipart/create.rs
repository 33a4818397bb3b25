//! CreateMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>.

use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::upload::{self, UploadId, UploadRow, UploadState};
use tidelock_meta::record::version::{ChecksumAlgorithm, ChecksumType};
use tidelock_meta::{Batch, OpId, Write};
use zeroize::Zeroizing;

use super::UploadChecksum;
use super::key::upload_place;
use crate::Store;
use crate::audit::AuditEvent;
use crate::body::seal::DATA_KEY_BYTES;
use crate::bucket::OpenBucket;
use crate::checksum;
use crate::commit::Plan;
use crate::error::CreateUploadError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{ObjectSettings, OpenHead, Target, check_lockable};

/// A CreateMultipartUpload request.
#[derive(Clone, Debug)]
pub struct CreateUpload<'a> {
    /// Who begins it.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Headers, metadata and tags of the object to be.
    pub settings: &'a ObjectSettings,
    /// The checksum asked for; without a type, the algorithm's usual one.
    pub checksum: Option<(ChecksumAlgorithm, Option<ChecksumType>)>,
}

/// A multipart upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Its id.
    pub upload: UploadId,
    /// The checksum its parts and its object will have.
    pub checksum: Option<UploadChecksum>,
    /// How they will be encrypted.
    pub encryption: ServerSideEncryption,
}

impl Store {
    /// Begins a multipart upload. The key's head counts it, and remembers for it how often the key was
    /// written until now.
    pub async fn create_upload(
        &self,
        request: &CreateUpload<'_>,
    ) -> Result<UploadInfo, CreateUploadError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        let bucket_id = self.find_bucket(target.principal, target.bucket).await?.row.id;
        let id = UploadId(self.random());
        let upload_key = Zeroizing::new(self.random::<DATA_KEY_BYTES>());
        let place = upload_place(bucket_id, request.key, id);
        let mut row = UploadRow {
            initiated_ms: self.now(),
            initiator: request.principal.canonical_id.to_string(),
            author: request.principal.arn.to_string(),
            mutations: 0,
            headers: request.settings.headers.clone(),
            metadata: request.settings.metadata.clone(),
            tags: request.settings.tags.clone(),
            checksum: request.checksum.map(with_type),
            wrapped_key: Vec::new(),
            state: UploadState::Open,
            controls: request.settings.controls.clone(),
        };
        let checksum = row.checksum;
        let row_key = upload::key(bucket_id, request.key.as_str(), id);
        let keys = Self::target_keys(target, bucket_id);
        self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            check_lockable(&bucket.row, &row.controls)?;
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            row.mutations = head.row.mutations;
            let protection = self.protection(&request.settings.encryption, &bucket.row)?;
            row.wrapped_key = self.wrap_data_key(&protection, &upload_key, &place)?;
            let encryption = protection.encryption;
            row.controls.encryption = encryption.clone();
            let mut head_row = head.row.clone();
            head_row.uploads += 1;
            let mut batch = Batch::new(OpId(id.0));
            head.replace(&mut batch, &head_row);
            bucket.guard(&mut batch);
            batch.expect(row_key.clone(), None);
            batch.writes.insert(0, Write::Put(row_key.clone(), row.encode()));
            let event = AuditEvent::new("CreateMultipartUpload");
            let event = event.object(target.bucket.as_str(), target.key.as_str());
            self.audit(&mut batch, target.principal, &event);
            Ok::<_, CreateUploadError>(Plan::Commit(batch, encryption))
        })
        .await
        .map(|encryption| UploadInfo { upload: id, checksum, encryption })
    }
}

fn with_type(asked: (ChecksumAlgorithm, Option<ChecksumType>)) -> UploadChecksum {
    let (algorithm, kind) = asked;
    (algorithm, kind.unwrap_or_else(|| checksum::default_multipart_type(algorithm)))
}
