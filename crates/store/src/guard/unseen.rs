//! Locks whose body the guard does not have: taken before their bucket was guarded, or uploaded in parts.
//! The lock object says what they are.

use std::sync::Arc;

use tidelock_meta::record::head;
use tidelock_meta::record::version::VersionId;
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock};

use super::current_lock;
use super::message::LockFacts;
use super::refusal::LockedBy;
use crate::Store;
use crate::body::read::OpenError;
use crate::bucket::OpenBucket;
use crate::error::StorageError;
use crate::object::Target;

impl Store {
    /// What the lock object under `target` says, and which version of it; none where it is no lock, or opens
    /// for its customer only.
    pub(super) async fn lock_in_object(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
    ) -> Result<Option<(VersionId, Lock)>, StorageError> {
        let key = head::key(bucket.row.id, target.key.as_str());
        let seen = self.rows.look(|reading| async move { reading.row(key).await }).await?;
        let Some(version) = current_lock(seen.as_ref())? else { return Ok(None) };
        if version.object().is_none_or(|object| object.size > LOCK_BYTES_MAX as u64) {
            return Ok(None);
        }
        let mut reader = match self.open_version(target, bucket, &version).await {
            Ok(reader) => reader,
            Err(OpenError::Gone | OpenError::Encryption(_)) => return Ok(None),
            Err(error) => return Err(error.of_known_body()),
        };
        let mut body = Vec::new();
        while let Some(piece) = reader.next_bytes().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Lock::parse(&body).map(|lock| (version.id, lock)))
    }

    /// The same refusal, with what the lock object says.
    pub(crate) async fn told_of_unseen(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
        locked: LockedBy,
    ) -> Result<LockedBy, StorageError> {
        let Some(state) = target.key.locked_state() else { return Ok(locked) };
        if locked.lock.lock != Lock::default() {
            return Ok(locked);
        }
        let Some((_, lock)) = self.lock_in_object(target, bucket).await? else {
            return Ok(locked);
        };
        let lock = LockFacts { lock, ..locked.lock };
        let message = lock.refusal_of_lock(target.bucket.as_str(), state.as_str(), self.now());
        Ok(LockedBy { message, lock })
    }
}
