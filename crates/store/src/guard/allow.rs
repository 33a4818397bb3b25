//! A permission for one write that the guard would refuse.

use std::time::Duration;

use tidelock_meta::record::bucket;
use tidelock_meta::record::guard::{self, Allowance};
use tidelock_meta::{Batch, OpId};

use super::OpenGuard;
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::Plan;
use crate::error::BucketError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};

/// Longest time that a permission waits for its write.
pub const ALLOWANCE_TERM_MAX: Duration = Duration::from_secs(24 * 3600);

/// A permission as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateAllowance {
    /// Key of the state.
    pub key: String,
    /// Until when, milliseconds since 1970.
    pub expires_ms: i64,
}

/// Why no permission was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The bucket has no guard: there is nothing to allow.
    #[error("the bucket is not guarded")]
    NotGuarded,
}

impl Store {
    /// Lets the next write of the state at `key` through that would be refused, if it comes within
    /// `valid_for`, at most [`ALLOWANCE_TERM_MAX`]. It needs no lock and may be anything.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used or is not guarded.
    pub async fn allow_state(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        valid_for: Duration,
    ) -> Result<StateAllowance, AllowError> {
        let id = self.find_bucket(principal, bucket).await?.row.id;
        let keys = [bucket::key(bucket.as_str()), guard::key(id, key.as_str())];
        let op_id = OpId(self.random());
        let now = self.now();
        let term = valid_for.min(ALLOWANCE_TERM_MAX).as_millis() as i64;
        let expires_ms = now + term;
        self.update(&keys, |view| {
            let open = OpenBucket::again(id, bucket, view.rows[0].as_ref(), principal)?;
            if open.row.guard.is_none() {
                return Err(AllowError::NotGuarded);
            }
            let guard = OpenGuard::of(key, keys[1].clone(), view.rows[1].as_ref())?;
            let mut row = guard.row.clone();
            row.allowance = Some(Allowance { expires_ms });
            let mut batch = Batch::new(op_id);
            guard.replace(&mut batch, &row);
            open.guard(&mut batch);
            let event = AuditEvent::new("AllowanceGranted").object(bucket.as_str(), key.as_str());
            self.audit(&mut batch, principal, &event);
            let key = key.as_str().to_owned();
            Ok(Plan::Commit(batch, StateAllowance { key, expires_ms }))
        })
        .await
    }
}
