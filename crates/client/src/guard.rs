//! Tidelock's guard of states, through its JSON API: its configuration, who holds a lock by what the
//! server knows, what was refused, and one-shot permissions.

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;

use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

/// The code of a bucket that has no guard.
const NOT_GUARDED: &str = "NotGuarded";

/// When a lock is quiet, in a bucket that `bootstrap` has made.
const STALE_AFTER_SECONDS: u64 = 3600;

/// What becomes of a request that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardLevel {
    /// The rule is not looked at.
    Off,
    /// It is done, and recorded.
    Observe,
    /// It is refused.
    Enforce,
}

/// What stays of locks that were given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockHistory {
    /// Versions and delete markers.
    Keep,
    /// Nothing but the audit log.
    Purge,
}

/// How the states of a bucket are guarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketGuard {
    /// Only the holder of the lock writes the state.
    pub lock_writes: GuardLevel,
    /// Nothing older is written over a state, and nothing else than a state of its lineage.
    pub serial: GuardLevel,
    /// A state is not written without a lock.
    pub lock_required: bool,
    /// What stays of locks.
    pub lock_history: LockHistory,
    /// After this long without a write, a lock is quiet.
    pub stale_after_seconds: u64,
    /// Bytes; none for any size.
    pub state_bytes_max: Option<u64>,
}

/// A change of some of it; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GuardEdit {
    /// [`BucketGuard::lock_writes`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_writes: Option<GuardLevel>,
    /// [`BucketGuard::serial`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<GuardLevel>,
    /// [`BucketGuard::lock_required`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_required: Option<bool>,
    /// [`BucketGuard::lock_history`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_history: Option<LockHistory>,
    /// [`BucketGuard::stale_after_seconds`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after_seconds: Option<u64>,
    /// [`BucketGuard::state_bytes_max`], which may become none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_bytes_max: Option<Option<u64>>,
}

/// A lock that is held, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLock {
    /// Of the state.
    pub key: String,
    /// What the lock says of itself; empty where it says nothing.
    #[serde(flatten)]
    pub lock: crate::state::StateLock,
    /// What the server saw.
    #[serde(flatten)]
    pub seen: LockSeen,
}

/// What the server saw of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSeen {
    /// ARN of who took it.
    pub holder: String,
    /// The IP address it was taken from.
    pub address: String,
    /// With this `User-Agent`.
    pub user_agent: String,
    /// When, by the server's clock; ISO 8601.
    pub since: String,
    /// When the state was last written under it.
    pub last_write: Option<String>,
    /// States written under it.
    pub writes: u32,
    /// Without a write for longer than the bucket says.
    pub quiet: bool,
}

/// A state that was refused and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedState {
    /// Of the state.
    pub key: String,
    /// Names it.
    pub id: String,
    /// When; ISO 8601.
    pub refused: String,
    /// When it is dropped.
    pub expires: String,
    /// The code it was refused with.
    pub code: String,
    /// What its sender was told.
    pub message: String,
    /// ARN of who sent it.
    pub principal: String,
    /// The IP address it came from.
    pub address: String,
    /// With this `User-Agent`.
    pub user_agent: String,
    /// Bytes.
    pub size: u64,
    /// Entity tag, without its quotes.
    pub etag: String,
}

/// A permission for one write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateAllowance {
    /// Of the state.
    pub key: String,
    /// Until when; ISO 8601.
    pub expires: String,
}

#[derive(Deserialize)]
struct Locks {
    locks: Vec<HeldLock>,
}

#[derive(Deserialize)]
struct Refused {
    refused: Vec<RefusedState>,
}

impl GuardEdit {
    /// Every rule at `level`, and all else as `bootstrap` and `serve --bootstrap` set it.
    pub fn all(level: GuardLevel) -> Self {
        Self {
            lock_writes: Some(level),
            serial: Some(level),
            lock_required: Some(true),
            lock_history: Some(LockHistory::Purge),
            stale_after_seconds: Some(STALE_AFTER_SECONDS),
            state_bytes_max: Some(None),
        }
    }
}

