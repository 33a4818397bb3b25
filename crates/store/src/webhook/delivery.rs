//! What is to be sent to a webhook next, and what became of it. Whoever sends says when the cursor may
//! move: an event may be sent twice. None is left out but those that become dead letters, and those
//! that the log drops before they were sent.

use tidelock_meta::record::audit_entry::AuditEntry;
use tidelock_meta::record::dead_letter::{self, DeadLetterRow};
use tidelock_meta::record::webhook::{self, WebhookRow};
use tidelock_meta::{Batch, OpId};
use zeroize::Zeroizing;

use super::{EventKind, Webhook, WebhookError, WebhookId, position_of, require_root};
use crate::Store;
use crate::audit::{AuditPosition, AuditRecord};
use crate::commit::Plan;
use crate::error::StorageError;
use crate::identity::Principal;

/// Dead letters of one webhook; the oldest go first.
pub const DEAD_LETTERS_MAX: usize = 500;
/// Entries of the log that are looked at in one step.
const STEP_ENTRIES_MAX: usize = 500;

/// A webhook with what it takes to send to it.
pub struct OpenWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// What signs its events.
    pub secret: Zeroizing<Vec<u8>>,
    /// The first entry of the log that has not been looked at.
    pub position: AuditPosition,
}

impl std::fmt::Debug for OpenWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenWebhook").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// An event: an entry that a webhook wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEvent {
    /// As which kind.
    pub kind: EventKind,
    /// The entry and its place.
    pub record: AuditRecord,
}

/// Some events, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEvents {
    /// The events.
    pub events: Vec<WebhookEvent>,
    /// Where the next step begins.
    pub next: AuditPosition,
}

/// An event that the receiver did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub event: WebhookEvent,
    /// When it was given up.
    pub failed_ms: i64,
    /// How often it was sent.
    pub attempts: u32,
    /// How the last try failed.
    pub error: String,
}

impl Store {
    /// One webhook, with its secret. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, there is no such webhook, or the store fails.
    pub async fn open_webhook(
        &self,
        actor: &Principal,
        id: WebhookId,
    ) -> Result<OpenWebhook, WebhookError> {
        require_root(actor)?;
        let key = webhook::key(id.0);
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let value: Option<_> = read.await.map_err(WebhookError::Storage)?;
        let row = WebhookRow::decode(&value.ok_or(WebhookError::NoSuchWebhook)?)?;
        Ok(self.opened(id, &row)?)
    }

