//! CreateBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>.

use http::{HeaderName, StatusCode, header};
use tidelock_store::{CreateBucketError, NewBucket, ObjectLock};

use crate::acl;
use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::tags::{self, Tagged};
use crate::xml::documents::{BucketConfiguration, OwnershipControls};

const BUCKET_ARN: HeaderName = HeaderName::from_static("x-amz-bucket-arn");
const OBJECT_LOCK: &str = "x-amz-bucket-object-lock-enabled";
const OWNERSHIP: &str = "x-amz-object-ownership";
/// The region in which making a bucket again succeeds.
const CLASSIC_REGION: &str = "us-east-1";

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    acl::check_create_bucket(&call.headers)?;
    check_ownership(call)?;
    let locks = call.header(OBJECT_LOCK).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let configuration = BucketConfiguration::parse(&body)?;
    let tags = tags::validate(configuration.tags, Tagged::NewBucket)?;
    let region = configuration.location_constraint.unwrap_or_default();
    let is_plain = region.is_empty() && tags.is_empty() && !locks;
    let tags = (!tags.is_empty()).then_some(tags);
    let object_lock = locks.then(ObjectLock::default);
    let new = NewBucket { region, tags, object_lock };
    match call.store().make_bucket(&call.principal, &bucket, new).await {
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

/// Every bucket is as one with `BucketOwnerEnforced`.
fn check_ownership(call: &Call<'_>) -> S3Result<()> {
    let Some(text) = call.header(OWNERSHIP) else { return Ok(()) };
    match OwnershipControls::of_text(text) {
        Some(OwnershipControls::BucketOwnerEnforced) => Ok(()),
        Some(OwnershipControls::BucketOwnerPreferred | OwnershipControls::ObjectWriter) => {
            Err(S3Error::header_not_implemented(OWNERSHIP))
        }
        None => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!("Invalid x-amz-object-ownership header: {text}"),
        )
        .field("ArgumentName", OWNERSHIP)),
    }
}
