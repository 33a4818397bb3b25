//! Put and GetBucketLifecycleConfiguration, DeleteBucketLifecycle, and what answers say of expirations:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>.

use http::{HeaderName, StatusCode};
use tidelock_auth::sigv4::encode_query;
use tidelock_store::{
    BucketChange, DocumentKind, Lifecycle, LifecycleSubject, ObjectKey, Store, TransitionMinimum,
};

use crate::call::Call;
use crate::date;
use crate::document::{self, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::documents::{lifecycle_document, parse_lifecycle};

/// Largest document: a thousand rules, each with a filter.
const LIFECYCLE_DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Largest set of rules as it is kept: it is one row.
const LIFECYCLE_BYTES_MAX: usize = 60 << 10;
const MINIMUM: HeaderName = HeaderName::from_static("x-amz-transition-default-minimum-object-size");
const EXPIRATION: HeaderName = HeaderName::from_static("x-amz-expiration");
const ALL_CLASSES: &str = "all_storage_classes_128K";
const BY_CLASS: &str = "varies_by_storage_class";

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, LIFECYCLE_DOCUMENT_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let made = call.service.clock.now();
    let name = |place| format!("rule-{made}-{place}");
    let lifecycle = parse_lifecycle(&body, asked_minimum(call)?, name)?;
    let content = lifecycle.encode();
    if content.len() > LIFECYCLE_BYTES_MAX {
        return Err(S3Error::new(ErrorCode::MaxMessageLengthExceeded)
            .field("MaxMessageLengthBytes", LIFECYCLE_BYTES_MAX.to_string()));
    }
    let change = BucketChange::Document(DocumentKind::Lifecycle, Some(content.to_vec()));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(with_minimum(response::empty(StatusCode::OK), lifecycle.minimum))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let missing = || S3Error::new(ErrorCode::NoSuchLifecycleConfiguration);
    let document = bucket.row.lifecycle.ok_or_else(missing)?;
    let content = call.store().bucket_document(bucket.row.id, document).await?;
    let lifecycle = Lifecycle::decode(&content.ok_or_else(missing)?);
    let lifecycle =
        lifecycle.map_err(|error| S3Error::new(ErrorCode::InternalError).caused_by(&error))?;
    Ok(with_minimum(response::ok_xml(lifecycle_document(&lifecycle)), lifecycle.minimum))
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::Document(DocumentKind::Lifecycle, None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Puts on an answer when its object expires, if it does. What was done stays done where that cannot be
/// found out: then the answer does not say.
pub(super) async fn write_expiration(
    response: &mut Response,
    store: &Store,
    key: &ObjectKey,
    subject: Option<&LifecycleSubject>,
) {
    let Some(subject) = subject else { return };
    if let Ok(Some(expiration)) = store.object_expiration(key, subject).await {
        let date = date::http_date(expiration.due_ms);
        let rule = encode_query(&expiration.rule_id);
        let value = format!("expiry-date=\"{date}\", rule-id=\"{rule}\"");
        response::set(response, EXPIRATION, &value);
    }
}

fn asked_minimum(call: &Call<'_>) -> S3Result<TransitionMinimum> {
    match call.header(MINIMUM) {
        None | Some(ALL_CLASSES) => Ok(TransitionMinimum::AllStorageClasses128K),
        Some(BY_CLASS) => Ok(TransitionMinimum::VariesByStorageClass),
        Some(other) => Err(S3Error::invalid_argument("Invalid Argument", MINIMUM.as_str(), other)),
    }
}

fn with_minimum(mut response: Response, minimum: TransitionMinimum) -> Response {
    let text = match minimum {
        TransitionMinimum::AllStorageClasses128K => ALL_CLASSES,
        TransitionMinimum::VariesByStorageClass => BY_CLASS,
    };
    response::set_static(&mut response, MINIMUM, text);
    response
}
