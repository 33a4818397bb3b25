//! The locks of a bucket, as people see them.

use std::sync::Arc;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::successor_of_key;
use tidelock_tfstate::Lock;

use super::message::LockFacts;
use super::{current_lock, fit_hold, lock_head_key};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::Target;

/// Rows of one step through the guards of a bucket.
const GUARD_SCAN_ROWS: usize = 500;

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// Key of the state.
    pub key: String,
    /// Who, since when, what for.
    pub lock: LockFacts,
}

impl Store {
    /// The locks that are held on states whose key begins with `prefix`, by key. Only guarded buckets
    /// know theirs.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used.
    pub async fn list_locks(
        self: &Arc<Self>,
        principal: &Principal,
        bucket: &BucketName,
        prefix: &str,
    ) -> Result<Vec<HeldLock>, BucketError> {
        let read = self.rows.answer(|reading| async move {
            let open = OpenBucket::read(&reading, bucket, principal).await?;
            let (now, mut locks) = (self.now(), Vec::new());
            let Some(config) = &open.row.guard else { return Ok((open, locks)) };
            for (key, row) in held_guards(&reading, open.row.id, prefix).await? {
                let Ok(state) = key.parse() else { continue };
                if let Some(held) = self.held_now(&open, &state, &row)? {
                    locks.push(HeldLock { lock: held.facts(now, config), key });
                }
            }
            Ok::<_, BucketError>((open, locks))
        });
        let (open, mut locks) = read.await?;
        for held in locks.iter_mut().filter(|held| held.lock.lock == Lock::default()) {
            let state = held.key.parse::<ObjectKey>();
            let Ok(key) = state.and_then(|state| state.lock_key()) else { continue };
            let target = Target { principal, bucket, key: &key };
            if let Some((_, lock)) = self.lock_in_object(target, &open).await? {
                held.lock.lock = lock;
            }
        }
        Ok(locks)
    }
}

/// The guards with a lock that is held, of states whose key begins with `prefix`, by key.
pub(super) async fn held_guards(
    reading: &Reading,
    bucket: BucketId,
    prefix: &str,
) -> Result<Vec<(String, GuardRow)>, StorageError> {
    let mut held = Vec::new();
    let mut rest = guard::range(bucket, prefix);
    loop {
        let rows = reading.scan(rest.clone(), GUARD_SCAN_ROWS).await?;
        let mut states = Vec::new();
        for (key, row) in &rows {
            if GuardRow::decode(&row.value)?.hold.is_some() {
                states.push(guard::decode_key(key)?);
            }
        }
        let guards = guards_with_locks(reading, bucket, &states).await?;
        held.extend(states.into_iter().zip(guards).filter(|(_, guard)| guard.hold.is_some()));
        match rows.last() {
            Some((last, _)) if rows.len() == GUARD_SCAN_ROWS => {
                rest = rest.starting_at(successor_of_key(last));
            }
            Some(_) | None => return Ok(held),
        }
    }
}

/// The guards of `states`, which hold no lock that is not there: guard and lock are of one moment.
pub(crate) async fn guards_with_locks(
    reading: &Reading,
    bucket: BucketId,
    states: &[String],
) -> Result<Vec<GuardRow>, StorageError> {
    if states.is_empty() {
        return Ok(Vec::new());
    }
    let keys_of = |state: &String| [guard::key(bucket, state), lock_head_key(bucket, state)];
    let keys: Vec<_> = states.iter().flat_map(keys_of).collect();
    let mut guards = Vec::new();
    for rows in reading.get(&keys).await?.chunks(2) {
        if let [guard, lock] = rows {
            let guard = guard.as_ref().map(|row| GuardRow::decode(&row.value)).transpose()?;
            let mut guard = guard.unwrap_or_default();
            fit_hold(&mut guard, current_lock(lock.as_ref())?.as_ref());
            guards.push(guard);
        }
    }
    Ok(guards)
}
