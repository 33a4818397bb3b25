//! `/_/api/v1/keys`: what users sign with. A secret is shown once, when its key is made.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{AccessKey, IdentityError, Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, no_content, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    user: String,
}

#[derive(Serialize)]
struct Key {
    access_key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<String>,
    user: String,
    created: String,
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
    let made = store.create_access_key(actor, &request.user).await?;
    let secret = made.secret_access_key.to_string();
    Ok(json(StatusCode::CREATED, &described(made.key, Some(secret))))
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    access_key_id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_access_key(actor, access_key_id).await?;
    Ok(no_content())
}

fn described(key: AccessKey, secret_access_key: Option<String>) -> Key {
    Key {
        access_key_id: key.access_key_id,
        secret_access_key,
        user: key.user,
        created: iso8601(key.created_ms),
    }
}
