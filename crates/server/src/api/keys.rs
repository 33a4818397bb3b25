//! `/_/api/v1/keys`: what users sign with. A secret is shown once, when its key is made.

use std::time::Duration;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{AccessKey, IdentityError, NewAccessKey, Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, no_content, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    user: String,
    #[serde(default)]
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the old key stays beside the new one.
    overlap_seconds: u64,
    #[serde(default)]
    expires: Option<String>,
}

#[derive(Serialize)]
struct Key {
    access_key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<String>,
    user: String,
    created: String,
    expires: Option<String>,
    last_used: Option<String>,
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<Key>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
    user: Option<&str>,
) -> Result<Response<ResponseBody>, ApiError> {
    let keys = store.list_access_keys(actor, user).await?;
    if let (Some(user), true) = (user, keys.is_empty()) {
        // A typing error must not look like a user without keys.
        let users = store.list_users(actor).await?;
        if !users.iter().any(|known| known.name == user) {
            return Err(IdentityError::NoSuchUser.into());
        }
    }
    let keys = keys.into_iter().map(|key| described(key, None)).collect();
    Ok(json(StatusCode::OK, &Keys { keys }))
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let request: NewKey = parse(body)?;
    let expires_ms = end(request.expires.as_deref())?;
    shown_once(store.create_access_key(actor, &request.user, expires_ms).await?)
}

pub(super) async fn rotate(
    store: &Store,
    actor: &Principal,
    access_key_id: &str,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let request: Rotation = parse(body)?;
    let overlap = Duration::from_secs(request.overlap_seconds);
    let expires_ms = end(request.expires.as_deref())?;
    shown_once(store.rotate_access_key(actor, access_key_id, overlap, expires_ms).await?)
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    access_key_id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_access_key(actor, access_key_id).await?;
    Ok(no_content())
}

fn shown_once(made: NewAccessKey) -> Result<Response<ResponseBody>, ApiError> {
    let secret = made.secret_access_key.to_string();
    Ok(json(StatusCode::CREATED, &described(made.key, Some(secret))))
}

/// When a key is to end, in milliseconds since 1970; ISO 8601 with an offset.
fn end(text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let at: jiff::Timestamp =
        text.parse().map_err(|_| ApiError::malformed("expires is no time"))?;
    Ok(Some(at.as_millisecond()))
}

fn described(key: AccessKey, secret_access_key: Option<String>) -> Key {
    Key {
        access_key_id: key.access_key_id,
        secret_access_key,
        user: key.user,
        created: iso8601(key.created_ms),
        expires: key.expires_ms.map(iso8601),
        last_used: key.last_used_ms.map(iso8601),
    }
}
