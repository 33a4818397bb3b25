//! What the audit log is told of locks and states. Entries about a lock name the state that it locks.

use tidelock_meta::record::version::VersionId;
use tidelock_tfstate::Lock;

use super::refusal::{LockedBy, Refusal};
use super::state_key;
use super::write::{GuardedWrite, Passed};
use crate::audit::AuditEvent;
use crate::object::Target;
use crate::version::DisplayVersion;

/// A lock was taken, given back, taken away.
pub(crate) fn of_lock(action: &'static str, target: Target<'_>, lock: Option<&Lock>) -> AuditEvent {
    let state = state_key(target.key);
    let key = state.as_ref().unwrap_or(target.key).as_str();
    let event = AuditEvent::new(action).object(target.bucket.as_str(), key);
    match lock {
        Some(lock) => AuditEvent {
            lock_id: lock.id.clone(),
            lock_operation: lock.operation.as_str().to_owned(),
            lock_who: lock.who.clone(),
            ..event
        },
        None => event,
    }
}

/// Somebody was refused a lock; the entry names the one that is held.
pub(crate) fn of_locked(target: Target<'_>, locked: &LockedBy) -> AuditEvent {
    let event = of_lock("LockRefused", target, Some(&locked.lock.lock));
    AuditEvent { code: "PreconditionFailed".into(), message: locked.message.clone(), ..event }
}

/// A state was written.
pub(crate) fn of_written(write: &GuardedWrite<'_>, passed: &Passed, id: VersionId) -> AuditEvent {
    let action = match (passed.observed.is_empty(), write.rolled_back_from.is_some()) {
        (false, _) => "StateObserved",
        (true, true) => "StateRolledBack",
        (true, false) => "StateWritten",
    };
    let event = of_state(action, write);
    let observed: Vec<&str> = passed.observed.iter().map(|it| it.reason().as_str()).collect();
    let (lock_id, lock_operation) = match &passed.under {
        Some(lock) => (lock.id.clone(), lock.operation.clone()),
        None => (String::new(), String::new()),
    };
    AuditEvent {
        version_id: shown(id),
        message: observed.join(", "),
        reason: if passed.used_allowance { "allowed once".to_owned() } else { String::new() },
        lock_id,
        lock_operation,
        ..event
    }
}

/// A state was not written.
pub(super) fn of_refused_write(write: &GuardedWrite<'_>, refusal: &Refusal) -> AuditEvent {
    of_refused(of_state("StateRefused", write), refusal)
}

/// A state was not deleted.
pub(super) fn of_refused_delete(target: Target<'_>, refusal: &Refusal) -> AuditEvent {
    of_refused(of_object("StateRefused", target), refusal)
}

fn of_refused(event: AuditEvent, refusal: &Refusal) -> AuditEvent {
    let lock = refusal.lock.as_ref().map(|held| &held.lock);
    AuditEvent {
        code: refusal.reason.as_str().into(),
        message: refusal.message.clone(),
        refused_version: refusal.refused.map(shown).unwrap_or_default(),
        lock_id: lock.map(|lock| lock.id.clone()).unwrap_or_default(),
        lock_who: lock.map(|lock| lock.who.clone()).unwrap_or_default(),
        ..event
    }
}

/// The id of a version that is never shown as `null`: that of a state, or a refused one.
pub(super) fn shown(id: VersionId) -> String {
    DisplayVersion { id, is_null: false }.to_string()
}

fn of_object(action: &'static str, target: Target<'_>) -> AuditEvent {
    AuditEvent::new(action).object(target.bucket.as_str(), target.key.as_str())
}

fn of_state(action: &'static str, write: &GuardedWrite<'_>) -> AuditEvent {
    let event = of_object(action, write.target);
    match &write.candidate.state {
        Ok(state) => {
            let (serial, lineage) = (Some(state.serial), state.lineage.clone());
            AuditEvent { serial, lineage, ..event }
        }
        Err(_) => event,
    }
}
