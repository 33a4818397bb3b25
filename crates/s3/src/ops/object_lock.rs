//! The operations of Object Lock, as they answer in a bucket that was made without it:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>.
//!
//! CreateBucket refuses to make a bucket with it, so every bucket is one without.
//! `x-amz-bypass-governance-retention` on a delete is ignored, since there is nothing to bypass; AWS
//! refuses it, but tools send it with every delete.

use http::HeaderMap;
use tidelock_store::Versioning;

use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::Response;

const HEADERS: [&str; 3] = [
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
];

/// Get and PutObjectRetention, Get and PutObjectLegalHold.
pub(super) async fn of_object(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    call.store().head_object(&call.principal, &bucket, &key, version).await?;
    Err(missing_configuration())
}

/// PutObjectLockConfiguration.
pub(super) async fn put_configuration(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let message = match bucket.row.versioning {
        Versioning::Unversioned | Versioning::Suspended => {
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        }
        Versioning::Enabled => "Object Lock configuration cannot be enabled on existing buckets",
    };
    Err(S3Error::with_message(ErrorCode::InvalidBucketState, message))
}

/// Refuses a write that would lock its object.
pub(super) fn check_write(headers: &HeaderMap) -> S3Result<()> {
    if HEADERS.iter().any(|name| headers.contains_key(*name)) {
        return Err(missing_configuration());
    }
    Ok(())
}

fn missing_configuration() -> S3Error {
    S3Error::invalid_request("Bucket is missing Object Lock Configuration")
}
