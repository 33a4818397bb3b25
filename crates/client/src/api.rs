//! Tidelock's own JSON API: users and their access keys.
//!
//! Requests are signed like those of S3. Other endpoints have no such API and answer an error.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

const HEALTH: &str = "/_/health/live";
/// What Tidelock says there.
const LIVE: &[u8] = b"live\n";
/// Host names under this are AWS's own.
const AWS_SUFFIX: &str = ".amazonaws.com";
const USERS: &str = "/_/api/v1/users";
const KEYS: &str = "/_/api/v1/keys";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made, ISO 8601.
    pub created: String,
    /// The groups that it is in, by name.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// An access key; its secret is shown once, in [`NewAccessKey`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Access key id.
    pub access_key_id: String,
    /// Whose it is.
    pub user: String,
    /// When it was made, ISO 8601.
    pub created: String,
    /// When it ends, ISO 8601.
    #[serde(default)]
    pub expires: Option<String>,
    /// When it was last used, to the minute, ISO 8601.
    #[serde(default)]
    pub last_used: Option<String>,
}

/// An access key that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccessKey {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key; cannot be asked for again.
    pub secret_access_key: String,
    /// Whose it is.
    pub user: String,
    /// When it was made, ISO 8601.
    pub created: String,
    /// When it ends, ISO 8601.
    #[serde(default)]
    pub expires: Option<String>,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<AccessKey>,
}

impl Client {
    /// Whether the endpoint is AWS's own, by its name.
    pub fn is_aws(&self) -> bool {
        self.settings().endpoint.host().is_some_and(|host| host.ends_with(AWS_SUFFIX))
    }

    /// Whether Tidelock answers at the endpoint; AWS is not asked.
    ///
    /// # Errors
    /// [`ClientError::Transport`] when nobody does.
    pub async fn is_tidelock(&self) -> Result<bool, ClientError> {
        if self.is_aws() {
            return Ok(false);
        }
        let request = Outgoing::new(Method::GET, HEALTH.to_owned());
        match self.document(request).await {
            Ok(document) => Ok(document.body == LIVE),
            Err(error @ (ClientError::Transport { .. } | ClientError::Trust { .. })) => Err(error),
            Err(
                ClientError::Service(_)
                | ClientError::Malformed(_)
                | ClientError::Local(_)
                | ClientError::Interrupted,
            ) => Ok(false),
        }
    }

    /// All users.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn list_users(&self) -> Result<Vec<User>, ClientError> {
        let users: Users = self.ask_for(USERS, &[]).await?;
        Ok(users.users)
    }

    /// A user.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_user(&self, name: &str) -> Result<User, ClientError> {
        self.ask_for(&format!("{USERS}/{}", uri::segment(name)), &[]).await
    }

    /// Makes a user; it has no key yet.
    ///
    /// # Errors
    /// See [`ClientError`]; `UserExists` when there is one of that name.
    pub async fn create_user(&self, name: &str) -> Result<User, ClientError> {
        let body = serde_json::json!({ "name": name });
        self.ask(Outgoing::new(Method::POST, USERS.to_owned()).json(&body)?).await
    }

    /// Deletes a user that owns nothing any more, and takes it out of its groups.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_user(&self, name: &str) -> Result<(), ClientError> {
        let path = format!("{USERS}/{}", uri::segment(name));
        self.send(Outgoing::new(Method::DELETE, path)).await.map(drop)
    }

    /// The access keys of one user, or of all.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_keys(&self, user: Option<&str>) -> Result<Vec<AccessKey>, ClientError> {
        let query: Vec<_> = user.map(|user| ("user", user)).into_iter().collect();
        let keys: Keys = self.ask_for(KEYS, &query).await?;
        Ok(keys.keys)
    }

    /// Makes an access key for `user`, which ends at `expires`, if at all.
    ///
    /// # Errors
    /// See [`ClientError`]; `InvalidExpiry` for an end that is past.
    pub async fn create_key(
        &self,
        user: &str,
        expires: Option<Timestamp>,
    ) -> Result<NewAccessKey, ClientError> {
        let mut body = serde_json::json!({ "user": user });
        if let Some(at) = expires {
            body["expires"] = at.to_string().into();
        }
        self.ask(Outgoing::new(Method::POST, KEYS.to_owned()).json(&body)?).await
    }

    /// Makes another access key for the user of this one, which ends after `overlap`. The new one ends at
    /// `expires`, if at all.
    ///
    /// # Errors
    /// See [`ClientError`]; `InvalidExpiry` for an end that is past, or an overlap above 90 days.
    pub async fn rotate_key(
        &self,
        access_key_id: &str,
        overlap: Duration,
        expires: Option<Timestamp>,
    ) -> Result<NewAccessKey, ClientError> {
        let mut body = serde_json::json!({ "overlap_seconds": overlap.as_secs() });
        if let Some(at) = expires {
            body["expires"] = at.to_string().into();
        }
        let path = format!("{KEYS}/{}/rotate", uri::segment(access_key_id));
        self.ask(Outgoing::new(Method::POST, path).json(&body)?).await
    }

    /// Deletes an access key; requests signed with it are refused from then on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_key(&self, access_key_id: &str) -> Result<(), ClientError> {
        let path = format!("{KEYS}/{}", uri::segment(access_key_id));
        self.send(Outgoing::new(Method::DELETE, path)).await.map(drop)
    }

    /// What the API says at `path`.
    pub(crate) async fn ask_for<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.ask(Outgoing::new(Method::GET, path.to_owned()).query(query)).await
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        request: Outgoing,
    ) -> Result<T, ClientError> {
        let document = self.document(request).await?;
        serde_json::from_slice(&document.body)
            .map_err(|error| ClientError::Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Credentials;
    use crate::{Now, Settings};

    fn client(endpoint: &str) -> Client {
        let credentials = Credentials {
            access_key_id: "AKIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
        };
        let (endpoint, region) = (endpoint.parse().unwrap(), "us-east-1".to_owned());
        let settings = Settings { endpoint, region, credentials, ca_bundle: None };
        Client::new(settings, Now::new(|| Timestamp::UNIX_EPOCH)).unwrap()
    }

    #[tokio::test]
    async fn aws_is_known_by_its_name_and_not_asked() {
        let rows = [
            ("https://s3.eu-central-1.amazonaws.com", true),
            ("https://s3.example.com", false),
            ("https://amazonaws.com.example.com", false),
        ];
        for (endpoint, expected) in rows {
            assert_eq!(client(endpoint).is_aws(), expected, "{endpoint}");
        }
        // Nobody listens there: to be asked would be an error.
        assert!(!client("http://s3.amazonaws.com:9").is_tidelock().await.unwrap());
    }
}
