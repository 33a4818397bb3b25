//! `/_/api/v1/allowances`: one write of a state that would be refused is let through.

use std::time::Duration;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{ALLOWANCE_TERM_MAX, BucketName, Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, object_key, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAllowance {
    key: String,
    seconds: u64,
}

#[derive(Serialize)]
struct Allowance {
    key: String,
    expires: String,
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let request: NewAllowance = parse(body)?;
    let valid_for = Duration::from_secs(request.seconds);
    if valid_for.is_zero() || valid_for > ALLOWANCE_TERM_MAX {
        let most = ALLOWANCE_TERM_MAX.as_secs();
        return Err(ApiError::malformed(&format!("seconds is 1 to {most}")));
    }
    let key = object_key(&request.key)?;
    let made = store.allow_state(actor, bucket, &key, valid_for).await?;
    let answer = Allowance { key: made.key, expires: iso8601(made.expires_ms) };
    Ok(json(StatusCode::CREATED, &answer))
}
