//! CopyObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>.
//!
//! The bytes are opened and sealed again: a copy has a data key of its own, bound to its own place.

use std::sync::Arc;

use super::install::Target;
use super::{ByteRange, GetObject, ObjectInfo, ObjectSettings, StoredObject};
use crate::Store;
use crate::body::write::BodyExpectation;
use crate::checksum::{ChecksumExpectation, ChecksumRequest};
use crate::condition::WriteCondition;
use crate::encryption::CustomerKey;
use crate::error::CopyError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::VersionSelector;
use tidelock_meta::record::version::ChecksumAlgorithm;

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct CopySource<'a> {
    /// From which bucket.
    pub bucket: &'a BucketName,
    /// Which object.
    pub key: &'a ObjectKey,
    /// Which version; none: the current one.
    pub version: Option<VersionSelector>,
    /// The customer's key that it is encrypted with, if it is.
    pub customer_key: Option<&'a CustomerKey>,
}

/// A CopyObject request.
#[derive(Clone, Debug)]
pub struct CopyObject<'a> {
    /// Who copies: reads the source and writes the destination.
    pub principal: &'a Principal,
    /// What.
    pub source: CopySource<'a>,
    /// Where to.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Conditions of the destination.
    pub condition: &'a WriteCondition,
    /// The copy's checksum; none: the source's algorithm.
    pub checksum: Option<ChecksumAlgorithm>,
}

impl Store {
    /// Copies an object. `decide` sees what is known of the source and answers the settings of the
    /// copy, or refuses.
    pub async fn copy_object<R: Send>(
        self: &Arc<Self>,
        request: &CopyObject<'_>,
        decide: impl Fn(&ObjectInfo) -> Result<ObjectSettings, R> + Send + Sync,
    ) -> Result<Result<(ObjectInfo, StoredObject), R>, CopyError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        let decided = |info: &ObjectInfo| decide(info).map(|_| None);
        let mut source = match self.open_source(request.principal, request.source, decided).await? {
            Ok(source) => source,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let settings = match decide(&source.info) {
            Ok(settings) => settings,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.refuse_early(target, request.condition, &settings).await?;
        let of_source = source.info.checksum.as_ref().map(|checksum| checksum.algorithm);
        let checksum = request.checksum.or(of_source).map(|algorithm| ChecksumRequest {
            algorithm,
            expectation: ChecksumExpectation::Computed,
        });
        let expectation = BodyExpectation { md5: None, checksum };
        let written = self.write_body(&mut source.reader, &expectation).await?;
        let stored = self
            .commit_object(target, request.condition, &settings, (written, "CopyObject"))
            .await?;
        Ok(Ok((source.info, stored)))
    }

    pub(crate) async fn open_source<R>(
        self: &Arc<Self>,
        principal: &Principal,
        source: CopySource<'_>,
        select: impl Fn(&ObjectInfo) -> Result<Option<ByteRange>, R> + Send,
    ) -> Result<Result<GetObject, R>, CopyError> {
        let wanted = (source.version, source.customer_key);
        self.get_object_with_key(principal, source.bucket, source.key, wanted, select)
            .await
            .map_err(CopyError::Source)
    }
}
