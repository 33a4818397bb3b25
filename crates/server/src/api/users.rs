//! `/_/api/v1/users`: who there is.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, no_content, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
}

#[derive(Serialize)]
struct User {
    name: String,
    arn: String,
    created: String,
    /// Names.
    groups: Vec<String>,
}

#[derive(Serialize)]
struct Users {
    users: Vec<User>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    let users = store.list_users(actor).await?.into_iter().map(User::from).collect();
    Ok(json(StatusCode::OK, &Users { users }))
}

pub(super) async fn get(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    Ok(json(StatusCode::OK, &User::from(store.get_user(actor, name).await?)))
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let user: NewUser = parse(body)?;
    let user = store.create_user(actor, &user.name).await?;
    Ok(json(StatusCode::CREATED, &User::from(user)))
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_user(actor, name).await?;
    Ok(no_content())
}

impl From<tidelock_store::User> for User {
    fn from(user: tidelock_store::User) -> Self {
        Self {
            name: user.name,
            arn: user.arn,
            created: iso8601(user.created_ms),
            groups: user.groups,
        }
    }
}
