//! Webhooks: who is told of what happens, and how far that has come. They follow the chain of the audit
//! log, so that an event is told once it has a place there, and none is left out that the log keeps.
//!
//! This module knows nothing of HTTP: it says which events are next, and keeps what became of them.

mod delivery;
mod kind;

use std::fmt;
use std::str::FromStr;

use tidelock_meta::record::dead_letter::{self, DeadLetterRow};
use tidelock_meta::record::webhook::{self, WebhookRow};
use tidelock_meta::{Batch, Key, OpId};
use zeroize::Zeroizing;

pub use delivery::{DEAD_LETTERS_MAX, DeadLetter, OpenWebhook, WebhookEvent, WebhookEvents};
pub use kind::{EventKind, InvalidEventKind};

use crate::Store;
use crate::audit::{AuditEvent, AuditPosition};
use crate::commit::Plan;
use crate::error::StorageError;
use crate::identity::Principal;

/// Webhooks of a store.
pub const WEBHOOKS_MAX: usize = 50;
/// Tries of an event that a webhook may ask for.
pub const WEBHOOK_ATTEMPTS_MAX: u32 = 20;
/// Tries of an event of a webhook that does not say how many: with the pauses between, some minutes.
pub const WEBHOOK_ATTEMPTS_DEFAULT: u32 = 8;
/// Longest URL and longest secret.
const TEXT_BYTES_MAX: usize = 2048;
/// Shortest secret.
const SECRET_BYTES_MIN: usize = 16;
/// Dead letters that go with their webhook in one commit.
const DELETES_MAX: usize = 90;

/// Names a webhook: 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WebhookId(pub(crate) [u8; 16]);

/// Not the id of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a webhook")]
pub struct InvalidWebhookId;

impl FromStr for WebhookId {
    type Err = InvalidWebhookId;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidWebhookId)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Where events go, `http://` or `https://`.
    pub url: String,
    /// What signs them; without one, one is made.
    pub secret: Option<Zeroizing<String>>,
    /// Which events.
    pub kinds: Vec<EventKind>,
    /// Of which bucket; of all if none.
    pub bucket: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// Tries of an event before it is a dead letter, 1 to [`WEBHOOK_ATTEMPTS_MAX`].
    pub attempts_max: u32,
}

/// A webhook, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where events go.
    pub url: String,
    /// Which events.
    pub kinds: Vec<EventKind>,
    /// Of which bucket; of all if none.
    pub bucket: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// Tries of an event before it is a dead letter.
    pub attempts_max: u32,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// Why nothing was done about a webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Only root may.
    #[error("access denied")]
    AccessDenied,
    /// There is no such webhook.
    #[error("the webhook does not exist")]
    NoSuchWebhook,
    /// It cannot be made so.
    #[error("{0}")]
    Invalid(&'static str),
    /// There are [`WEBHOOKS_MAX`].
    #[error("there are too many webhooks")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<tidelock_meta::record::DecodeError> for WebhookError {
    fn from(error: tidelock_meta::record::DecodeError) -> Self {
        Self::Storage(error.into())
    }
}

