//! Get and PutBucketAcl, Get and PutObjectAcl:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html>.

use http::StatusCode;

use super::get_object;
use crate::acl;
use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::owner::Owner;
use crate::response::{self, Response};

pub(super) async fn get_bucket(call: &mut Call<'_>) -> S3Result<Response> {
    let owner = owner(call).await?;
    Ok(response::ok_xml(acl::document(&owner)))
}

pub(super) async fn get_object(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let info = call.store().head_object(&call.principal, &bucket, &key, version).await?;
    let mut response = response::ok_xml(acl::document(&owner(call).await?));
    get_object::write_version(&mut response, &info);
    Ok(response)
}

pub(super) async fn put_bucket(call: &mut Call<'_>) -> S3Result<Response> {
    call.store().bucket(&call.principal, &call.bucket()?).await?;
    accept_private(call)
}

pub(super) async fn put_object(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    call.store().head_object(&call.principal, &bucket, &key, version).await?;
    accept_private(call)
}

fn accept_private(call: &Call<'_>) -> S3Result<Response> {
    acl::check_object(&call.headers)?;
    if acl::asks_for_private(&call.headers) {
        Ok(response::empty(StatusCode::OK))
    } else {
        Err(S3Error::new(ErrorCode::AccessControlListNotSupported))
    }
}

async fn owner(call: &Call<'_>) -> S3Result<Owner> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    Owner::of_id(call.store(), &call.principal, &bucket.row.owner).await
}