impl Client {
    /// How the states of `bucket` are guarded; none where they are not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn bucket_guard(&self, bucket: &str) -> Result<Option<BucketGuard>, ClientError> {
        unless_not_guarded(self.ask_for(&guard_path(bucket), &[]).await)
    }

    /// Changes it; answers what holds from then on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn edit_guard(
        &self,
        bucket: &str,
        edit: &GuardEdit,
    ) -> Result<BucketGuard, ClientError> {
        self.ask(Outgoing::new(Method::PUT, guard_path(bucket)).json(edit)?).await
    }

    /// Guards the states of `bucket` no more.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_guard(&self, bucket: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, guard_path(bucket))).await.map(drop)
    }

    /// The locks on states whose keys begin with `prefix`; none on another endpoint than Tidelock, and
    /// where the bucket is not guarded.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn held_locks(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Option<Vec<HeldLock>>, ClientError> {
        if !self.is_tidelock().await? {
            return Ok(None);
        }
        let path = path("locks", bucket, None);
        let locks: Result<Locks, _> = self.ask_for(&path, &[("prefix", prefix)]).await;
        Ok(unless_not_guarded(locks)?.map(|locks| locks.locks))
    }

    /// Releases a lock, only the one called `id` if there is one; the audit log gets `reason`. None
    /// where the bucket is not guarded.
    ///
    /// # Errors
    /// See [`ClientError`]; `NotLocked`, also of a lock that is older than the guard; `AnotherLock`.
    pub async fn release_held(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        reason: &str,
    ) -> Result<Option<HeldLock>, ClientError> {
        let body = serde_json::json!({ "id": id, "reason": reason });
        let request = Outgoing::new(Method::DELETE, path("locks", bucket, Some(key)));
        unless_not_guarded(self.ask(request.json(&body)?).await)
    }

    /// Refused states whose keys begin with `prefix`, by key, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_refused(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<RefusedState>, ClientError> {
        let path = path("refused", bucket, None);
        let refused: Refused = self.ask_for(&path, &[("prefix", prefix)]).await?;
        Ok(refused.refused)
    }

    /// Writes a refused state to `sink`, byte for byte.
    ///
    /// # Errors
    /// See [`ClientError`]. A body that breaks off is an error, whatever has been written by then.
    pub async fn get_refused(
        &self,
        (bucket, key): (&str, &str),
        id: &str,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), ClientError> {
        let request = Outgoing::new(Method::GET, path("refused", bucket, Some(id)));
        let body = self.send(request.query(&[("key", key)])).await?.into_body();
        self.pour(body, sink, &mut |_bytes| {}).await.map(drop)
    }

    /// Drops a refused state before its time.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discard_refused(
        &self,
        (bucket, key): (&str, &str),
        id: &str,
    ) -> Result<(), ClientError> {
        let request = Outgoing::new(Method::DELETE, path("refused", bucket, Some(id)));
        self.send(request.query(&[("key", key)])).await.map(drop)
    }

    /// Lets the next write of the state through that would be refused, if it comes within `seconds`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn allow_state(
        &self,
        bucket: &str,
        key: &str,
        seconds: u64,
    ) -> Result<StateAllowance, ClientError> {
        let body = serde_json::json!({ "key": key, "seconds": seconds });
        let request = Outgoing::new(Method::POST, path("allowances", bucket, None));
        self.ask(request.json(&body)?).await
    }
}

fn unless_not_guarded<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some(NOT_GUARDED) => Ok(None),
        Err(error) => Err(error),
    }
}

fn guard_path(bucket: &str) -> String {
    format!("/_/api/v1/buckets/{}/guard", uri::segment(bucket))
}

fn path(noun: &str, bucket: &str, rest: Option<&str>) -> String {
    // Escaped as a whole: no proxy on the way finds `..` or `//` in it.
    let rest = rest.map(|rest| format!("/{}", uri::segment(rest))).unwrap_or_default();
    format!("/_/api/v1/{noun}/{}{rest}", uri::segment(bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_sent() {
        let rows = [
            (GuardEdit::default(), "{}"),
            (
                GuardEdit { serial: Some(GuardLevel::Observe), ..GuardEdit::default() },
                r#"{"serial":"observe"}"#,
            ),
            (
                GuardEdit { state_bytes_max: Some(None), ..GuardEdit::default() },
                r#"{"state_bytes_max":null}"#,
            ),
        ];
        for (edit, expected) in rows {
            assert_eq!(serde_json::to_string(&edit).unwrap(), expected);
        }
    }

    #[test]
    fn keys_are_one_segment() {
        assert_eq!(
            path("locks", "b", Some("env:/dev/a%2F")),
            "/_/api/v1/locks/b/env%3A%2Fdev%2Fa%252F"
        );
    }
}
