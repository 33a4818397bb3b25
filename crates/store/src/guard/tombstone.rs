//! Tombstones: a lock that was given back stays readable for a moment for those who were refused it.
//!
//! Terraform reads the lock after it was refused, and waits (`-lock-timeout`) only if it reads one.

use tidelock_meta::record::contended::{self, ContendedRow};
use tidelock_meta::record::guard::{self, GuardRow, Released};
use tidelock_meta::record::head;
use tidelock_meta::record::version::ObjectVersion;

use super::lock::TOMBSTONE_WINDOW_MS;
use super::{current_lock, state_key};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::StorageError;
use crate::object::Target;
use crate::origin::Protocol;

impl Store {
    /// The lock that was under this key until a moment ago, if somebody was refused a lock there a moment
    /// ago: that one, or one before it, for it may have changed hands more than once since. If it was
    /// taken again by now, that one.
    pub(crate) async fn tombstone(
        &self,
        reading: &Reading,
        bucket: &OpenBucket,
        target: Target<'_>,
    ) -> Result<Option<ObjectVersion>, StorageError> {
        // The HTTP backend answers a refusal with the lock: nobody there reads it afterwards.
        let reads_after = target.principal.origin.protocol != Protocol::TerraformHttp;
        if bucket.row.guard.is_none() || !reads_after {
            return Ok(None);
        }
        let Some(state) = state_key(target.key) else { return Ok(None) };
        let (id, state) = (bucket.row.id, state.as_str());
        let keys =
            [head::key(id, target.key.as_str()), guard::key(id, state), contended::key(id, state)];
        let rows = reading.get(&keys).await?;
        let taken = current_lock(rows[0].as_ref())?;
        if taken.is_some() {
            return Ok(taken);
        }
        let (Some(guard), Some(contended)) = (&rows[1], &rows[2]) else { return Ok(None) };
        let released = GuardRow::decode(&guard.value)?.released;
        let until_ms = ContendedRow::decode(&contended.value)?.until_ms;
        let now = self.now();
        let is_fresh =
            |it: &Released| until_ms >= now && now - it.released_ms <= TOMBSTONE_WINDOW_MS;
        Ok(released.filter(is_fresh).map(|released| released.version))
    }
}
