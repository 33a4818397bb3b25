//! A delete of a state in a guarded bucket.

use tidelock_meta::record::bucket::Enforcement;
use tidelock_meta::{Batch, OpId};

use super::OpenGuard;
use super::quarantine::remember;
use super::refusal::Refusal;
use super::rules::Breach;
use super::run::{Asker, Standing};
use super::{events, message};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::error::StorageError;
use crate::object::Target;

/// What the guard says of a delete.
pub(crate) enum DeleteVerdict {
    /// It is done.
    Pass,
    /// It is refused, and this is remembered.
    Refuse(Box<Refusal>, Batch),
}

impl Store {
    /// Only the holder deletes a state while a lock is held, and only it brings back an older one. Without a
    /// lock everybody does who may: `terraform workspace delete` gives its lock back before.
    pub(crate) fn guard_delete(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        guard: &OpenGuard,
        changes_state: bool,
    ) -> Result<DeleteVerdict, StorageError> {
        let Some(config) = &bucket.row.guard else { return Ok(DeleteVerdict::Pass) };
        let is_locked = guard.row.hold.is_some();
        if !changes_state || !is_locked || config.lock_writes != Enforcement::Enforce {
            return Ok(DeleteVerdict::Pass);
        }
        let row = &guard.row;
        let held = self.held_now(bucket, target.key, row)?;
        let asker = Asker::of(target.principal);
        let breach = match self.standing(&asker, row, held.as_ref(), config) {
            Standing::Free | Standing::Holder => return Ok(DeleteVerdict::Pass),
            Standing::Other => Breach::Locked,
            Standing::Lost => Breach::Lost,
            Standing::Unclear => Breach::Unclear,
        };
        let now = self.now();
        let lock = held.map(|held| held.facts(now, config));
        let refusal = Refusal {
            reason: breach.reason(),
            message: message::refusal_of_delete(&breach, lock.as_ref(), now),
            refused: None,
            lock: lock.map(Box::new),
            keeps_body: false,
        };
        let mut batch = Batch::new(OpId(self.random()));
        let mut left = row.clone();
        remember(&breach, &asker, &mut left, now);
        guard.replace(&mut batch, &left);
        bucket.guard(&mut batch);
        let event = events::of_refused_delete(target, &refusal);
        self.audit(&mut batch, target.principal, &event);
        Ok(DeleteVerdict::Refuse(Box::new(refusal), batch))
    }
}
