//! Get, Put and DeleteBucketOwnershipControls:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html>.

use http::StatusCode;
use tidelock_store::{BucketChange, ObjectOwnership};

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::parse_ownership_controls;

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let text = match bucket.row.object_ownership {
        Some(ObjectOwnership::BucketOwnerEnforced) => "BucketOwnerEnforced",
        Some(ObjectOwnership::BucketOwnerPreferred) => "BucketOwnerPreferred",
        Some(ObjectOwnership::ObjectWriter) => "ObjectWriter",
        None => return Err(S3Error::new(ErrorCode::OwnershipControlsNotFoundError)),
    };
    let document = XmlWriter::s3_document("OwnershipControls", |xml| {
        xml.element("Rule", |xml| xml.text("ObjectOwnership", text));
    });
    Ok(response::ok_xml(document))
}

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let change = BucketChange::ObjectOwnership(Some(parse_ownership_controls(&body)?));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::ObjectOwnership(None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
