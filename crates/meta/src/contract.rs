//! What every engine refuses before it looks at a row: oversized batches and batches that break the
//! contract of [`MetaStore`](crate::MetaStore). Knows no engine.

use std::collections::HashSet;

use crate::{Batch, Expect, Key, Limits, MetaError, Write};

/// Refuses, with [`MetaError::TooLarge`], a batch that is over `limits`, that checks or writes a key
/// twice, or that expects a key to be absent without writing it.
pub(crate) fn check(batch: &Batch, limits: &Limits) -> Result<(), MetaError> {
    let operations = batch.checks.len() + batch.writes.len();
    at_most("operations", operations, limits.batch_operations_max)?;
    at_most("batch bytes", batch.size_bytes(), limits.batch_bytes_max)?;
    let written = check_writes(batch, limits)?;
    check_checks(batch, limits, &written)
}

fn check_writes<'a>(batch: &'a Batch, limits: &Limits) -> Result<HashSet<&'a Key>, MetaError> {
    let mut written = HashSet::with_capacity(batch.writes.len());
    for write in &batch.writes {
        at_most("key bytes", write.key().len(), limits.key_bytes_max)?;
        if let Write::Put(_, value) = write {
            at_most("value bytes", value.len(), limits.value_bytes_max)?;
        }
        if !written.insert(write.key()) {
            return Err(MetaError::TooLarge("a key is written twice".into()));
        }
    }
    Ok(written)
}

fn check_checks(batch: &Batch, limits: &Limits, written: &HashSet<&Key>) -> Result<(), MetaError> {
    let mut checked = HashSet::with_capacity(batch.checks.len());
    for (key, expect) in &batch.checks {
        at_most("key bytes", key.len(), limits.key_bytes_max)?;
        if !checked.insert(key) {
            return Err(MetaError::TooLarge("a key is checked twice".into()));
        }
        // There is no row to lock: an engine without gap locks could not hold this.
        if *expect == Expect::Absent && !written.contains(key) {
            return Err(MetaError::TooLarge("an absent key is checked but not written".into()));
        }
    }
    Ok(())
}

fn at_most(what: &str, found: usize, allowed: usize) -> Result<(), MetaError> {
    if found > allowed {
        return Err(MetaError::TooLarge(format!("{found} {what}, at most {allowed}")));
    }
    Ok(())
}
