//! `/_/api/v1/refused`: states that were refused, kept for whoever sent them.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tidelock_s3::ResponseBody;
use tidelock_store::{
    BucketName, DisplayVersion, ObjectKey, Principal, RefusedVersion, Store, VersionSelector,
    etag_text,
};

use super::error::ApiError;
use super::{iso8601, json, no_content};

/// A refused version.
#[derive(Serialize)]
struct Refused {
    /// Of the state.
    key: String,
    id: String,
    refused: String,
    expires: String,
    /// The code it was refused with.
    code: String,
    /// What the client was told.
    message: String,
    /// ARN of who sent it.
    principal: String,
    address: String,
    user_agent: String,
    /// Bytes.
    size: u64,
    etag: String,
}

#[derive(Serialize)]
struct RefusedList {
    refused: Vec<Refused>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let refused = store.list_refused(actor, bucket, prefix).await?;
    let refused = refused.into_iter().map(Refused::from).collect();
    Ok(json(StatusCode::OK, &RefusedList { refused }))
}

/// Every byte, as it was sent.
pub(super) async fn get(
    store: &Arc<Store>,
    actor: &Principal,
    (bucket, key): (&BucketName, &ObjectKey),
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let object = store.get_refused(actor, bucket, key, selector(id)?).await?;
    let mut response = Response::new(ResponseBody::of_reader(object.reader, object.info.size));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let bytes = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, bytes);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn discard(
    store: &Store,
    actor: &Principal,
    (bucket, key): (&BucketName, &ObjectKey),
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.discard_refused(actor, bucket, key, selector(id)?).await?;
    Ok(no_content())
}

fn selector(id: &str) -> Result<VersionSelector, ApiError> {
    id.parse().map_err(|_| ApiError::malformed("not the id of a refused version"))
}

impl From<RefusedVersion> for Refused {
    fn from(refused: RefusedVersion) -> Self {
        Self {
            key: refused.key,
            id: DisplayVersion { id: refused.id, is_null: false }.to_string(),
            refused: iso8601(refused.refused_ms),
            expires: iso8601(refused.expires_ms),
            code: refused.code,
            message: refused.message,
            principal: refused.principal,
            address: refused.address,
            user_agent: refused.user_agent,
            size: refused.size,
            etag: etag_text(&refused.etag),
        }
    }
}
