//! The locks of a bucket, as people see them.

use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::successor_of_key;

use super::message::LockFacts;
use crate::Store;
use crate::bucket::OpenBucket;
use crate::error::BucketError;
use crate::identity::Principal;
use crate::name::BucketName;

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
        &self,
        principal: &Principal,
        bucket: &BucketName,
        prefix: &str,
    ) -> Result<Vec<HeldLock>, BucketError> {
        let read = self.rows.answer(|reading| async move {
            let open = OpenBucket::read(&reading, bucket, principal).await?;
            let Some(config) = &open.row.guard else { return Ok(Vec::new()) };
            let (now, mut locks) = (self.now(), Vec::new());
            let mut rest = guard::range(open.row.id, prefix);
            loop {
                let rows = reading.scan(rest.clone(), GUARD_SCAN_ROWS).await?;
                let is_over = rows.len() < GUARD_SCAN_ROWS;
                if let Some((last, _)) = rows.last() {
                    rest = rest.starting_at(successor_of_key(last));
                }
                for (key, row) in rows {
                    let (key, row) = (guard::decode_key(&key)?, GuardRow::decode(&row.value)?);
                    let Ok(state) = key.parse() else { continue };
                    if let Some(held) = self.held_now(&open, &state, &row)? {
                        locks.push(HeldLock { lock: held.facts(now, config), key });
                    }
                }
                if is_over {
                    return Ok(locks);
                }
            }
        });
        read.await
    }
}
