//! Tells webhooks of what happens: follows the audit log, posts events in their order, tries again, and
//! gives up at last.
//!
//! One server of a store does it at a time. An event waits in the log until its receiver took it or it
//! became a dead letter, or until the log drops it; one server that takes over from another sends some
//! again.

mod sender;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use tidelock_meta::Clock;
use tidelock_store::{
    AuditPosition, AuditTurn, OpenWebhook, SealWhen, StorageError, Store, WebhookEvent, WebhookId,
};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api::EntryDocument;
pub(crate) use sender::{Letter, Sender};

/// Pause between looks for new events.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before the second try of an event; doubles with each further one,
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// up to this.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Events after which the place of a webhook in the log is written down.
const EVENTS_PER_ADVANCE: usize = 50;
/// Time that one webhook may take before the others have their turn.
const STEP_TIME_MAX: Duration = Duration::from_secs(5);

/// What is posted of an event.
#[derive(Serialize)]
struct Posted<'a> {
    event: &'a str,
    webhook: String,
    entry: EntryDocument,
}

/// How often an event was tried.
#[derive(Clone, Copy, Default)]
struct Tries {
    position: AuditPosition,
    made: u32,
    /// On the monotonic clock.
    due: Duration,
}

/// Posts `event` to `open`, once.
///
/// # Errors
///
/// Why the receiver has not taken it.
pub(crate) async fn post(
    sender: &Sender,
    open: &OpenWebhook,
    event: &WebhookEvent,
) -> Result<(), String> {
    let kind = event.kind.as_str();
    let posted = Posted {
        event: kind,
        webhook: open.webhook.id.to_string(),
        entry: EntryDocument::from(&event.record),
    };
    let body = serde_json::to_vec(&posted).map_err(|error| error.to_string())?;
    let delivery = hex::encode(event.record.entry.id);
    let (url, secret) = (open.webhook.url.as_str(), open.secret.as_slice());
    sender.send(Letter { url, secret, kind, delivery: &delivery, body: Bytes::from(body) }).await
}

/// Tells webhooks until the server drains.
pub(crate) async fn deliver(
    store: Arc<Store>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    mut turn: AuditTurn,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deliverer = Deliverer { store, sender, clock, tries: HashMap::new() };
    let mut failing = false;
    loop {
        let looking = async {
            interval.tick().await;
            let looked = deliverer.look(&mut turn).await;
            if let (Err(error), false) = (&looked, failing) {
                tracing::error!(error = %error, "webhooks are not told");
            }
            failing = looked.is_err();
        };
        tokio::select! {
            // What is cut off is sent again by whoever goes on.
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            () = looking => {}
        }
    }
}

struct Deliverer {
    store: Arc<Store>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    tries: HashMap<WebhookId, Tries>,
}

impl Deliverer {
    async fn look(&mut self, turn: &mut AuditTurn) -> Result<(), StorageError> {
        if !self.store.has_audit_turn(turn).await? {
            self.tries.clear();
            return Ok(());
        }
        let webhooks = self.store.enabled_webhooks().await?;
        self.tries.retain(|id, _| webhooks.iter().any(|open| open.webhook.id == *id));
        if webhooks.is_empty() {
            return Ok(());
        }
        // Events have a place in the log once they are sealed; webhooks shall not wait for more.
        self.store.seal_audit(SealWhen::Now).await?;
        let steps = webhooks.iter().map(|open| async {
            let tries = self.tries.get(&open.webhook.id).copied().unwrap_or_default();
            (open.webhook.id, self.step(open, tries).await)
        });
        let mut result = Ok(());
        for (id, step) in join_all(steps).await {
            match step {
                Ok(tries) => drop(self.tries.insert(id, tries)),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Posts what is next, until something is not taken.
    async fn step(&self, open: &OpenWebhook, mut tries: Tries) -> Result<Tries, StorageError> {
        let (id, started) = (open.webhook.id, self.clock.monotonic());
        if started < tries.due {
            return Ok(tries);
        }
        let next = self.store.next_events(open).await?;
        for (count, event) in next.events.iter().enumerate() {
            let position = event.record.position;
            // The first is posted however late it is: where each look is slow none ever would be.
            if count > 0 {
                let is_late = self.clock.monotonic().saturating_sub(started) > STEP_TIME_MAX;
                if is_late || count % EVENTS_PER_ADVANCE == 0 {
                    self.store.advance_webhook(id, position).await?;
                }
                if is_late {
                    return Ok(tries);
                }
            }
            if tries.position != position {
                tries = Tries { position, ..Tries::default() };
            }
            let Err(reason) = post(&self.sender, open, event).await else { continue };
            tries.made += 1;
            tracing::warn!(webhook.id = %id, tries = tries.made, reason, "a webhook has failed");
            if tries.made < open.webhook.attempts_max {
                self.store.advance_webhook(id, position).await?;
                tries.due = self.clock.monotonic() + pause_after(tries.made);
                return Ok(tries);
            }
            self.store.bury_event(id, event, tries.made, &reason).await?;
        }
        self.store.advance_webhook(id, next.next).await?;
        Ok(Tries::default())
    }
}

/// Pause after so many tries.
fn pause_after(made: u32) -> Duration {
    let doublings = made.saturating_sub(1).min(16);
    RETRY_PAUSE.saturating_mul(1 << doublings).min(RETRY_PAUSE_MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tidelock_blob::memory::MemoryBlobStore;
    use tidelock_meta::SystemClock;
    use tidelock_meta::memory::MemoryStore;
    use tidelock_store::{
        AuditEvent, EventKind, Keyring, NewWebhook, Principal, StoreConfig, SystemEntropy,
    };

    use super::*;

    /// A clock by which everything takes longer than a step may.
    struct Slow(AtomicU32);

    impl Clock for Slow {
        fn now(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            2 * STEP_TIME_MAX * self.0.fetch_add(1, Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn each_step_posts_an_event_however_slow_it_is() {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy::new()));
        let keyring = Keyring::parse(&Keyring::generate("1", &*entropy)).unwrap();
        let (meta, blobs) = (Arc::new(MemoryStore::new()), Arc::new(MemoryBlobStore::new()));
        let config = StoreConfig::default();
        let store = Arc::new(Store::new(meta, blobs, keyring, clock, entropy, config));
        // Nobody listens there any more.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let new = NewWebhook {
            url: format!("http://{closed}/"),
            secret: None,
            kinds: vec![EventKind::LockAcquired],
            bucket: None,
            enabled: true,
            attempts_max: 1,
        };
        let root = Principal::root();
        let (webhook, _) = store.create_webhook(&root, new).await.unwrap();
        for key in ["a", "b", "c"] {
            store.note(&root, &AuditEvent::new("LockAcquired").object("bucket", key));
        }
        store.flush_audit().await.unwrap();
        store.seal_audit(SealWhen::Now).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Slow(AtomicU32::new(0)));
        let sender = Arc::new(Sender::new(clock.clone()));
        let deliverer = Deliverer { store: store.clone(), sender, clock, tries: HashMap::new() };
        for steps in 1..=3 {
            let open = store.open_webhook(&root, webhook.id).await.unwrap();
            deliverer.step(&open, Tries::default()).await.unwrap();
            let dead = store.dead_letters(&root, webhook.id).await.unwrap();
            assert_eq!(dead.len(), steps, "events that were posted, and not taken");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = (1..=8).map(|made| pause_after(made).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause_after(u32::MAX), RETRY_PAUSE_MAX);
    }
}
