//! Proof that the primary that answered a read was still the primary, and that what it answered is
//! replicated: an empty commit that the synchronous standby must acknowledge.
//!
//! A deposed primary goes on answering reads, but its standby listens to its successor, so its barrier
//! never ends. The read comes first and the barrier after it; then the barrier's place in the log is after
//! everything that the read has seen. One is under way at a time, and all reads that ended before it was
//! sent share it. Refuses to know what was read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::failure::Failure;
use super::lease::Lease;
use super::pool::Pool;
use super::{PostgresObserver, RoundTrip};
use crate::{Epoch, MetaError};

/// Reads that may wait for a barrier.
const WAITERS_MAX: usize = 4096;
/// A standby that has not acknowledged by then is taken to be away.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that may turn out to be broken before one is not.
const ATTEMPTS_MAX: usize = 3;

type Waiter = oneshot::Sender<Result<Epoch, MetaError>>;

/// The one task that sends barriers, and the queue in front of it.
pub(super) struct Barrier {
    waiters: mpsc::Sender<Waiter>,
    task: JoinHandle<()>,
}

impl Barrier {
    pub(super) fn start(pool: Arc<Pool>, observer: Arc<dyn PostgresObserver>) -> Self {
        let (waiters, queue) = mpsc::channel(WAITERS_MAX);
        let task = tokio::spawn(serve(queue, pool, observer));
        Self { waiters, task }
    }

    /// Waits for a barrier that is sent after now. Answers the epoch of the connection that it was sent
    /// over: what was read in another one is not proved.
    ///
    /// # Errors
    ///
    /// [`MetaError::Unavailable`], [`MetaError::Overloaded`].
    pub(super) async fn pass(&self) -> Result<Epoch, MetaError> {
        let (waiter, answer) = oneshot::channel();
        match self.waiters.try_send(waiter) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(closed())),
            Err(mpsc::error::TrySendError::Full(_)) => Err(MetaError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
        }
    }

    /// Lets all waiters fail.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Who has given up waiting is answered all the same: nobody depends on anybody else's patience.
async fn serve(
    mut queue: mpsc::Receiver<Waiter>,
    pool: Arc<Pool>,
    observer: Arc<dyn PostgresObserver>,
) {
    let mut together = Vec::new();
    while queue.recv_many(&mut together, WAITERS_MAX).await > 0 {
        let answer = pass_once(&pool, &*observer).await;
        for waiter in together.drain(..) {
            let _ = waiter.send(answer.clone());
        }
    }
}

async fn pass_once(pool: &Pool, observer: &dyn PostgresObserver) -> Result<Epoch, MetaError> {
    let mut lost = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let lease = Lease::take(pool).await?;
        let Some(statement) = &lease.statements.barrier else {
            return Err(unavailable("the database has no log to write a barrier to"));
        };
        observer.round_trip(RoundTrip::Barrier);
        let query = lease.client.query_one(statement, &[]);
        match timeout(BARRIER_TIMEOUT, query).await {
            Err(_) => return Err(unavailable("the standby does not acknowledge in time")),
            Ok(Ok(_)) if lease.was_cancelled() => {
                return Err(unavailable("the wait for the standby was cancelled"));
            }
            Ok(Ok(row)) => {
                let waits_for: &str = row.try_get(0).unwrap_or_default();
                if waits_for.is_empty() {
                    return Err(unavailable("commits do not wait for a standby any more"));
                }
                let epoch = lease.epoch;
                lease.give_back();
                return Ok(epoch);
            }
            Ok(Err(error)) => match Failure::of(&error) {
                Failure::Refused(error) => return Err(error),
                Failure::Lost(why) | Failure::LostBefore(why) | Failure::Retry(why) => lost = why,
                Failure::Duplicate => lost = "a barrier cannot be a duplicate".to_owned(),
            },
        }
    }
    Err(MetaError::Unavailable(lost))
}

fn unavailable(why: &str) -> MetaError {
    MetaError::Unavailable(why.to_owned())
}

fn closed() -> MetaError {
    unavailable("the store is closed")
}
