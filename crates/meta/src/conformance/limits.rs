//! Limits: what is at a limit is taken, what is over it is refused and leaves nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::{Violation, batch, ensure, must_commit};
use crate::{
    Batch, Direction, Expect, Key, KeyRange, Limits, MetaError, MetaStore, ReadLevel, Version,
};

const PREFIX: &[u8] = b"limits/";

/// Keys, values and batches of the largest size are committed; one byte or operation more, and
/// batches that break the contract, answer [`MetaError::TooLarge`] and write nothing.
///
/// # Errors
///
/// A [`Violation`] when a batch that must be taken is not, or the other way around.
pub async fn limits_are_kept(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let limits = store.limits();
    for (what, refused) in refused(&limits) {
        match store.commit(refused).await {
            Err(MetaError::TooLarge(_)) => {}
            other => return Err(Violation(format!("{what} was answered {other:?}"))),
        }
    }
    let range = KeyRange::prefix(PREFIX);
    let written = store.scan(range, 1, Direction::Forward, ReadLevel::Latest).await?;
    ensure(written.is_empty(), || "a refused batch wrote".into())?;
    for (what, taken) in taken(&limits) {
        let committed = must_commit(store, taken).await;
        committed.map_err(|Violation(why)| Violation(format!("{what} was refused: {why}")))?;
    }
    Ok(())
}

fn refused(limits: &Limits) -> Vec<(&'static str, Batch)> {
    let version = Version(1);
    let (a, b) = (numbered(1), numbered(2));
    let written = |checks: Vec<(Key, Expect)>, keys: &[&Key]| {
        let mut batch = batch();
        batch.checks = checks;
        for key in keys {
            batch.put((*key).clone(), Bytes::new());
        }
        batch
    };
    let long = sized_key(limits.key_bytes_max + 1);
    vec![
        ("a key over its limit", written(vec![], &[&long])),
        ("a checked key over its limit", written(vec![(long, Expect::At(version))], &[&a])),
        ("a value over its limit", one_value(limits.value_bytes_max + 1)),
        ("a batch over its operations", operations(limits.batch_operations_max + 1)),
        ("a batch over its bytes", sized_batch(limits, limits.batch_bytes_max + 1)),
        ("a key written twice", written(vec![], &[&a, &a])),
        ("a key checked twice", {
            let check = (a.clone(), Expect::At(version));
            written(vec![check.clone(), check], &[&a])
        }),
        ("an absent key that is not written", written(vec![(b, Expect::Absent)], &[&a])),
    ]
}

fn taken(limits: &Limits) -> Vec<(&'static str, Batch)> {
    let mut longest_key = batch();
    longest_key.put(sized_key(limits.key_bytes_max), Bytes::new());
    vec![
        ("a key at its limit", longest_key),
        ("a value at its limit", one_value(limits.value_bytes_max)),
        ("a batch at its operations", operations(limits.batch_operations_max)),
        ("a batch at its bytes", sized_batch(limits, limits.batch_bytes_max)),
    ]
}

fn numbered(number: usize) -> Key {
    Bytes::from([PREFIX, &(number as u64).to_be_bytes()].concat())
}

fn sized_key(length: usize) -> Key {
    let mut key = PREFIX.to_vec();
    key.resize(length, b'k');
    Bytes::from(key)
}

fn one_value(length: usize) -> Batch {
    let mut batch = batch();
    batch.put(numbered(0), Bytes::from(vec![b'v'; length]));
    batch
}

fn operations(count: usize) -> Batch {
    let mut batch = batch();
    (0..count).for_each(|number| batch.put(numbered(number), Bytes::new()));
    batch
}

/// A batch of exactly `size_bytes`, in values within their limit.
fn sized_batch(limits: &Limits, size_bytes: usize) -> Batch {
    let mut batch = batch();
    let mut number = 0;
    while batch.size_bytes() < size_bytes {
        let key = numbered(number);
        let room = (size_bytes - batch.size_bytes()).saturating_sub(key.len());
        // Leaves room for one more key, or ends exactly.
        let length = if room <= limits.value_bytes_max {
            room
        } else {
            limits.value_bytes_max.min(room - key.len())
        };
        batch.put(key, Bytes::from(vec![b'v'; length]));
        number += 1;
    }
    batch
}
