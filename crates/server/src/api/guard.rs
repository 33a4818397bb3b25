//! `/_/api/v1/buckets/{bucket}/guard`: how the states of a bucket are guarded.
//!
//! What a PUT does not name stays as it is; in a bucket without a guard that is: every rule off.

use http::{Response, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{BucketChange, BucketName, Enforcement, GuardConfig, GuardEdit, LockHistory};
use tidelock_store::{Principal, Store};

use super::error::ApiError;
use super::{json, no_content, parse};

const MS: u64 = 1000;

/// A configuration as it is answered.
#[derive(Serialize)]
struct Guard {
    lock_writes: Level,
    serial: Level,
    lock_required: bool,
    lock_history: History,
    stale_after_seconds: u64,
    /// Bytes; none for any size.
    state_bytes_max: Option<u64>,
}

/// Some of one, as it is put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    lock_writes: Option<Level>,
    serial: Option<Level>,
    lock_required: Option<bool>,
    lock_history: Option<History>,
    stale_after_seconds: Option<u64>,
    /// `null` is a value of its own: any size.
    #[serde(default, deserialize_with = "given")]
    state_bytes_max: Option<Option<u64>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Off,
    Observe,
    Enforce,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum History {
    Keep,
    Purge,
}

pub(super) async fn get(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
) -> Result<Response<ResponseBody>, ApiError> {
    let guard = store.bucket(actor, bucket).await?.row.guard;
    let guard = guard.ok_or_else(ApiError::not_guarded)?;
    Ok(json(StatusCode::OK, &Guard::from(guard)))
}

/// Answers what holds from then on.
pub(super) async fn put(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let edit: Edit = parse(body)?;
    let change = BucketChange::EditGuard(edit.into_edit()?);
    store.change_bucket(actor, bucket, &change).await?;
    get(store, actor, bucket).await
}

pub(super) async fn delete(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
) -> Result<Response<ResponseBody>, ApiError> {
    store.change_bucket(actor, bucket, &BucketChange::Guard(None)).await?;
    Ok(no_content())
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Edit {
    fn into_edit(self) -> Result<GuardEdit, ApiError> {
        let stale_after_ms = self.stale_after_seconds.map(|seconds| {
            let too_long = || ApiError::malformed("stale_after_seconds is too long");
            seconds.checked_mul(MS).filter(|ms| i64::try_from(*ms).is_ok()).ok_or_else(too_long)
        });
        Ok(GuardEdit {
            lock_writes: self.lock_writes.map(Enforcement::from),
            serial: self.serial.map(Enforcement::from),
            lock_required: self.lock_required,
            lock_history: self.lock_history.map(LockHistory::from),
            stale_after_ms: stale_after_ms.transpose()?,
            state_bytes_max: self.state_bytes_max,
        })
    }
}

impl From<GuardConfig> for Guard {
    fn from(config: GuardConfig) -> Self {
        Self {
            lock_writes: config.lock_writes.into(),
            serial: config.serial.into(),
            lock_required: config.lock_required,
            lock_history: config.lock_history.into(),
            stale_after_seconds: config.stale_after_ms / MS,
            state_bytes_max: config.state_bytes_max,
        }
    }
}

impl From<Enforcement> for Level {
    fn from(enforcement: Enforcement) -> Self {
        match enforcement {
            Enforcement::Off => Self::Off,
            Enforcement::Observe => Self::Observe,
            Enforcement::Enforce => Self::Enforce,
        }
    }
}

impl From<Level> for Enforcement {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Observe => Self::Observe,
            Level::Enforce => Self::Enforce,
        }
    }
}

impl From<LockHistory> for History {
    fn from(history: LockHistory) -> Self {
        match history {
            LockHistory::Keep => Self::Keep,
            LockHistory::Purge => Self::Purge,
        }
    }
}

impl From<History> for LockHistory {
    fn from(history: History) -> Self {
        match history {
            History::Keep => Self::Keep,
            History::Purge => Self::Purge,
        }
    }
}
