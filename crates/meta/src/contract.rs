//! What every engine refuses before it looks at a row: oversized batches and batches that break the
//! contract of [`MetaStore`](crate::MetaStore). Knows no engine.

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

/// The keys that are written, sorted.
fn check_writes<'a>(batch: &'a Batch, limits: &Limits) -> Result<Vec<&'a Key>, MetaError> {
    for write in &batch.writes {
        at_most("key bytes", write.key().len(), limits.key_bytes_max)?;
        if let Write::Put(_, value) = write {
            at_most("value bytes", value.len(), limits.value_bytes_max)?;
        }
    }
    sorted(batch.writes.iter().map(Write::key), "a key is written twice")
}

fn check_checks(batch: &Batch, limits: &Limits, written: &[&Key]) -> Result<(), MetaError> {
    for (key, expect) in &batch.checks {
        at_most("key bytes", key.len(), limits.key_bytes_max)?;
        // There is no row to lock: an engine without gap locks could not hold this.
        if *expect == Expect::Absent && written.binary_search(&key).is_err() {
            return Err(MetaError::TooLarge("an absent key is checked but not written".into()));
        }
    }
    sorted(batch.checks.iter().map(|(key, _)| key), "a key is checked twice").map(drop)
}

/// The keys in their order; refuses, with `twice`, one that comes twice.
fn sorted<'a>(keys: impl Iterator<Item = &'a Key>, twice: &str) -> Result<Vec<&'a Key>, MetaError> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    match keys.is_sorted_by(|key, next| key < next) {
        true => Ok(keys),
        false => Err(MetaError::TooLarge(twice.into())),
    }
}

fn at_most(what: &str, found: usize, allowed: usize) -> Result<(), MetaError> {
    if found > allowed {
        return Err(MetaError::TooLarge(format!("{found} {what}, at most {allowed}")));
    }
    Ok(())
}
