//! Put, Get and DeleteBucketCors: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html>.

use http::StatusCode;
use tidelock_store::{BucketChange, DocumentKind};

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::documents::CorsDocument;

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let content = CorsDocument::parse(&body)?.to_xml().into_bytes();
    let change = BucketChange::Document(DocumentKind::Cors, Some(content));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    call.store().bucket(&call.principal, &call.bucket()?).await?;
    match call.service.cors_of(call.bucket_text()).await? {
        Some(Some(rules)) => Ok(response::ok_xml(rules.to_xml())),
        _ => Err(S3Error::new(ErrorCode::NoSuchCORSConfiguration)),
    }
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::Document(DocumentKind::Cors, None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
