//! `/_/api/v1/webhooks`: who is told of what happens. Root only.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{
    DeadLetter, EventKind, NewWebhook, Principal, Store, WEBHOOK_ATTEMPTS_DEFAULT, Webhook,
    WebhookError, WebhookId,
};
use zeroize::Zeroizing;

use super::audit::EntryDocument;
use super::error::ApiError;
use super::{iso8601, json, no_content, parse};
use crate::webhooks::{self, Letter, Sender};

/// Dead letters that one request sends again.
const REDELIVERIES_MAX: usize = 50;
/// The kind of the event that `test` sends.
const TEST_KIND: &str = "webhook.test";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    url: String,
    events: Vec<String>,
    bucket: Option<String>,
    secret: Option<String>,
    attempts_max: Option<u32>,
    enabled: Option<bool>,
}

#[derive(Serialize)]
struct WebhookDocument {
    id: String,
    url: String,
    events: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    enabled: bool,
    attempts_max: u32,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Serialize)]
struct Webhooks {
    webhooks: Vec<WebhookDocument>,
}

#[derive(Serialize)]
struct DeadLetterDocument {
    event: &'static str,
    failed: String,
    attempts: u32,
    error: String,
    entry: EntryDocument,
}

#[derive(Serialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetterDocument>,
}

#[derive(Serialize)]
struct Tested {
    delivered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Redelivered {
    delivered: usize,
    left: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn list(
    store: &Store,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    let webhooks = store.list_webhooks(actor).await?;
    let webhooks = webhooks.into_iter().map(|webhook| described(webhook, None)).collect();
    Ok(json(StatusCode::OK, &Webhooks { webhooks }))
}

pub(super) async fn create(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let asked: Asked = parse(body)?;
    let url: Option<http::Uri> = asked.url.parse().ok();
    let authority = url.as_ref().and_then(http::Uri::authority);
    let authority = authority.filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| ApiError::malformed("the URL names no host"))?;
    if authority.as_str().contains('@') {
        let reason = "the URL has a user or a password in it: neither is sent, and all lists would \
                      show them; receivers know the server by its signature";
        return Err(ApiError::malformed(reason));
    }
    let kinds: Result<Vec<EventKind>, _> = asked.events.iter().map(|kind| kind.parse()).collect();
    let new = NewWebhook {
        kinds: kinds.map_err(|error| ApiError::malformed(&error.to_string()))?,
        url: asked.url,
        secret: asked.secret.map(Zeroizing::new),
        bucket: asked.bucket,
        enabled: asked.enabled.unwrap_or(true),
        attempts_max: asked.attempts_max.unwrap_or(WEBHOOK_ATTEMPTS_DEFAULT),
    };
    let (webhook, secret) = store.create_webhook(actor, new).await?;
    Ok(json(StatusCode::CREATED, &described(webhook, Some(secret.to_string()))))
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    store.delete_webhook(actor, parse_id(id)?).await?;
    Ok(no_content())
}

pub(super) async fn dead(
    store: &Store,
    actor: &Principal,
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let letters = store.dead_letters(actor, parse_id(id)?).await?;
    let dead_letters = letters.iter().map(DeadLetterDocument::from).collect();
    Ok(json(StatusCode::OK, &DeadLetters { dead_letters }))
}

/// Sends an event that nothing has caused, now.
pub(super) async fn test(
    store: &Store,
    sender: &Sender,
    actor: &Principal,
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let id = parse_id(id)?;
    let open = store.open_webhook(actor, id).await?;
    let body = serde_json::json!({ "event": TEST_KIND, "webhook": id.to_string() });
    let letter = Letter {
        url: &open.webhook.url,
        secret: &open.secret,
        kind: TEST_KIND,
        delivery: &actor.origin.request_id,
        body: body.to_string().into(),
    };
    let error = sender.send(letter).await.err();
    Ok(json(StatusCode::OK, &Tested { delivered: error.is_none(), error }))
}

/// Sends dead letters again, the oldest first, until one is not taken.
pub(super) async fn redeliver(
    store: &Store,
    sender: &Sender,
    actor: &Principal,
    id: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let id = parse_id(id)?;
    let open = store.open_webhook(actor, id).await?;
    let letters = store.dead_letters(actor, id).await?;
    let (mut delivered, mut error) = (0, None);
    for letter in letters.iter().take(REDELIVERIES_MAX) {
        if let Err(reason) = webhooks::post(sender, &open, &letter.event).await {
            error = Some(reason);
            break;
        }
        store.forget_dead_letter(id, letter.event.record.position).await?;
        delivered += 1;
    }
    let left = letters.len() - delivered;
    Ok(json(StatusCode::OK, &Redelivered { delivered, left, error }))
}

fn parse_id(text: &str) -> Result<WebhookId, ApiError> {
    text.parse().map_err(|_| WebhookError::NoSuchWebhook.into())
}

fn described(webhook: Webhook, secret: Option<String>) -> WebhookDocument {
    WebhookDocument {
        id: webhook.id.to_string(),
        url: webhook.url,
        events: webhook.kinds.into_iter().map(EventKind::as_str).collect(),
        bucket: webhook.bucket,
        enabled: webhook.enabled,
        attempts_max: webhook.attempts_max,
        created: iso8601(webhook.created_ms),
        secret,
    }
}

impl From<&DeadLetter> for DeadLetterDocument {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            event: letter.event.kind.as_str(),
            failed: iso8601(letter.failed_ms),
            attempts: letter.attempts,
            error: letter.error.clone(),
            entry: EntryDocument::from(&letter.event.record),
        }
    }
}
