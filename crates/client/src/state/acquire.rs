//! Takes the lock of a state as Terraform does: a write of `KEY.tflock` that has one winner.
//!
//! Whether it has is the endpoint's to keep; one that ignores `If-None-Match` has no locks.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tidelock_tfstate::{Lock, Operation};

use super::StateLock;
use super::key::lock_key;
use crate::connection::Outgoing;
use crate::{Client, ClientError, ErrorKind, uri};

/// Pause before a lock that is held is asked for again; doubles with each further time.
const WAIT_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause.
const WAIT_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Times that a lock may be gone by the time it is looked at, before it counts as held.
const VANISHED_MAX: u32 = 3;
/// Time for a lock that may have been taken, and is not wanted any more, to be given back.
const WITHDRAWAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends when the caller gives up.
pub type Stop<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// A lock to be taken.
#[derive(Clone, Debug)]
pub struct NewLock {
    id: String,
    operation: Operation,
    info: String,
    who: String,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Somebody has it.
    #[error("locked by {}", if .0.who.is_empty() { "somebody" } else { .0.who.as_str() })]
    Held(Box<StateLock>),
    /// It may have been taken, and could not be given back.
    #[error("{error}; the lock {id} may have been taken nevertheless")]
    Left {
        /// What it would be called.
        id: String,
        /// What went wrong first.
        error: ClientError,
    },
    /// The endpoint, or the caller, who gave up.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl NewLock {
    /// A lock whose ID is made of `random`; `who` is `user@host`.
    pub fn new(random: [u8; 16], operation: Operation, info: &str, who: &str) -> Self {
        let (info, who) = (info.to_owned(), who.to_owned());
        Self { id: uuid(random), operation, info, who }
    }

    /// What it will be called.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn body(&self, bucket: &str, key: &str, now: jiff::Timestamp) -> Result<Bytes, ClientError> {
        let lock = Lock {
            id: self.id.clone(),
            operation: self.operation.clone(),
            info: self.info.clone(),
            who: self.who.clone(),
            version: concat!("tidelock ", env!("CARGO_PKG_VERSION")).to_owned(),
            created: now.to_string(),
            path: format!("{bucket}/{key}"),
        };
        let body = serde_json::to_vec(&lock);
        Ok(Bytes::from(body.map_err(|error| ClientError::Malformed(error.to_string()))?))
    }
}

/// Version 4 (RFC 9562, section 5.4).
fn uuid(mut random: [u8; 16]) -> String {
    random[6] = (random[6] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Client {
    /// Takes the lock of the state at `key`; while it is held, asks again for as long as `wait`.
    ///
    /// # Errors
    /// [`AcquireError::Held`]; [`ClientError::Interrupted`] when `stop` ends first. Then, and where
    /// the endpoint did not answer, what may have been taken is given back; [`AcquireError::Left`] where
    /// that is not possible.
    pub async fn acquire_lock(
        &self,
        (bucket, key): (&str, &str),
        lock: &NewLock,
        wait: Duration,
        mut stop: Stop<'_>,
    ) -> Result<(), AcquireError> {
        let body = lock.body(bucket, key, self.now())?;
        let mut deadline = pin!(tokio::time::sleep(wait));
        let mut pause = WAIT_PAUSE;
        loop {
            let attempt = self.attempt_lock((bucket, key), lock, &body, stop.as_mut());
            let Some(holder) = attempt.await? else { return Ok(()) };
            tokio::select! {
                biased;
                () = stop.as_mut() => return Err(ClientError::Interrupted.into()),
                () = deadline.as_mut() => return Err(AcquireError::Held(Box::new(holder))),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(WAIT_PAUSE_MAX);
        }
    }

    /// One attempt that leaves nothing behind unless it takes the lock; else who holds it.
    async fn attempt_lock(
        &self,
        place: (&str, &str),
        lock: &NewLock,
        body: &Bytes,
        stop: Stop<'_>,
    ) -> Result<Option<StateLock>, AcquireError> {
        let mut attempt = pin!(self.put_lock(place, lock, body));
        let result = tokio::select! {
            result = attempt.as_mut() => result,
            () = stop => {
                // A write that is cut off may be done nevertheless.
                let ended = tokio::time::timeout(WITHDRAWAL_TIMEOUT, attempt).await;
                return Err(match ended {
                    Ok(Ok(Some(_held))) => ClientError::Interrupted.into(),
                    _ => self.withdraw(place, lock, ClientError::Interrupted).await,
                });
            }
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                Err(self.withdraw(place, lock, error).await)
            }
            result => Ok(result?),
        }
    }

    async fn put_lock(
        &self,
        (bucket, key): (&str, &str),
        lock: &NewLock,
        body: &Bytes,
    ) -> Result<Option<StateLock>, ClientError> {
        for _ in 0..VANISHED_MAX {
            let request = Outgoing::new(Method::PUT, uri::object_path(bucket, &lock_key(key)))
                .header("content-type", "application/json")
                .header("if-none-match", "*")
                .body(body.clone())
                .checksummed();
            match self.send(request).await {
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
            match self.state_lock(bucket, key).await? {
                // The answer to the first try was lost, and the second met its lock.
                Some(found) if found.id == lock.id => return Ok(None),
                Some(found) => return Ok(Some(found)),
                None => {}
            }
        }
        Ok(Some(StateLock::default()))
    }

    /// Gives back what may have been taken when `error` came; answers what the caller is told.
    async fn withdraw(
        &self,
        (bucket, key): (&str, &str),
        lock: &NewLock,
        error: ClientError,
    ) -> AcquireError {
        let release = self.release_lock(bucket, key, &lock.id);
        match tokio::time::timeout(WITHDRAWAL_TIMEOUT, release).await {
            Ok(Ok(_gone)) => error.into(),
            Ok(Err(_)) | Err(_) => AcquireError::Left { id: lock.id.clone(), error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_as_one_of_terraform() {
        let lock = NewLock::new([0xff; 16], Operation::StatePush, "why \"so\"", "me@host");
        let now = "2026-11-21T20:35:06.5Z".parse().unwrap();
        let body = lock.body("b", "env:/dev/k", now).unwrap();
        let expected = format!(
            "{{\"ID\":\"ffffffff-ffff-4fff-bfff-ffffffffffff\",\"Operation\":\"state-push\",\
             \"Info\":\"why \\\"so\\\"\",\"Who\":\"me@host\",\"Version\":\"tidelock {}\",\
             \"Created\":\"2026-11-21T20:35:06.5Z\",\"Path\":\"b/env:/dev/k\"}}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
        let parsed = Lock::parse(&body).unwrap();
        assert_eq!((parsed.id.as_str(), parsed.operation), (lock.id(), Operation::StatePush));
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        let rows = [
            ([0; 16], "00000000-0000-4000-8000-000000000000"),
            (*b"0123456789abcdef", "30313233-3435-4637-b839-616263646566"),
        ];
        for (random, expected) in rows {
            assert_eq!(uuid(random), expected);
        }
    }
}
