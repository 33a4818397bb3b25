//! Roles of a Tidelock server, and policies of its users.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

const ROLES: &str = "/_/api/v1/roles";
const USERS: &str = "/_/api/v1/users";

/// A policy with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPolicy {
    /// Its name.
    pub name: String,
    /// Its document.
    pub document: String,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// What it may do.
    pub policies: Vec<NamedPolicy>,
    /// The longest session, in seconds.
    pub session_max_seconds: u32,
    /// When it was made, ISO 8601.
    pub created: String,
}

/// A role to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// What it may do.
    pub policies: Vec<NamedPolicy>,
    /// The longest session, in seconds; the server's choice if none.
    pub session_max_seconds: Option<u32>,
}

#[derive(Deserialize)]
struct Roles {
    roles: Vec<Role>,
}

#[derive(Deserialize)]
pub(crate) struct NamedPolicies {
    pub(crate) policies: Vec<NamedPolicy>,
}

impl Client {
    /// All roles.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn list_roles(&self) -> Result<Vec<Role>, ClientError> {
        let listed: Roles = self.ask_for(ROLES, &[]).await?;
        Ok(listed.roles)
    }

    /// A role.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_role(&self, name: &str) -> Result<Role, ClientError> {
        self.ask_for(&format!("{ROLES}/{}", uri::segment(name)), &[]).await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_role(&self, new: &NewRole) -> Result<Role, ClientError> {
        self.ask(Outgoing::new(Method::POST, ROLES.to_owned()).json(new)?).await
    }

    /// Deletes a role; its sessions end.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_role(&self, name: &str) -> Result<(), ClientError> {
        let path = format!("{ROLES}/{}", uri::segment(name));
        self.send(Outgoing::new(Method::DELETE, path)).await.map(drop)
    }

    /// The policies of a user.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_user_policies(&self, user: &str) -> Result<Vec<NamedPolicy>, ClientError> {
        let path = format!("{USERS}/{}/policies", uri::segment(user));
        let listed: NamedPolicies = self.ask_for(&path, &[]).await?;
        Ok(listed.policies)
    }

    /// Gives a user a policy, or replaces the one of that name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_user_policy(
        &self,
        user: &str,
        name: &str,
        document: &str,
    ) -> Result<(), ClientError> {
        let body = serde_json::json!({ "document": document });
        let request = Outgoing::new(Method::PUT, policy_path(user, name)).json(&body)?;
        self.send(request).await.map(drop)
    }

    /// Takes a policy from a user.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_user_policy(&self, user: &str, name: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, policy_path(user, name))).await.map(drop)
    }
}

fn policy_path(user: &str, name: &str) -> String {
    format!("{USERS}/{}/policies/{}", uri::segment(user), uri::segment(name))
}
