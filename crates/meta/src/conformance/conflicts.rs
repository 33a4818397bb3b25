//! What a conflict says, and batches of every shape the domain sends: which check it names first, checks
//! alone, the most operations, the largest bodies, and keys of any bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Violation, batch, ensure, key, must_commit, number, put};
use crate::{
    Batch, Direction, Expect, Key, KeyRange, MetaStore, Outcome, ReadLevel, Version, Versioned,
    Write, successor_of_key,
};

/// What is right or wrong about one check of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// At the version of a row, and it is.
    Held,
    /// At another version than the row's.
    Moved,
    /// At a version, and there is no row.
    Gone,
    /// Absent, and it is.
    Free,
    /// Absent, and there is a row.
    Taken,
}

/// What a batch does to a row that it checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Puts,
    Deletes,
}

const KINDS: [Kind; 5] = [Kind::Held, Kind::Moved, Kind::Gone, Kind::Free, Kind::Taken];
const THENS: [Then; 3] = [Then::Nothing, Then::Puts, Then::Deletes];

/// While nobody else writes, a conflict names the first check that does not hold, whatever it checks,
/// whatever the batch does to the row, and however many others do not hold.
///
/// # Errors
///
/// A [`Violation`] when another check is named, or a batch ends as it must not.
pub async fn conflicts_name_the_first_check(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let mut checks = Vec::new();
    for kind in KINDS {
        for then in THENS {
            // A row that is only checked cannot be expected absent.
            if then != Then::Nothing || !matches!(kind, Kind::Free | Kind::Taken) {
                checks.push((kind, then));
            }
        }
    }
    for first in &checks {
        conflict_of(&*store, &[*first]).await?;
        for second in &checks {
            conflict_of(&*store, &[*first, *second]).await?;
        }
    }
    let held = (Kind::Held, Then::Nothing);
    let rows = [
        [held, held, (Kind::Moved, Then::Nothing), (Kind::Taken, Then::Puts)],
        [held, (Kind::Taken, Then::Puts), (Kind::Moved, Then::Nothing), (Kind::Gone, Then::Puts)],
        [(Kind::Free, Then::Puts), held, (Kind::Gone, Then::Deletes), (Kind::Taken, Then::Puts)],
        [(Kind::Held, Then::Puts), (Kind::Free, Then::Deletes), held, (Kind::Moved, Then::Deletes)],
        [held, (Kind::Held, Then::Deletes), (Kind::Free, Then::Puts), (Kind::Held, Then::Puts)],
    ];
    for row in rows {
        conflict_of(&*store, &row).await?;
    }
    Ok(())
}

/// Commits a batch with these checks; keys descend, so that their order is not that of the checks.
async fn conflict_of(store: &dyn MetaStore, checks: &[(Kind, Then)]) -> Result<(), Violation> {
    let keys: Vec<Key> =
        (0..checks.len()).rev().map(|number| key(format!("conflicts/{number}"))).collect();
    let mut setting = batch();
    for (key, (kind, _)) in keys.iter().zip(checks) {
        match kind {
            Kind::Gone | Kind::Free => setting.delete(key.clone()),
            Kind::Held | Kind::Moved | Kind::Taken => setting.put(key.clone(), number(1)),
        }
    }
    let version = must_commit(store, setting).await?;
    let mut asked = batch();
    for (key, (kind, then)) in keys.iter().zip(checks) {
        let expect = match kind {
            Kind::Held | Kind::Gone => Expect::At(version),
            Kind::Moved => Expect::At(Version(version.0 + 1_000_000)),
            Kind::Free | Kind::Taken => Expect::Absent,
        };
        asked.checks.push((key.clone(), expect));
        match then {
            Then::Nothing => {}
            Then::Puts => asked.put(key.clone(), number(2)),
            Then::Deletes => asked.delete(key.clone()),
        }
    }
    let is_broken = |(kind, _): &(Kind, Then)| !matches!(kind, Kind::Held | Kind::Free);
    let outcome = store.commit(asked).await?;
    match (checks.iter().position(is_broken), outcome) {
        (None, Outcome::Committed(_)) => Ok(()),
        (Some(expected), Outcome::Conflict { first }) if expected == first => Ok(()),
        (expected, _) => Err(Violation(format!("{checks:?}: {outcome:?}, first is {expected:?}"))),
    }
}

/// Batches of checks alone, of all operations that the limits allow, and of the most bytes in few
/// values.
///
/// # Errors
///
/// A [`Violation`] when one of them ends as it must not, or leaves something else.
pub async fn batches_of_every_shape_commit(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let (a, b) = (key("shapes/a"), key("shapes/b"));
    let (at_a, at_b) = (put(store, &a, number(1)).await?, put(store, &b, number(2)).await?);
    let checked = |at_b| {
        let mut alone = batch();
        alone.checks = vec![(b.clone(), Expect::At(at_b)), (a.clone(), Expect::At(at_a))];
        alone
    };
    let committed = must_commit(store, checked(at_b)).await?;
    ensure(committed > at_b, || "checks alone got an old version".to_owned())?;
    let refused = store.commit(checked(at_a)).await?;
    let expected = Outcome::Conflict { first: 0 };
    ensure(refused == expected, || format!("checks alone: {refused:?}, expected {expected:?}"))?;
    let left = store.get(&[a, b], ReadLevel::Latest).await?;
    let versions = left.iter().map(|row| row.as_ref().map(|row| row.version));
    ensure(versions.eq([Some(at_a), Some(at_b)]), || format!("checks alone left {left:?}"))?;
    most_operations(store).await?;
    largest_bodies(store).await
}

