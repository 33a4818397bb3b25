//! Put, Get and DeleteBucketTagging:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html>. And what S3 Control has for the same
//! tags: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html>.

use http::StatusCode;
use tidelock_store::BucketChange;

use super::object_tagging;
use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::tags::{self, Tagged};
use crate::xml::documents::{parse_tag_resource, parse_tagging};
use crate::xml::{CONTROL_NAMESPACE, XmlWriter};

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let tags = tags::validate(parse_tagging(&body)?, Tagged::Bucket)?;
    // An empty set is as none: AWS then answers NoSuchTagSet.
    let change = BucketChange::Tags((!tags.is_empty()).then_some(tags));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    match &bucket.row.tags {
        Some(tags) => Ok(response::ok_xml(object_tagging::document(tags))),
        None => Err(S3Error::new(ErrorCode::NoSuchTagSet)),
    }
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::Tags(None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn list_for_resource(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let tags = bucket.row.tags.as_deref().unwrap_or_default();
    let root = "ListTagsForResourceResult";
    Ok(response::ok_xml(XmlWriter::document_in(root, CONTROL_NAMESPACE, |xml| {
        object_tagging::write(xml, "Tags", tags);
    })))
}

pub(super) async fn tag_resource(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let tags = tags::validate(parse_tag_resource(&body)?, Tagged::Bucket)?;
    call.store().change_bucket(&call.principal, &bucket, &BucketChange::AddTags(tags)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn untag_resource(call: &mut Call<'_>) -> S3Result<Response> {
    let named = call.query.pairs().filter(|(name, _)| *name == "tagKeys");
    let change = BucketChange::RemoveTags(named.map(|(_, key)| key.to_owned()).collect());
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