    /// The webhooks to send to.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn enabled_webhooks(&self) -> Result<Vec<OpenWebhook>, StorageError> {
        let mut webhooks = Vec::new();
        for (key, seen) in self.rows.latest().rows(webhook::range()).await? {
            let row = WebhookRow::decode(&seen.value)?;
            if row.enabled {
                webhooks.push(self.opened(WebhookId(webhook::decode_key(&key)?), &row)?);
            }
        }
        Ok(webhooks)
    }

    fn opened(&self, id: WebhookId, row: &WebhookRow) -> Result<OpenWebhook, StorageError> {
        let webhook = Webhook::of(id, row)?;
        let secret = self.open_secret(id, row)?;
        Ok(OpenWebhook { webhook, secret, position: position_of(row) })
    }

    /// What a webhook is to be told next, as far as the log is sealed.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn next_events(&self, open: &OpenWebhook) -> Result<WebhookEvents, StorageError> {
        let (begin, page) = self.audit_since(open.position, STEP_ENTRIES_MAX).await?;
        if begin > open.position {
            let id = open.webhook.id;
            tracing::warn!(webhook.id = %id, "the log has dropped what a webhook was not told of");
        }
        let of_bucket = |entry: &AuditEntry| {
            open.webhook.bucket.as_ref().is_none_or(|bucket| *bucket == entry.bucket)
        };
        let records = page.records.into_iter().filter(|record| of_bucket(&record.entry));
        let events = records.filter_map(|record| {
            let kind = EventKind::of_action(&record.entry.action, &open.webhook.kinds)?;
            Some(WebhookEvent { kind, record })
        });
        Ok(WebhookEvents { events: events.collect(), next: page.next })
    }

    /// Remembers that everything before `next` has been seen to.
    ///
    /// # Errors
    ///
    /// When the store fails; then events are sent again.
    pub async fn advance_webhook(
        &self,
        id: WebhookId,
        next: AuditPosition,
    ) -> Result<(), StorageError> {
        let key = webhook::key(id.0);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(seen) = &view.rows[0] else { return Ok(Plan::Answer(())) };
            let row = WebhookRow::decode(&seen.value)?;
            if position_of(&row) >= next {
                return Ok(Plan::Answer(()));
            }
            let mut batch = Batch::new(op_id);
            batch.put(key.clone(), at(row, next).encode());
            batch.expect(key.clone(), Some(seen));
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Makes an event a dead letter, and goes on behind it. The oldest dead letter makes room.
    ///
    /// # Errors
    ///
    /// When the store fails; then the event is sent again.
    pub async fn bury_event(
        &self,
        id: WebhookId,
        event: &WebhookEvent,
        attempts: u32,
        error: &str,
    ) -> Result<(), StorageError> {
        let key = webhook::key(id.0);
        let AuditPosition { segment, index } = event.record.position;
        let letter_key = dead_letter::key(id.0, segment, index);
        let letter = DeadLetterRow {
            failed_ms: self.now(),
            attempts,
            kind: event.kind.as_str().to_owned(),
            error: error.to_owned(),
            sealed: self.seal_letter(&letter_key, &event.record.entry.encode()),
        };
        let range = dead_letter::range(id.0);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(seen) = &view.rows[0] else { return Ok(Plan::Answer(())) };
            let Some(dead) = view.scanned(&range) else {
                return Ok(Plan::Scan(range.clone(), DEAD_LETTERS_MAX));
            };
            let next = AuditPosition { segment, index: index + 1 };
            let row = WebhookRow::decode(&seen.value)?;
            let row = if position_of(&row) < next { at(row, next) } else { row };
            let mut batch = Batch::new(op_id);
            batch.put(letter_key.clone(), letter.encode());
            batch.put(key.clone(), row.encode());
            batch.expect(key.clone(), Some(seen));
            if let Some((oldest, _)) = dead.first()
                && dead.len() == DEAD_LETTERS_MAX
                && *oldest != letter_key
            {
                batch.delete(oldest.clone());
            }
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// The dead letters of a webhook, oldest first. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, there is no such webhook, or the store fails.
    pub async fn dead_letters(
        &self,
        actor: &Principal,
        id: WebhookId,
    ) -> Result<Vec<DeadLetter>, WebhookError> {
        self.open_webhook(actor, id).await?;
        let range = dead_letter::range(id.0);
        let read = self.rows.answer(|reading| async move { reading.all(range).await });
        let mut letters = Vec::new();
        for (key, value) in read.await.map_err(WebhookError::Storage)? {
            let (_, segment, index) = dead_letter::decode_key(&key)?;
            let row = DeadLetterRow::decode(&value)?;
            let entry = AuditEntry::decode(&self.open_letter(&key, &row)?)?;
            let record = AuditRecord { position: AuditPosition { segment, index }, entry };
            let kind = row.kind.parse();
            let kind = kind.map_err(|error: super::InvalidEventKind| {
                StorageError::Corrupt(format!("a dead letter: {error}"))
            })?;
            letters.push(DeadLetter {
                event: WebhookEvent { kind, record },
                failed_ms: row.failed_ms,
                attempts: row.attempts,
                error: row.error,
            });
        }
        Ok(letters)
    }

    /// Forgets a dead letter: it has arrived after all.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn forget_dead_letter(
        &self,
        id: WebhookId,
        position: AuditPosition,
    ) -> Result<(), StorageError> {
        let mut batch = Batch::new(OpId(self.random()));
        batch.delete(dead_letter::key(id.0, position.segment, position.index));
        self.try_commit(batch).await.map(|_| ())
    }
}

fn at(row: WebhookRow, next: AuditPosition) -> WebhookRow {
    WebhookRow { segment: next.segment, index: next.index, ..row }
}
