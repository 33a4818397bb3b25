//! Put, Get and DeleteBucketPolicy, GetBucketPolicyStatus:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>.
//!
//! A policy is kept as it was sent. What it says is decided elsewhere (`access`).

use http::{HeaderValue, StatusCode, header};
use tidelock_auth::policy::{POLICY_BYTES_MAX, Policy, PolicyKind};
use tidelock_store::{BucketAccess, BucketChange, BucketName, DocumentKind};

use crate::access;
use crate::call::Call;
use crate::document::{self, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response, ResponseBody};
use crate::xml::XmlWriter;

/// One byte more than a policy may have, so that a longer one is refused in the words for policies.
const DOCUMENT_BYTES_MAX: usize = POLICY_BYTES_MAX + 1;

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, DOCUMENT_BYTES_MAX, Integrity::Optional).await;
    let body = body.map_err(|error| match error.code() {
        ErrorCode::MaxMessageLengthExceeded => malformed("Policy is larger than 20480 bytes"),
        _ => error,
    })?;
    let row = call.store().bucket(&call.principal, &bucket).await?.row;
    let text = std::str::from_utf8(&body).map_err(|_| malformed("The policy is not UTF-8"))?;
    let policy = parse(text, &bucket)?;
    let blocks = row.public_access_block.is_some_and(|block| block.block_public_policy);
    if blocks && policy.is_public() {
        return Err(S3Error::with_message(
            ErrorCode::AccessDenied,
            "The policy is public, and public policies are blocked by the BlockPublicPolicy setting \
             of the bucket's public access block",
        ));
    }
    let change = BucketChange::Document(DocumentKind::Policy, Some(body.to_vec()));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let Some((_, document)) = read(call).await? else {
        return Err(S3Error::new(ErrorCode::NoSuchBucketPolicy));
    };
    let mut response = response::with_body(StatusCode::OK, ResponseBody::full(document));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::Document(DocumentKind::Policy, None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Also a bucket without a policy has a status: its list may make it public.
pub(super) async fn status(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let row = call.store().bucket(&call.principal, &bucket).await?.row;
    let access = BucketAccess::of(&row);
    let ignores_acls = row.public_access_block.is_some_and(|block| block.ignore_public_acls);
    let has_public_list =
        access.has_acls() && !ignores_acls && row.acl.as_ref().is_some_and(access::is_public);
    let has_public_policy = match read(call).await? {
        Some((_, document)) => parse(&String::from_utf8_lossy(&document), &bucket)?.is_public(),
        None => false,
    };
    let document = XmlWriter::s3_document("PolicyStatus", |xml| {
        xml.value("IsPublic", has_public_list || has_public_policy);
    });
    Ok(response::ok_xml(document))
}

/// The policy, if there is one.
async fn read(call: &Call<'_>) -> S3Result<Option<(BucketName, Vec<u8>)>> {
    let bucket = call.bucket()?;
    loop {
        let row = call.store().bucket(&call.principal, &bucket).await?.row;
        let Some(id) = row.policy else { return Ok(None) };
        // None where it was replaced in between.
        if let Some(document) = call.store().bucket_document(row.id, id).await? {
            return Ok(Some((bucket, document)));
        }
    }
}

fn parse(text: &str, bucket: &BucketName) -> S3Result<Policy> {
    let kind = PolicyKind::Bucket { bucket: bucket.as_str() };
    Policy::parse(text, kind).map_err(|error| malformed(&error.to_string()))
}

fn malformed(message: &str) -> S3Error {
    S3Error::with_message(ErrorCode::MalformedPolicy, message.to_owned())
}
