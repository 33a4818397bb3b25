//! `/_/api/v1/locks`: who holds the states of a guarded bucket, by what the server knows of them.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{BucketName, HeldLock, LockRelease, ObjectKey, Principal, Store};

use super::error::ApiError;
use super::{iso8601, json, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    id: Option<String>,
    /// For the audit log.
    #[serde(default)]
    reason: String,
}

/// A lock that is held.
#[derive(Serialize)]
pub(super) struct Lock {
    /// Of the state.
    key: String,
    /// What the lock says of itself; empty where it says nothing.
    id: String,
    operation: String,
    info: String,
    who: String,
    version: String,
    created: String,
    /// ARN of who took it.
    holder: String,
    address: String,
    user_agent: String,
    /// By the clock of the server.
    since: String,
    last_write: Option<String>,
    /// States written under it.
    writes: u32,
    /// Not heard of for longer than the bucket says.
    quiet: bool,
}

#[derive(Serialize)]
struct Locks {
    locks: Vec<Lock>,
}

pub(super) async fn list(
    store: &Arc<Store>,
    actor: &Principal,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    // A list that is always empty would look as if nobody held a lock.
    if store.bucket(actor, bucket).await?.row.guard.is_none() {
        return Err(ApiError::not_guarded());
    }
    let locks = store.list_locks(actor, bucket, prefix).await?;
    let locks = locks.into_iter().map(Lock::from).collect();
    Ok(json(StatusCode::OK, &Locks { locks }))
}

/// Answers what was released.
pub(super) async fn release(
    store: &Arc<Store>,
    actor: &Principal,
    (bucket, key): (&BucketName, &ObjectKey),
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let Release { id, reason } = parse(body)?;
    let release = LockRelease { id: id.as_deref(), reason: &reason };
    let released = store.release_lock(actor, bucket, key, release).await?;
    Ok(json(StatusCode::OK, &Lock::from(released)))
}

impl From<HeldLock> for Lock {
    fn from(HeldLock { key, lock: facts }: HeldLock) -> Self {
        Self {
            key,
            operation: facts.lock.operation.as_str().to_owned(),
            id: facts.lock.id,
            info: facts.lock.info,
            who: facts.lock.who,
            version: facts.lock.version,
            created: facts.lock.created,
            holder: facts.holder,
            address: facts.address,
            user_agent: facts.user_agent,
            since: iso8601(facts.since_ms),
            last_write: facts.last_write_ms.map(iso8601),
            writes: facts.writes,
            quiet: facts.is_quiet,
        }
    }
}
