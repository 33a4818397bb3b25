//! CreateBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>.

use http::{HeaderName, StatusCode, header};
use tidelock_store::{CreateBucketError, NewBucket, ObjectLock, ObjectOwnership};

use crate::acl;
use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::object_lock;
use crate::response::{self, Response};
use crate::settings::OBJECT_OWNERSHIP;
use crate::tags::{self, Tagged};
use crate::xml::documents::{BucketConfiguration, ownership_of_text};

const BUCKET_ARN: HeaderName = HeaderName::from_static("x-amz-bucket-arn");
/// The region in which making a bucket again succeeds.
const CLASSIC_REGION: &str = "us-east-1";

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    if is_reserved(bucket.as_str()) {
        let error = S3Error::new(ErrorCode::InvalidBucketName);
        return Err(error.field("BucketName", bucket.as_str()));
    }
    let object_ownership = ownership(call)?;
    let acl = acl::of_new_bucket(call.store(), &call.headers, &call.principal, object_ownership);
    let acl = acl.await?;
    let locks =
        call.header(object_lock::OF_BUCKET).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let configuration = BucketConfiguration::parse(&body)?;
    let tags = tags::validate(configuration.tags, Tagged::NewBucket)?;
    let region = configuration.location_constraint.unwrap_or_default();
    let is_plain = region.is_empty() && tags.is_empty() && !locks;
    let tags = (!tags.is_empty()).then_some(tags);
    let object_lock = locks.then(ObjectLock::default);
    let new = NewBucket { region, tags, object_ownership, acl, object_lock };
    match call.store().create_bucket(&call.principal, &bucket, new).await {
        Ok(_) => {}
        // As AWS does in its first region: what is there already is as good as made.
        Err(CreateBucketError::AlreadyOwnedByYou)
            if is_plain && call.service.config.region == CLASSIC_REGION => {}
        Err(error) => return Err(error.into()),
    }
    let mut response = response::empty(StatusCode::OK);
    response::set(&mut response, header::LOCATION, &format!("/{bucket}"));
    response::set(&mut response, BUCKET_ARN, &format!("arn:aws:s3:::{bucket}"));
    Ok(response)
}

/// Names of what is no general purpose bucket on AWS, and those of its documentation: SDKs send requests for most of them
/// elsewhere or sign them otherwise, so that nobody would reach such a bucket
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
fn is_reserved(name: &str) -> bool {
    name.starts_with("amzn-s3-demo-")
        || ["--x-s3", "--table-s3", ".mrap"].iter().any(|end| name.ends_with(end))
}

/// What the bucket is asked to be, or what the server makes of buckets of which nothing is said.
fn ownership(call: &Call<'_>) -> S3Result<ObjectOwnership> {
    let Some(text) = call.header(OBJECT_OWNERSHIP) else {
        return Ok(call.service.config.object_ownership);
    };
    ownership_of_text(text).ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!("Invalid x-amz-object-ownership header: {text}"),
        )
        .field("ArgumentName", OBJECT_OWNERSHIP)
    })
}
