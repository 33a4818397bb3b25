//! The operations of Object Lock:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>.
//!
//! `x-amz-bypass-governance-retention` on a delete in a bucket without Object Lock is ignored, since there
//! is nothing to bypass; AWS refuses it, but tools send it with every delete.

use http::StatusCode;
use tidelock_store::{BucketChange, BucketError, Controls, LockChange, ObjectInfo, Retention};

use super::get_object;
use crate::access;
use crate::call::Call;
use crate::date;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::object_lock::{check_future, governance, status_text};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::{
    mode_text, object_lock_document, parse_legal_hold, parse_object_lock, parse_retention,
};

/// PutObjectLockConfiguration.
pub(super) async fn put_configuration(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let change = BucketChange::ObjectLock(parse_object_lock(&body)?);
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

/// GetObjectLockConfiguration.
pub(super) async fn get_configuration(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let lock = bucket.row.object_lock;
    let lock = lock.ok_or(S3Error::new(ErrorCode::ObjectLockConfigurationNotFoundError))?;
    Ok(response::ok_xml(object_lock_document(&lock)))
}

/// PutObjectRetention.
pub(super) async fn put_retention(call: &mut Call<'_>) -> S3Result<Response> {
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let retention = parse_retention(&body);
    let keys = match &retention {
        Ok(Some(retention)) => access::keys_of_retention(*retention, call.service.clock.now()),
        Ok(None) | Err(_) => Vec::new(),
    };
    call.authorize_with(&keys).await?;
    find(call).await?;
    let retention = match retention? {
        None => None,
        Some((mode, until_ms)) => {
            check_future(until_ms, call.service.clock.now(), &date::iso8601(until_ms))?;
            Some(Retention { mode, until_ms })
        }
    };
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let governance = governance(call, (&bucket, &key, version)).await;
    let change = LockChange::Retention(retention, governance);
    put(call, change).await
}

/// PutObjectLegalHold.
pub(super) async fn put_legal_hold(call: &mut Call<'_>) -> S3Result<Response> {
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let is_held = parse_legal_hold(&body);
    let keys = is_held.as_ref().map_or_else(|_| Vec::new(), |it| access::keys_of_legal_hold(*it));
    call.authorize_with(&keys).await?;
    find(call).await?;
    let change = LockChange::LegalHold(is_held?);
    put(call, change).await
}

/// GetObjectRetention.
pub(super) async fn get_retention(call: &mut Call<'_>) -> S3Result<Response> {
    let retention = find(call).await?.retention.ok_or_else(not_locked)?;
    let document = XmlWriter::s3_document("Retention", |xml| {
        xml.text("Mode", mode_text(retention.mode));
        xml.text("RetainUntilDate", &date::iso8601(retention.until_ms));
    });
    Ok(response::ok_xml(document))
}

/// GetObjectLegalHold.
pub(super) async fn get_legal_hold(call: &mut Call<'_>) -> S3Result<Response> {
    let held = find(call).await?.legal_hold.ok_or_else(not_locked)?;
    let document = XmlWriter::s3_document("LegalHold", |xml| xml.text("Status", status_text(held)));
    Ok(response::ok_xml(document))
}

/// What an object is locked by, in a bucket where it can be; before its document, in AWS's answers.
async fn find(call: &Call<'_>) -> S3Result<Controls> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let row = call.store().bucket(&call.principal, &bucket).await?.row;
    if row.object_lock.is_none() {
        return Err(BucketError::NoObjectLock.into());
    }
    let info = call.store().head_object(&call.principal, &bucket, &key, version).await?;
    Ok(info.settings.controls)
}

async fn put(call: &Call<'_>, change: LockChange) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let info: ObjectInfo =
        call.store().put_object_lock(&call.principal, &bucket, &key, version, change).await?;
    let mut response = response::empty(StatusCode::OK);
    get_object::write_version(&mut response, &info);
    Ok(response)
}

fn not_locked() -> S3Error {
    S3Error::new(ErrorCode::NoSuchObjectLockConfiguration)
}
