//! `/_/api/v1/roles` and the policies of users: what somebody may do by who they are.
//!
//! Documents are read here, so that nothing is kept that nobody could ask.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_auth::policy::{Policy, PolicyKind};
use tidelock_s3::ResponseBody;
use tidelock_store::{NewRole, Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, no_content, parse};

/// Sessions of a role of which nothing is said.
const SESSION_MAX_S_DEFAULT: u32 = 3_600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoleDocument {
    name: String,
    trust_policy: String,
    #[serde(default)]
    policies: Vec<NamedPolicy>,
    session_max_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyDocument {
    pub(super) document: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedPolicy {
    pub(super) name: String,
    pub(super) document: String,
}

#[derive(Serialize)]
pub(super) struct NamedPolicies {
    pub(super) policies: Vec<NamedPolicy>,
}

#[derive(Serialize)]
struct Role {
    name: String,
    arn: String,
    trust_policy: String,
    policies: Vec<NamedPolicy>,
    session_max_seconds: u32,
    created: String,
}

#[derive(Serialize)]
struct Roles {
    roles: Vec<Role>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    let roles = store.list_roles(actor).await?.into_iter().map(Role::from).collect();
    Ok(json(StatusCode::OK, &Roles { roles }))
}

pub(super) async fn get(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    Ok(json(StatusCode::OK, &Role::from(store.get_role(actor, name).await?)))
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let new: NewRoleDocument = parse(body)?;
    check(&new.trust_policy, PolicyKind::Trust)?;
    for policy in &new.policies {
        check(&policy.document, PolicyKind::Identity)?;
    }
    let new = NewRole {
        name: new.name,
        trust_policy: new.trust_policy,
        policies: new.policies.into_iter().map(|it| (it.name, it.document)).collect(),
        session_max_s: new.session_max_seconds.unwrap_or(SESSION_MAX_S_DEFAULT),
    };
    Ok(json(StatusCode::CREATED, &Role::from(store.create_role(actor, new).await?)))
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_role(actor, name).await?;
    Ok(no_content())
}

pub(super) async fn list_of_user(
    store: &Store,
    actor: &Principal,
    user: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let policies = named(store.list_user_policies(actor, user).await?);
    Ok(json(StatusCode::OK, &NamedPolicies { policies }))
}

pub(super) async fn put_of_user(
    store: &Store,
    actor: &Principal,
    (user, name): (&str, &str),
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let policy: PolicyDocument = parse(body)?;
    check(&policy.document, PolicyKind::Identity)?;
    store.put_user_policy(actor, user, (name, &policy.document)).await?;
    Ok(no_content())
}

pub(super) async fn delete_of_user(
    store: &Store,
    actor: &Principal,
    (user, name): (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_user_policy(actor, user, name).await?;
    Ok(no_content())
}

pub(super) fn check(document: &str, kind: PolicyKind<'_>) -> Result<(), ApiError> {
    Policy::parse(document, kind).map(drop).map_err(|error| ApiError::malformed_policy(&error))
}

pub(super) fn named(policies: Vec<(String, String)>) -> Vec<NamedPolicy> {
    policies.into_iter().map(|(name, document)| NamedPolicy { name, document }).collect()
}

impl From<tidelock_store::Role> for Role {
    fn from(role: tidelock_store::Role) -> Self {
        Self {
            name: role.name,
            arn: role.arn,
            trust_policy: role.trust_policy,
            policies: named(role.policies),
            session_max_seconds: role.session_max_s,
            created: iso8601(role.created_ms),
        }
    }
}
