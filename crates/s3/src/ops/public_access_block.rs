//! Put, Get and DeletePublicAccessBlock:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html>.
//!
//! What they switch: `access`, for policies and lists that are there, and the operations that would set
//! public ones.

use http::StatusCode;
use tidelock_store::{BucketChange, PublicAccessBlock};

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::PublicAccessBlockDocument;

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let block = PublicAccessBlockDocument::parse(&body)?;
    let change = BucketChange::PublicAccessBlock(Some(PublicAccessBlock {
        block_public_acls: block.block_public_acls,
        ignore_public_acls: block.ignore_public_acls,
        block_public_policy: block.block_public_policy,
        restrict_public_buckets: block.restrict_public_buckets,
    }));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let Some(block) = bucket.row.public_access_block else {
        return Err(S3Error::new(ErrorCode::NoSuchPublicAccessBlockConfiguration));
    };
    let document = XmlWriter::s3_document("PublicAccessBlockConfiguration", |xml| {
        xml.value("BlockPublicAcls", block.block_public_acls);
        xml.value("IgnorePublicAcls", block.ignore_public_acls);
        xml.value("BlockPublicPolicy", block.block_public_policy);
        xml.value("RestrictPublicBuckets", block.restrict_public_buckets);
    });
    Ok(response::ok_xml(document))
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::PublicAccessBlock(None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
