//! `/_/api/v1/groups`: groups of users, who is in them, and what that lets them do.
//!
//! Documents are read here, so that nothing is kept that nobody could ask.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_auth::policy::PolicyKind;
use tidelock_s3::ResponseBody;
use tidelock_store::{Principal, Store};

use super::error::ApiError;
use super::roles::{NamedPolicies, NamedPolicy, PolicyDocument, check, named};
use super::{iso8601, json, no_content, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    name: String,
    #[serde(default)]
    policies: Vec<NamedPolicy>,
}

#[derive(Serialize)]
struct Group {
    name: String,
    arn: String,
    policies: Vec<NamedPolicy>,
    members: Vec<String>,
    created: String,
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<Group>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    let groups = store.list_groups(actor).await?.into_iter().map(Group::from).collect();
    Ok(json(StatusCode::OK, &Groups { groups }))
}

pub(super) async fn get(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    Ok(json(StatusCode::OK, &Group::from(store.get_group(actor, name).await?)))
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let new: NewGroup = parse(body)?;
    for policy in &new.policies {
        check(&policy.document, PolicyKind::Identity)?;
    }
    let policies = new.policies.into_iter().map(|it| (it.name, it.document)).collect();
    let group = store.create_group(actor, &new.name, policies).await?;
    Ok(json(StatusCode::CREATED, &Group::from(group)))
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_group(actor, name).await?;
    Ok(no_content())
}

pub(super) async fn add(
    store: &Store,
    actor: &Principal,
    member: (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.add_user_to_group(actor, member).await?;
    Ok(no_content())
}

pub(super) async fn remove(
    store: &Store,
    actor: &Principal,
    member: (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.remove_user_from_group(actor, member).await?;
    Ok(no_content())
}

pub(super) async fn list_policies(
    store: &Store,
    actor: &Principal,
    group: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let policies = named(store.list_group_policies(actor, group).await?);
    Ok(json(StatusCode::OK, &NamedPolicies { policies }))
}

pub(super) async fn put_policy(
    store: &Store,
    actor: &Principal,
    (group, name): (&str, &str),
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let policy: PolicyDocument = parse(body)?;
    check(&policy.document, PolicyKind::Identity)?;
    store.put_group_policy(actor, group, (name, &policy.document)).await?;
    Ok(no_content())
}

pub(super) async fn delete_policy(
    store: &Store,
    actor: &Principal,
    (group, name): (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_group_policy(actor, group, name).await?;
    Ok(no_content())
}

impl From<tidelock_store::Group> for Group {
    fn from(group: tidelock_store::Group) -> Self {
        Self {
            name: group.name,
            arn: group.arn,
            policies: named(group.policies),
            members: group.members,
            created: iso8601(group.created_ms),
        }
    }
}
