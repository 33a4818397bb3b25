//! Preflights: a browser asks whether a page of another origin may ask.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html>
//!
//! They carry no signature, so whoever knows a bucket's name may ask. The refusals are those that were
//! recorded from AWS.

use http::{StatusCode, header, request};

use crate::cors::CorsRequest;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::route::Scope;
use crate::service::S3Service;
use crate::xml::documents::CORS_METHODS;

const NO_BUCKET: &str = "CORSResponse: Bucket not found";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because \
                           the evalution of Origin, request method / Access-Control-Request-Method \
                           or Access-Control-Request-Headers are not whitelisted by the resource's \
                           CORS spec.";
const NO_ORIGIN: &str = "Insufficient information. Origin request header needed.";

/// Answers the preflight of what `parts` address.
pub(crate) async fn handle(
    service: &S3Service,
    parts: &request::Parts,
    bucket: &str,
    scope: Scope,
) -> S3Result<Response> {
    let bad_request = |message: String| S3Error::with_message(ErrorCode::BadRequest, message);
    let Some(asked) = CorsRequest::of(&parts.method, &parts.headers) else {
        return Err(bad_request(NO_ORIGIN.to_owned()));
    };
    let method = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let method = method.map(|method| String::from_utf8_lossy(method.as_bytes()));
    let forbidden = |message: &'static str, resource: &str| {
        let method = method.as_deref().unwrap_or(parts.method.as_str());
        S3Error::with_message(ErrorCode::AccessForbidden, message)
            .field("Method", method)
            .field("ResourceType", resource)
    };
    let bucket_word = Scope::Bucket.resource_type();
    let rules = match service.cors_of(bucket).await? {
        None => return Err(forbidden(NO_BUCKET, bucket_word)),
        Some(None) => return Err(forbidden(ErrorCode::AccessForbidden.message(), bucket_word)),
        Some(Some(rules)) => rules,
    };
    if !method.as_deref().is_some_and(|method| CORS_METHODS.contains(&method)) {
        let method = method.as_deref().unwrap_or("null");
        return Err(bad_request(format!("Invalid Access-Control-Request-Method: {method}")));
    }
    match rules.answer(&asked) {
        None => Err(forbidden(NOT_ALLOWED, scope.resource_type())),
        Some(headers) => {
            let mut response = response::empty(StatusCode::OK);
            *response.headers_mut() = headers;
            Ok(response)
        }
    }
}