/// Half of the operations check, half write: what is made, rewritten, deleted and only checked.
async fn most_operations(store: &dyn MetaStore) -> Result<(), Violation> {
    let count = store.limits().batch_operations_max / 2;
    let keys: Vec<Key> = (0..count).map(|index| key(format!("shapes/many/{index}"))).collect();
    let mut made = batch();
    for key in &keys {
        made.expect(key.clone(), None);
        made.put(key.clone(), Bytes::new());
    }
    let version = must_commit(store, made.clone()).await?;
    let again = store.commit(made).await?;
    let expected = Outcome::Conflict { first: 0 };
    ensure(again == expected, || format!("made twice: {again:?}, expected {expected:?}"))?;
    let mut changed = batch();
    for (index, key) in keys.iter().enumerate() {
        changed.checks.push((key.clone(), Expect::At(version)));
        match index % 2 {
            0 => changed.put(key.clone(), number(1)),
            _ => changed.delete(key.clone()),
        }
    }
    let last = count - 1;
    let mut refused = changed.clone();
    refused.checks[last].1 = Expect::At(Version(version.0 + 1_000_000));
    let outcome = store.commit(refused).await?;
    let expected = Outcome::Conflict { first: last };
    ensure(outcome == expected, || format!("{outcome:?}, expected {expected:?}"))?;
    must_commit(store, changed).await?;
    let left = store.get(&keys, ReadLevel::Latest).await?.into_iter().flatten().count();
    ensure(left == count.div_ceil(2), || format!("{left} rows are left of {count}"))
}

async fn largest_bodies(store: &dyn MetaStore) -> Result<(), Violation> {
    let limits = store.limits();
    // Room for the keys.
    let count = limits.batch_bytes_max / limits.value_bytes_max - 1;
    let keys: Vec<Key> = (0..count).map(|index| key(format!("shapes/large/{index}"))).collect();
    for round in [1_u8, 2] {
        let mut large = batch();
        for key in &keys {
            large.put(key.clone(), Bytes::from(vec![round; limits.value_bytes_max]));
        }
        must_commit(store, large).await?;
        let found = store.get(&keys, ReadLevel::Latest).await?;
        let is_whole = |row: &Option<Versioned>| {
            row.as_ref().is_some_and(|row| {
                row.value.len() == limits.value_bytes_max
                    && row.value.iter().all(|byte| *byte == round)
            })
        };
        ensure(found.iter().all(is_whole), || {
            format!("large values came back otherwise: {round}")
        })?;
    }
    let mut gone = batch();
    gone.writes = keys.into_iter().map(Write::Delete).collect();
    must_commit(store, gone).await.map(|_| ())
}

/// Keys with the lowest and the highest bytes at their ends are found, ordered and bounded as any other.
///
/// # Errors
///
/// A [`Violation`] when one is taken for another.
pub async fn keys_are_any_bytes(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let tails: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\x01",
        b"\0\xFF",
        b"'\\\"",
        b"\x7F",
        b"\x80",
        b"\xFE\xFF",
        b"\xFF",
        b"\xFF\0",
        b"\xFF\xFF",
    ];
    let prefix = b"bytes/";
    let keys = tails.map(|tail| Bytes::from([prefix, tail].concat()));
    let mut filled: Batch = batch();
    for key in keys.iter().rev() {
        filled.expect(key.clone(), None);
        filled.put(key.clone(), key.clone());
    }
    must_commit(store, filled).await?;
    let found = store.get(&keys, ReadLevel::Latest).await?;
    let values = found.iter().flatten().map(|row| &row.value);
    ensure(values.eq(&keys), || format!("read {found:?} of {keys:?}"))?;
    for (index, start) in keys.iter().enumerate() {
        let from = [(start.clone(), index), (successor_of_key(start), index + 1)];
        for (start, first) in from {
            let range = KeyRange::prefix(prefix).starting_at(start);
            let rows =
                store.scan(range.clone(), 100, Direction::Forward, ReadLevel::Latest).await?;
            let scanned = rows.iter().map(|(key, _)| key);
            ensure(scanned.eq(&keys[first..]), || format!("{range:?}: {rows:?}"))?;
            let rows =
                store.scan(range.clone(), 100, Direction::Backward, ReadLevel::Latest).await?;
            let scanned = rows.iter().map(|(key, _)| key);
            ensure(scanned.eq(keys[first..].iter().rev()), || format!("{range:?}: {rows:?}"))?;
        }
    }
    Ok(())
}
