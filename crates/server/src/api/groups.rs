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
use super::route::Routed;
use super::{iso8601, json, no_content, parse};

/// What can be done to groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupOperation {
    List,
    Create,
    Get,
    Delete,
    Add,
    Remove,
    ListPolicies,
    PutPolicy,
    DeletePolicy,
}

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

impl GroupOperation {
    /// Its name in logs and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::List => "ListGroups",
            Self::Create => "CreateGroup",
            Self::Get => "GetGroup",
            Self::Delete => "DeleteGroup",
            Self::Add => "AddUserToGroup",
            Self::Remove => "RemoveUserFromGroup",
            Self::ListPolicies => "ListGroupPolicies",
            Self::PutPolicy => "PutGroupPolicy",
            Self::DeletePolicy => "DeleteGroupPolicy",
        }
    }

    /// In a sentence.
    pub(super) fn summary(self) -> &'static str {
        match self {
            Self::List => "All groups, with their members; root only",
            Self::Create => "Makes a group, which has no members yet; root only",
            Self::Get => "A group, with its policies and members; root only",
            Self::Delete => "Deletes a group that has no members; root only",
            Self::Add => "Puts a user into a group; root only",
            Self::Remove => "Takes a user out of a group; root only",
            Self::ListPolicies => "The policies of a group; root only",
            Self::PutPolicy => "Gives a group a policy, or replaces it; root only",
            Self::DeletePolicy => "Takes a policy from a group; root only",
        }
    }

    pub(super) async fn perform(
        self,
        store: &Store,
        (actor, routed): (&Principal, &Routed),
        body: &[u8],
    ) -> Result<Response<ResponseBody>, ApiError> {
        let name = routed.path("name");
        let (member, policy) = ((name, routed.path("user")), (name, routed.path("policy")));
        match self {
            Self::List => list(store, actor).await,
            Self::Create => create(store, actor, body).await,
            Self::Get => get(store, actor, name).await,
            Self::Delete => delete(store, actor, name).await,
            Self::Add => add(store, actor, member).await,
            Self::Remove => remove(store, actor, member).await,
            Self::ListPolicies => list_policies(store, actor, name).await,
            Self::PutPolicy => put_policy(store, actor, policy, body).await,
            Self::DeletePolicy => delete_policy(store, actor, policy).await,
        }
    }
}

async fn list(store: &Store, actor: &Principal) -> Result<Response<ResponseBody>, ApiError> {
    let groups = store.list_groups(actor).await?.into_iter().map(Group::from).collect();
    Ok(json(StatusCode::OK, &Groups { groups }))
}

async fn get(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    Ok(json(StatusCode::OK, &Group::from(store.get_group(actor, name).await?)))
}

async fn create(
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

async fn delete(
    store: &Store,
    actor: &Principal,
    name: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_group(actor, name).await?;
    Ok(no_content())
}

async fn add(
    store: &Store,
    actor: &Principal,
    member: (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.add_user_to_group(actor, member).await?;
    Ok(no_content())
}

async fn remove(
    store: &Store,
    actor: &Principal,
    member: (&str, &str),
) -> Result<Response<ResponseBody>, ApiError> {
    store.remove_user_from_group(actor, member).await?;
    Ok(no_content())
}

async fn list_policies(
    store: &Store,
    actor: &Principal,
    group: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let policies = named(store.list_group_policies(actor, group).await?);
    Ok(json(StatusCode::OK, &NamedPolicies { policies }))
}

async fn put_policy(
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

async fn delete_policy(
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
