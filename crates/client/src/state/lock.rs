//! Who holds a state: the body of `KEY.tflock`, as it is read.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{Method, header};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock};

use super::READS_IN_FLIGHT_MAX;
use super::body::{last_modified, text_of};
use super::key::{lock_key, locked_key};
use super::list::bounded;
use crate::connection::Outgoing;
use crate::guard::LockSeen;
use crate::{Client, ClientError, ErrorKind, uri};

/// A lock as its holder describes it; all empty where the object is no lock body, which still locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLock {
    /// What `force-unlock` asks for.
    pub id: String,
    /// The word of the command: `OperationTypeApply`, `state-push`.
    pub operation: String,
    /// Free text; empty of Terraform's own.
    pub info: String,
    /// `user@host`
    pub who: String,
    /// Since when, by the holder's clock; RFC 3339.
    pub created: String,
    /// Terraform's or OpenTofu's version.
    pub version: String,
}

/// A lock object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLock {
    /// What it says.
    pub lock: StateLock,
    /// When it was written, by the endpoint's clock; ISO 8601.
    pub last_modified: String,
    /// Its entity tag, with its quotes.
    pub(super) etag: Option<String>,
}

/// A lock of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLock {
    /// The key of the state.
    pub key: String,
    /// What the lock says; all empty where it cannot be read.
    pub lock: StateLock,
    /// When it was written, by the endpoint's clock; ISO 8601.
    pub last_modified: String,
    /// What the server saw of it; none where no guard minds it.
    pub seen: Option<LockSeen>,
}

impl Client {
    /// The lock on the state at `key`; none where nobody holds it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn state_lock(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<StateLock>, ClientError> {
        Ok(self.find_lock(bucket, key).await?.map(|found| found.lock))
    }

    /// The same; a lock that may not be read still is one.
    pub(super) async fn lock_of(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<StateLock>, ClientError> {
        match self.state_lock(bucket, key).await {
            Err(error) if error.kind() == ErrorKind::Denied => Ok(Some(StateLock::default())),
            lock => lock,
        }
    }

    /// What [`state_lock`](Self::state_lock) reads, so that exactly this lock can be released.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn find_lock(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<FoundLock>, ClientError> {
        let path = uri::object_path(bucket, &lock_key(key));
        let response = match self.send(Outgoing::new(Method::GET, path)).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let etag = text_of(response.headers(), header::ETAG.as_str());
        let last_modified = last_modified(response.headers());
        let lock = match Limited::new(response.into_body(), LOCK_BYTES_MAX).collect().await {
            Ok(body) => Lock::parse(&body.to_bytes()),
            // What is longer is no lock body either.
            Err(error) if error.is::<http_body_util::LengthLimitError>() => None,
            Err(error) => return Err(self.broken(error.as_ref())),
        };
        let lock = lock.map(StateLock::from).unwrap_or_default();
        Ok(Some(FoundLock { lock, last_modified, etag }))
    }

    /// The locks on states whose keys begin with `prefix`, in order of their keys.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Local`] beyond [`super::OBJECTS_LISTED_MAX`]. A lock that this
    /// caller may not read is no error of the list.
    pub async fn list_locks(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<ListedLock>, ClientError> {
        let held = self.held_locks(bucket, prefix).await?.unwrap_or_default();
        let mut held: HashMap<_, _> = held.into_iter().map(|it| (it.key.clone(), it)).collect();
        let mut found = Vec::new();
        let mut pages = self.list_objects(bucket, prefix);
        while let Some(page) = pages.next().await? {
            let locks = page.into_iter().filter_map(|object| {
                let key = locked_key(&object.key, prefix)?.to_owned();
                Some((held.remove(&key), key, object.last_modified))
            });
            found.extend(locks);
            bounded(found.len(), "locks")?;
        }
        stream::iter(found)
            .map(|(held, key, last_modified)| async move {
                let (lock, seen) = match held {
                    Some(held) => (Some(held.lock), Some(held.seen)),
                    // One that was released since it was listed is none.
                    None => (self.lock_of(bucket, &key).await?, None),
                };
                Ok(lock.map(|lock| ListedLock { key, lock, last_modified, seen }))
            })
            .buffered(READS_IN_FLIGHT_MAX)
            .try_filter_map(|listed| async move { Ok(listed) })
            .try_collect()
            .await
    }
}

impl From<Lock> for StateLock {
    fn from(lock: Lock) -> Self {
        Self {
            operation: lock.operation.as_str().to_owned(),
            id: lock.id,
            info: lock.info,
            who: lock.who,
            created: lock.created,
            version: lock.version,
        }
    }
}
