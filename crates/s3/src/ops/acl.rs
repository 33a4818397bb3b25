//! Get and PutBucketAcl, Get and PutObjectAcl:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html>.

use http::StatusCode;
use tidelock_store::{BucketAccess, BucketChange, ObjectEdit};

use super::get_object;
use crate::acl;
use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::S3Result;
use crate::response::{self, Response};

pub(super) async fn get_bucket(call: &mut Call<'_>) -> S3Result<Response> {
    let row = call.store().bucket(&call.principal, &call.bucket()?).await?.row;
    let document = acl::document(call.store(), &call.principal, row.acl.as_ref(), &row.owner);
    Ok(response::ok_xml(document.await?))
}

pub(super) async fn get_object(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let owner = call.store().bucket(&call.principal, &bucket).await?.row.owner;
    let info = call.store().head_object(&call.principal, &bucket, &key, version).await?;
    let list = info.settings.controls.acl.as_ref();
    let document = acl::document(call.store(), &call.principal, list, &owner).await?;
    let mut response = response::ok_xml(document);
    get_object::write_version(&mut response, &info);
    Ok(response)
}

pub(super) async fn put_bucket(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let row = call.store().bucket(&call.principal, &bucket).await?.row;
    let asked = (&call.headers, &*body);
    let acl = acl::of_put(call.store(), asked, &row.owner, &BucketAccess::of(&row)).await?;
    let change = BucketChange::Acl(acl);
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn put_object(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let row = call.store().bucket(&call.principal, &bucket).await?.row;
    let info = call.store().head_object(&call.principal, &bucket, &key, version).await?;
    let owner = info.settings.controls.acl.map_or(row.owner.clone(), |acl| acl.owner);
    let asked = (&call.headers, &*body);
    let acl = acl::of_put(call.store(), asked, &owner, &BucketAccess::of(&row)).await?;
    let edit = ObjectEdit::Acl(acl);
    let info = call.store().edit_object(&call.principal, &bucket, &key, version, &edit).await?;
    let mut response = response::empty(StatusCode::OK);
    get_object::write_version(&mut response, &info);
    Ok(response)
}
