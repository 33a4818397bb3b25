//! Objects of a bucket in key order, each with the guard of its key, a page at a time: what lists and
//! searches of states go through. Reads no body.

use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::ObjectVersion;
use tidelock_meta::record::{BucketId, DecodeError};
use tidelock_meta::{Key, KeyRange, successor_of_key};

use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::StorageError;
use crate::guard::guards_with_locks;
use crate::name::ObjectKey;

/// Most objects and guards that one page of a list or search goes through, each.
pub(super) const PAGE_ROWS_MAX: usize = 1000;

/// A key with an object, a lock, or both.
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    /// The current version, if it is an object.
    pub(super) object: Option<ObjectVersion>,
    pub(super) guard: GuardRow,
}

/// Some of them.
pub(super) struct Entries {
    pub(super) list: Vec<Entry>,
    /// The last key that was looked at, if there may be more.
    pub(super) next_after: Option<String>,
}

/// The next keys of a bucket, those of lock objects among them. Heads and guards are of two moments: a state may
/// be written in between.
pub(super) async fn entries(
    reading: &Reading,
    bucket: &OpenBucket,
    prefix: &str,
    after: Option<&str>,
) -> Result<Entries, StorageError> {
    let id = bucket.row.id;
    let heads = starting(head::range(id, prefix), after.map(|after| head::key(id, after)));
    let guards = starting(guard::range(id, prefix), after.map(|after| guard::key(id, after)));
    let heads = reading.scan(heads, PAGE_ROWS_MAX).await?;
    let guards = reading.scan(guards, PAGE_ROWS_MAX).await?;
    let heads_end = (heads.len() == PAGE_ROWS_MAX).then(|| heads.last()).flatten();
    let guards_end = (guards.len() == PAGE_ROWS_MAX).then(|| guards.last()).flatten();
    let ends = [
        heads_end.map(|(key, _)| head::decode_key(key)).transpose()?,
        guards_end.map(|(key, _)| guard::decode_key(key)).transpose()?,
    ];
    // Beyond the end of the shorter one nothing is known of the other.
    let next_after = ends.into_iter().flatten().min();
    let is_seen = |key: &str| next_after.as_deref().is_none_or(|end| key <= end);
    let mut guards = guards
        .iter()
        .map(|(key, row)| Ok((guard::decode_key(key)?, GuardRow::decode(&row.value)?)))
        .collect::<Result<Vec<_>, DecodeError>>()?
        .into_iter()
        .peekable();
    let mut list = Vec::new();
    for (key, row) in &heads {
        let key = head::decode_key(key)?;
        while let Some((alone, guard)) = guards.next_if(|(guarded, _)| *guarded < key) {
            list.push(Entry { key: parse(&alone)?, object: None, guard });
        }
        let guard = guards.next_if(|(guarded, _)| *guarded == key);
        let guard = guard.map(|(_, guard)| guard).unwrap_or_default();
        let object = HeadRow::decode(&row.value)?.current.filter(|it| it.object().is_some());
        list.push(Entry { key: parse(&key)?, object, guard });
    }
    for (alone, guard) in guards {
        list.push(Entry { key: parse(&alone)?, object: None, guard });
    }
    list.retain(|entry| is_seen(entry.key.as_str()));
    let is_held = |entry: &&mut Entry| entry.guard.hold.is_some();
    let mut held: Vec<_> = list.iter_mut().filter(is_held).collect();
    let states: Vec<_> = held.iter().map(|entry| entry.key.as_str().to_owned()).collect();
    for (entry, guard) in held.iter_mut().zip(guards_with_locks(reading, id, &states).await?) {
        entry.guard.hold = guard.hold;
    }
    Ok(Entries { list, next_after })
}

/// One key, head and guard from one moment.
pub(super) async fn entry(
    reading: &Reading,
    bucket: BucketId,
    key: &ObjectKey,
) -> Result<Entry, StorageError> {
    let keys = [head::key(bucket, key.as_str()), guard::key(bucket, key.as_str())];
    let mut rows = reading.get(&keys).await?.into_iter();
    let mut next = || rows.next().flatten().map(|row| row.value);
    let head = next().map(|head| HeadRow::decode(&head)).transpose()?.unwrap_or_default();
    let guard = next().map(|guard| GuardRow::decode(&guard)).transpose()?.unwrap_or_default();
    let object = head.current.filter(|current| current.object().is_some());
    Ok(Entry { key: key.clone(), object, guard })
}

fn starting(range: KeyRange, after: Option<Key>) -> KeyRange {
    match after {
        None => range,
        Some(after) => range.starting_at(successor_of_key(&after)),
    }
}

/// A key of a row.
pub(super) fn parse(key: &str) -> Result<ObjectKey, StorageError> {
    key.parse().map_err(|_| StorageError::Corrupt("the row of a state has a bad key".to_owned()))
}
