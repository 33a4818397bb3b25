//! The webhooks of a Tidelock server.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

const WEBHOOKS: &str = "/_/api/v1/webhooks";

/// A webhook; its secret is there only when it was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// 32 hex digits.
    pub id: String,
    /// Where events go.
    pub url: String,
    /// Which events.
    pub events: Vec<String>,
    /// Of which bucket; of all if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// Tries of an event before it is a dead letter.
    pub attempts_max: u32,
    /// When it was made, ISO 8601.
    pub created: String,
    /// What signs its events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A webhook to be made.
#[derive(Clone, Serialize)]
pub struct NewWebhook {
    /// Where events go.
    pub url: String,
    /// Which events.
    pub events: Vec<String>,
    /// Of which bucket; of all if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// What signs events; without one the server makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Tries of an event before it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
}

/// An event that the receiver did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its kind.
    pub event: String,
    /// When it was given up, ISO 8601.
    pub failed: String,
    /// How often it was sent.
    pub attempts: u32,
    /// How the last try failed.
    pub error: String,
    /// What happened.
    pub entry: AuditEntry,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTest {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of dead letters that were sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redelivery {
    /// How many the receiver took.
    pub delivered: usize,
    /// How many are left.
    pub left: usize,
    /// Why the first of them was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Deserialize)]
struct Webhooks {
    webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

impl Client {
    /// All webhooks.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, ClientError> {
        let listed: Webhooks = self.ask_for(WEBHOOKS, &[]).await?;
        Ok(listed.webhooks)
    }

    /// Makes a webhook; its secret is in the answer, this once.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, ClientError> {
        self.ask(Outgoing::new(Method::POST, WEBHOOKS.to_owned()).json(new)?).await
    }

    /// Deletes a webhook and its dead letters.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_webhook(&self, id: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, path(id, ""))).await.map(drop)
    }

    /// Sends a webhook an event that nothing has caused.
    ///
    /// # Errors
    /// See [`ClientError`]; that the receiver does not take it is an answer.
    pub async fn test_webhook(&self, id: &str) -> Result<WebhookTest, ClientError> {
        self.ask(Outgoing::new(Method::POST, path(id, "/test"))).await
    }

    /// The dead letters of a webhook, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn dead_letters(&self, id: &str) -> Result<Vec<DeadLetter>, ClientError> {
        let listed: DeadLetters = self.ask_for(&path(id, "/dead"), &[]).await?;
        Ok(listed.dead_letters)
    }

    /// Sends dead letters again, until one is not taken; some of them, where they are many.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn redeliver(&self, id: &str) -> Result<Redelivery, ClientError> {
        self.ask(Outgoing::new(Method::POST, path(id, "/redeliver"))).await
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("{WEBHOOKS}/{}{rest}", uri::segment(id))
}
