//! Groups of users of a Tidelock server.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::connection::Outgoing;
use crate::role::{NamedPolicies, NamedPolicy};
use crate::{Client, ClientError, uri};

const GROUPS: &str = "/_/api/v1/groups";

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What its members may do.
    pub policies: Vec<NamedPolicy>,
    /// The users in it, by name.
    pub members: Vec<String>,
    /// When it was made, ISO 8601.
    pub created: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

impl Client {
    /// All groups.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn list_groups(&self) -> Result<Vec<Group>, ClientError> {
        let listed: Groups = self.ask_for(GROUPS, &[]).await?;
        Ok(listed.groups)
    }

    /// A group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_group(&self, name: &str) -> Result<Group, ClientError> {
        self.ask_for(&group_path(name), &[]).await
    }

    /// Makes a group; nobody is in it yet.
    ///
    /// # Errors
    /// See [`ClientError`]; `GroupExists` when there is one of that name.
    pub async fn create_group(
        &self,
        name: &str,
        policies: &[NamedPolicy],
    ) -> Result<Group, ClientError> {
        let body = serde_json::json!({ "name": name, "policies": policies });
        self.ask(Outgoing::new(Method::POST, GROUPS.to_owned()).json(&body)?).await
    }

    /// Deletes a group that nobody is in.
    ///
    /// # Errors
    /// See [`ClientError`]; `GroupInUse` while it has members.
    pub async fn delete_group(&self, name: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, group_path(name))).await.map(drop)
    }

    /// Puts a user into a group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn add_user_to_group(&self, group: &str, user: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::PUT, member_path(group, user))).await.map(drop)
    }

    /// Takes a user out of a group.
    ///
    /// # Errors
    /// See [`ClientError`]; `NoSuchMember` where the user is not in it.
    pub async fn remove_user_from_group(&self, group: &str, user: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, member_path(group, user))).await.map(drop)
    }

    /// The policies of a group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_group_policies(&self, group: &str) -> Result<Vec<NamedPolicy>, ClientError> {
        let listed: NamedPolicies =
            self.ask_for(&format!("{}/policies", group_path(group)), &[]).await?;
        Ok(listed.policies)
    }

    /// Gives a group a policy, or replaces the one of that name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_group_policy(
        &self,
        group: &str,
        name: &str,
        document: &str,
    ) -> Result<(), ClientError> {
        let body = serde_json::json!({ "document": document });
        let request = Outgoing::new(Method::PUT, policy_path(group, name)).json(&body)?;
        self.send(request).await.map(drop)
    }

    /// Takes a policy from a group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_group_policy(&self, group: &str, name: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, policy_path(group, name))).await.map(drop)
    }
}

fn group_path(name: &str) -> String {
    format!("{GROUPS}/{}", uri::segment(name))
}

fn member_path(group: &str, user: &str) -> String {
    format!("{}/members/{}", group_path(group), uri::segment(user))
}

fn policy_path(group: &str, name: &str) -> String {
    format!("{}/policies/{}", group_path(group), uri::segment(name))
}