impl Store {
    /// Makes a webhook that is told of what happens from now on; with it the secret, which is shown
    /// this once. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, it cannot be made so, or the store fails.
    pub async fn create_webhook(
        &self,
        actor: &Principal,
        new: NewWebhook,
    ) -> Result<(Webhook, Zeroizing<String>), WebhookError> {
        require_root(actor)?;
        check(&new)?;
        let listed = self.list_webhooks(actor).await?;
        // Counted before, not in the commit: a limit against accidents, not a quota.
        if listed.len() >= WEBHOOKS_MAX {
            return Err(WebhookError::TooMany);
        }
        let id = WebhookId(self.random());
        let secret = match new.secret {
            Some(secret) => secret,
            None => Zeroizing::new(hex::encode(self.random::<32>())),
        };
        // What has happened before is sealed before it.
        self.settle_audit().await;
        let from = self.audit_end().await?;
        let row = WebhookRow {
            url: new.url,
            sealed_secret: self.keyring.wrap(secret.as_bytes(), &secret_place(id), &*self.entropy),
            kinds: new.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            bucket: new.bucket,
            enabled: new.enabled,
            created_ms: self.now(),
            attempts_max: new.attempts_max,
            segment: from.segment,
            index: from.index,
        };
        let key = webhook::key(id.0);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), view.rows[0].as_ref());
            batch.put(key.clone(), row.encode());
            let event = AuditEvent::new("CreateWebhook").subject(id.to_string());
            let message = host_of(&row.url).to_owned();
            self.audit(&mut batch, actor, &AuditEvent { message, ..event });
            Ok::<_, WebhookError>(Plan::Commit(batch, ()))
        })
        .await?;
        Ok((Webhook::of(id, &row)?, secret))
    }

    /// All webhooks. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, or the store fails.
    pub async fn list_webhooks(&self, actor: &Principal) -> Result<Vec<Webhook>, WebhookError> {
        require_root(actor)?;
        let read = self.rows.answer(|reading| async move { reading.all(webhook::range()).await });
        let mut webhooks = Vec::new();
        for (key, value) in read.await.map_err(WebhookError::Storage)? {
            let id = WebhookId(webhook::decode_key(&key)?);
            webhooks.push(Webhook::of(id, &WebhookRow::decode(&value)?)?);
        }
        webhooks.sort_by_key(|webhook| webhook.created_ms);
        Ok(webhooks)
    }

    /// Deletes a webhook and its dead letters. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, there is no such webhook, or the store fails.
    pub async fn delete_webhook(
        &self,
        actor: &Principal,
        id: WebhookId,
    ) -> Result<(), WebhookError> {
        require_root(actor)?;
        let range = dead_letter::range(id.0);
        loop {
            let op_id = OpId(self.random());
            let is_gone = self
                .update(&[webhook::key(id.0)], |view| {
                    let Some(seen) = &view.rows[0] else { return Err(WebhookError::NoSuchWebhook) };
                    let Some(dead) = view.scanned(&range) else {
                        return Ok(Plan::Scan(range.clone(), DELETES_MAX));
                    };
                    // Whoever buries a letter rewrites the webhook: one of the two loses.
                    let mut batch = Batch::new(op_id);
                    batch.expect(webhook::key(id.0), Some(seen));
                    let is_last = dead.len() < DELETES_MAX;
                    match is_last {
                        true => batch.delete(webhook::key(id.0)),
                        false => batch.put(webhook::key(id.0), seen.value.clone()),
                    }
                    dead.iter().for_each(|(key, _)| batch.delete(key.clone()));
                    if is_last {
                        let event = AuditEvent::new("DeleteWebhook").subject(id.to_string());
                        self.audit(&mut batch, actor, &event);
                    }
                    Ok(Plan::Commit(batch, is_last))
                })
                .await?;
            if is_gone {
                return Ok(());
            }
        }
    }

    fn open_secret(
        &self,
        id: WebhookId,
        row: &WebhookRow,
    ) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let opened = self.keyring.unwrap(&row.sealed_secret, &secret_place(id));
        opened.map_err(|error| StorageError::Corrupt(format!("webhook {id}: {error}")))
    }

    fn seal_letter(&self, key: &Key, plain: &[u8]) -> Vec<u8> {
        self.keyring.wrap(plain, &letter_place(key), &*self.entropy)
    }

    fn open_letter(&self, key: &Key, row: &DeadLetterRow) -> Result<Vec<u8>, StorageError> {
        let opened = self.keyring.unwrap(&row.sealed, &letter_place(key));
        let opened =
            opened.map_err(|error| StorageError::Corrupt(format!("a dead letter: {error}")))?;
        Ok(opened.to_vec())
    }
}

impl Webhook {
    fn of(id: WebhookId, row: &WebhookRow) -> Result<Self, StorageError> {
        let kinds = row.kinds.iter().map(|kind| kind.parse());
        let kinds: Result<Vec<EventKind>, InvalidEventKind> = kinds.collect();
        let kinds =
            kinds.map_err(|error| StorageError::Corrupt(format!("webhook {id}: {error}")))?;
        Ok(Self {
            id,
            url: row.url.clone(),
            kinds,
            bucket: row.bucket.clone(),
            enabled: row.enabled,
            attempts_max: row.attempts_max,
            created_ms: row.created_ms,
        })
    }
}

fn check(new: &NewWebhook) -> Result<(), WebhookError> {
    let is_url = new.url.starts_with("http://") || new.url.starts_with("https://");
    if !is_url || new.url.len() > TEXT_BYTES_MAX {
        return Err(WebhookError::Invalid("the URL must begin with http:// or https://"));
    }
    if new.kinds.is_empty() {
        return Err(WebhookError::Invalid("a webhook needs a kind of event"));
    }
    let has_length =
        |secret: &Zeroizing<String>| (SECRET_BYTES_MIN..=TEXT_BYTES_MAX).contains(&secret.len());
    if !new.secret.as_ref().is_none_or(has_length) {
        return Err(WebhookError::Invalid("a secret must have 16 characters or more"));
    }
    if !(1..=WEBHOOK_ATTEMPTS_MAX).contains(&new.attempts_max) {
        return Err(WebhookError::Invalid("1 to 20 attempts can be made"));
    }
    Ok(())
}

fn require_root(actor: &Principal) -> Result<(), WebhookError> {
    if actor.is_root { Ok(()) } else { Err(WebhookError::AccessDenied) }
}

pub(crate) fn secret_place(id: WebhookId) -> Vec<u8> {
    [b"webhook\0".as_slice(), &id.0].concat()
}

pub(crate) fn letter_place(key: &Key) -> Vec<u8> {
    [b"dead-letter\0".as_slice(), key].concat()
}

fn position_of(row: &WebhookRow) -> AuditPosition {
    AuditPosition { segment: row.segment, index: row.index }
}
/// The host in a URL, with its port: paths and user names may be secrets.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}
