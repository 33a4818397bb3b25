//! Waiting for a lock. `-lock-timeout` asks again for the very same lock, after pauses that grow to 16 s:
//! where many wait, nobody asks most of the time, and some never find the lock free. So whoever asks
//! again is answered as soon as the lock was given back, or after a few seconds. Who asks for the first
//! time is told at once.

use std::time::Duration;

use tidelock_meta::Key;
use tidelock_meta::record::head;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use super::current_lock;
use super::lock::TOMBSTONE_WINDOW_MS;
use super::recent::Recent;
use crate::Store;
use crate::bucket::OpenBucket;
use crate::error::StorageError;
use crate::object::Target;

/// Longest time that a refused lock is held back.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the lock is free.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Who was refused a lock and asks for it again within this time is waiting for it: longer than the
/// longest pause of Terraform.
const ASKS_AGAIN_WITHIN_MS: i64 = 30_000;

/// The locks that this server has refused a moment ago.
#[derive(Debug)]
pub(crate) struct RefusedLocks {
    /// The guards where that is recorded.
    pub(super) recorded: Recent<Key>,
    /// What was asked for: the lock, by whom, and the MD5 of the body, which names the run.
    asked: Recent<(Key, String, [u8; 16])>,
    room_to_wait: Semaphore,
}

impl RefusedLocks {
    /// None yet, with room for so many requests that wait at once.
    pub(crate) fn new(waits_max: usize) -> Self {
        Self {
            recorded: Recent::new(TOMBSTONE_WINDOW_MS),
            asked: Recent::new(ASKS_AGAIN_WITHIN_MS),
            room_to_wait: Semaphore::new(waits_max),
        }
    }
}

/// A request for a lock that is held.
pub(crate) struct Wait<'a> {
    lock: Key,
    until: Instant,
    _room: Option<SemaphorePermit<'a>>,
}

impl Store {
    /// Begins to wait for the lock at `target`, as long as somebody does who has sent this body. Tells
    /// that it was sent, too.
    pub(crate) fn begin_wait(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        body_md5: [u8; 16],
    ) -> Wait<'_> {
        let lock = head::key(bucket.row.id, target.key.as_str());
        let asked = (lock.clone(), target.principal.arn.to_string(), body_md5);
        let now = self.now();
        let asks_again = self.refused_locks.asked.was_marked(&asked, now - ASKS_AGAIN_WITHIN_MS);
        self.refused_locks.asked.mark(asked, now);
        let room = self.refused_locks.room_to_wait.try_acquire().ok().filter(|_| asks_again);
        let patience = if room.is_some() { LOCK_WAIT_MAX } else { Duration::ZERO };
        Wait { lock, until: Instant::now() + patience, _room: room }
    }

    /// Waits until the lock is free, or the wait is over. Whether it is worth to try for the lock again:
    /// not once the wait was over before. What is answered then was seen after it.
    pub(crate) async fn is_worth_a_try(&self, wait: &Wait<'_>) -> Result<bool, StorageError> {
        if Instant::now() >= wait.until {
            return Ok(false);
        }
        while Instant::now() < wait.until {
            sleep(LOOK_EVERY).await;
            let head = wait.lock.clone();
            // The commit that follows checks what this has seen.
            let seen = self.rows.look(|reading| async move { reading.row(head).await }).await?;
            if current_lock(seen.as_ref())?.is_none() {
                break;
            }
        }
        Ok(true)
    }
}
