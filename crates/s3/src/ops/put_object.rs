//! PutObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>.

use http::{HeaderName, StatusCode, header};
use tidelock_store::{Checksum, DisplayVersion, PutObject, PutObjectError, StoredObject};

use super::bucket_lifecycle::write_expiration;
use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::{checksum, conditions, encryption, etag, object_lock, settings};

pub(super) const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");
/// The header of appends to objects in directory buckets.
const WRITE_OFFSET: HeaderName = HeaderName::from_static("x-amz-write-offset-bytes");

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let condition = conditions::write(&call.headers, call.condition_forms())?;
    if call.headers.contains_key(WRITE_OFFSET) {
        return Err(S3Error::header_not_implemented(WRITE_OFFSET.as_str()));
    }
    let settings = settings::of_write(call.service, &call.headers, &call.principal).await?;
    let content_md5 = checksum::content_md5(&call.headers)?;
    let checksum = checksum::request_of(&call.headers)?;
    if content_md5.is_none() && checksum.is_none() {
        object_lock::check_unchecked(&settings.controls)?;
    }
    check_length(call)?;
    let (principal, store) = (call.principal.clone(), call.store());
    let request = PutObject {
        principal: &principal,
        bucket: &bucket,
        key: &key,
        condition: &condition,
        settings: &settings,
        content_md5,
        checksum,
    };
    let stored = store.put_object(&request, &mut call.payload).await;
    let stored = stored.map_err(|error| refusal(call, error))?;
    let mut response = response::empty(StatusCode::OK);
    write_stored(&mut response, &stored);
    write_expiration(&mut response, store, &key, stored.lifecycle.as_ref()).await;
    Ok(response)
}

/// Refuses a body that has no announced length, or one over the limit.
pub(super) fn check_length(call: &Call<'_>) -> S3Result<()> {
    call.require_length()?;
    let limit_bytes = call.store().config().put_bytes_max;
    match call.payload.content_bytes() {
        Some(content_bytes) if content_bytes > limit_bytes => Err(too_large(call)),
        _ => Ok(()),
    }
}

/// Adds to a refusal what only the request knows.
pub(super) fn refusal(call: &Call<'_>, error: PutObjectError) -> S3Error {
    match error {
        PutObjectError::BadChecksum => checksum::mismatch_of(&call.headers),
        PutObjectError::TooLarge => too_large(call),
        error => error.into(),
    }
}

/// Puts on an answer what a write made.
pub(super) fn write_stored(response: &mut Response, stored: &StoredObject) {
    response::set(response, header::ETAG, &etag::quoted(&stored.etag));
    write_new_version(response, stored.version);
    if let Some(checksum) = &stored.checksum {
        write_checksum(response, checksum);
    }
    encryption::write(response.headers_mut(), &stored.encryption);
}

/// The version that a write made; AWS does not show the `null` version here.
pub(super) fn write_new_version(response: &mut Response, version: DisplayVersion) {
    if !version.is_null {
        response::set(response, VERSION_ID, &version.to_string());
    }
}

/// A checksum and its type.
pub(super) fn write_checksum(response: &mut Response, stored: &Checksum) {
    let algorithm = checksum::Algorithm::of(stored.algorithm);
    response::set(response, algorithm.header(), &checksum::text(stored));
    response::set_static(response, CHECKSUM_TYPE, checksum::type_text(stored.kind));
}

fn too_large(call: &Call<'_>) -> S3Error {
    let limit_bytes = call.store().config().put_bytes_max;
    let mut error = S3Error::new(ErrorCode::EntityTooLarge);
    if let Some(content_bytes) = call.payload.content_bytes() {
        error = error.field("ProposedSize", content_bytes.to_string());
    }
    error.field("MaxSizeAllowed", limit_bytes.to_string())
}
