//! Gives the lock of a state back: this lock, and no other that stands there by then.

use std::time::Duration;

use http::{Method, StatusCode};

use super::key::lock_key;
use super::lock::FoundLock;
use super::{AcquireError, NewLock, StateLock, Stop};
use crate::connection::Outgoing;
use crate::{Client, ClientError, ErrorKind, uri};

/// Time for a lock to be given back once its work is done: while nobody answers, it is tried again.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before it is tried again; doubles with each further time.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause.
const GIVE_BACK_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Tries of a deletion that another request gets in the way of.
const ATTEMPTS_MAX: u32 = 3;

/// What became of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// It is gone now; it said this.
    Released(StateLock),
    /// There was none.
    Gone,
    /// Another one is there, and stays.
    Another(StateLock),
}

/// What was done under a lock, and what became of the lock.
#[derive(Debug)]
pub struct UnderLock<T> {
    /// The result of the work.
    pub result: T,
    /// Whether the lock was given back.
    pub release: Result<Release, ClientError>,
}

impl Client {
    /// Does `work` while holding `lock`, which is given back whatever becomes of the work.
    ///
    /// `stop` ends the wait for the lock; then it is the work's, to be given up or not.
    ///
    /// # Errors
    /// [`AcquireError`] when the lock was not taken; then nothing was done.
    pub async fn with_lock<T>(
        &self,
        (bucket, key): (&str, &str),
        lock: &NewLock,
        wait: Duration,
        mut stop: Stop<'_>,
        work: impl AsyncFnOnce(Stop<'_>) -> T,
    ) -> Result<UnderLock<T>, AcquireError> {
        self.acquire_lock((bucket, key), lock, wait, stop.as_mut()).await?;
        let result = work(stop).await;
        let release = self.give_back((bucket, key), lock.id()).await;
        Ok(UnderLock { result, release })
    }

    /// Releases a lock whose work is done. Nobody else will: where the endpoint cannot be reached, it is
    /// tried again.
    pub(super) async fn give_back(
        &self,
        (bucket, key): (&str, &str),
        id: &str,
    ) -> Result<Release, ClientError> {
        let mut last = None;
        let repeated = async {
            let mut pause = GIVE_BACK_PAUSE;
            loop {
                match self.release_lock(bucket, key, id).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => last = Some(error),
                    released => return released,
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(GIVE_BACK_PAUSE_MAX);
            }
        };
        match tokio::time::timeout(GIVE_BACK_TIMEOUT, repeated).await {
            Ok(released) => released,
            Err(elapsed) => Err(last.unwrap_or_else(|| self.broken(&elapsed))),
        }
    }

    /// Releases the lock of the state at `key` if it is the one called `id`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_lock(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Release, ClientError> {
        match self.find_lock(bucket, key).await? {
            None => Ok(Release::Gone),
            Some(found) if found.lock.id == id => self.release_found(bucket, key, found).await,
            Some(found) => Ok(Release::Another(found.lock)),
        }
    }

    /// Releases exactly the lock that was found.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_found(
        &self,
        bucket: &str,
        key: &str,
        found: FoundLock,
    ) -> Result<Release, ClientError> {
        let mut attempt = 1;
        loop {
            let error = match self.delete_lock(bucket, key, found.etag.as_deref()).await {
                Ok(()) => return Ok(Release::Released(found.lock)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Release::Gone),
                Err(error) if error.kind() == ErrorKind::Conflict => error,
                Err(error) => return Err(error),
            };
            match self.find_lock(bucket, key).await? {
                None => return Ok(Release::Gone),
                Some(other) if other.lock.id != found.lock.id || other.etag != found.etag => {
                    return Ok(Release::Another(other.lock));
                }
                // Tidelock shows a lock for a moment after it was released.
                Some(_) if is_status(&error, StatusCode::PRECONDITION_FAILED) => {
                    return Ok(Release::Gone);
                }
                Some(_) if attempt == ATTEMPTS_MAX => return Err(error),
                Some(_) => attempt += 1,
            }
        }
    }

    /// Deletes the lock if it still has this entity tag, where the endpoint looks at such conditions.
    async fn delete_lock(
        &self,
        bucket: &str,
        key: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        let request = || Outgoing::new(Method::DELETE, uri::object_path(bucket, &lock_key(key)));
        let Some(etag) = etag else { return self.send(request()).await.map(drop) };
        match self.send(request().header("if-match", etag)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_implemented() => self.send(request()).await.map(drop),
            Err(error) => Err(error),
        }
    }
}

fn is_status(error: &ClientError, status: StatusCode) -> bool {
    matches!(error, ClientError::Service(error) if error.status == status)
}
