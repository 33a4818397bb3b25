//! Who holds a state: the body of `KEY.tflock`.

use http::Method;
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock};

use super::key::lock_key;
use crate::connection::Outgoing;
use crate::{Client, ClientError, ErrorKind, uri};

/// A lock as its holder describes it; all empty where the object is no lock body, which still locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateLock {
    /// What `force-unlock` asks for.
    pub id: String,
    /// The word of the command: `OperationTypeApply`, `state-push`.
    pub operation: String,
    /// `user@host`
    pub who: String,
    /// Since when, by the holder's clock; RFC 3339.
    pub created: String,
    /// Terraform's or OpenTofu's version.
    pub version: String,
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
        let path = uri::object_path(bucket, &lock_key(key));
        let response = match self.send(Outgoing::new(Method::GET, path)).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = Limited::new(response.into_body(), LOCK_BYTES_MAX).collect().await;
        // What is longer is no lock body either.
        let lock = body.ok().and_then(|body| Lock::parse(&body.to_bytes()));
        Ok(Some(lock.map(StateLock::from).unwrap_or_default()))
    }
}

impl From<Lock> for StateLock {
    fn from(lock: Lock) -> Self {
        Self {
            operation: lock.operation.as_str().to_owned(),
            id: lock.id,
            who: lock.who,
            created: lock.created,
            version: lock.version,
        }
    }
}
