//! One batch at a time: what it checks, what it leaves, and how versions grow.

use std::sync::Arc;

use bytes::Bytes;

use super::{Violation, batch, ensure, key, must_commit, number, put, read, read_present};
use crate::{Expect, MetaStore, Outcome, ReadLevel, Version, Versioned};

/// Commits apply all their writes, conflicts none; a conflict names the first check that failed; a
/// get answers in the order asked for.
///
/// # Errors
///
/// A [`Violation`] when one of that does not hold.
pub async fn batches_apply_whole_or_not_at_all(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let (a, b, c) = (key("batches/a"), key("batches/b"), key("batches/c"));
    let mut both = batch();
    both.expect(a.clone(), None);
    both.put(a.clone(), Bytes::from_static(b"1"));
    both.put(b.clone(), Bytes::new());
    let version = must_commit(store, both).await?;

    let keys = [c.clone(), b.clone(), a.clone(), b.clone()];
    let found = store.get(&keys, ReadLevel::Latest).await?;
    let row = |value: &'static [u8]| Versioned { version, value: Bytes::from_static(value) };
    let expected = [None, Some(row(b"")), Some(row(b"1")), Some(row(b""))];
    ensure(found == expected, || format!("read {found:?}, expected {expected:?}"))?;

    let other = Version(version.0 + 1_000_000);
    let rows = [
        (vec![(a.clone(), Expect::At(other))], 0),
        (vec![(a.clone(), Expect::At(version)), (c.clone(), Expect::At(version))], 1),
        (vec![(a.clone(), Expect::At(version)), (b.clone(), Expect::Absent)], 1),
        (vec![(b.clone(), Expect::Absent), (a.clone(), Expect::At(other))], 0),
    ];
    for (checks, first) in rows {
        let mut refused = batch();
        refused.checks = checks;
        refused.put(c.clone(), number(1));
        refused.delete(a.clone());
        refused.put(b.clone(), number(2));
        let outcome = store.commit(refused).await?;
        let expected = Outcome::Conflict { first };
        ensure(outcome == expected, || format!("{outcome:?}, expected {expected:?}"))?;
        let after = store.get(&keys, ReadLevel::Latest).await?;
        ensure(after == found, || format!("a conflict wrote: {after:?}, before {found:?}"))?;
    }
    deletes(store).await
}

/// Deleting what is there, what is not, and what is expected at a version.
async fn deletes(store: &dyn MetaStore) -> Result<(), Violation> {
    let (kept, gone) = (key("batches/kept"), key("batches/gone"));
    put(store, &gone, number(1)).await?;
    let seen = read(store, &gone).await?;
    let mut swap = batch();
    swap.expect(gone.clone(), seen.as_ref());
    swap.delete(gone.clone());
    swap.put(kept.clone(), number(2));
    must_commit(store, swap.clone()).await?;
    ensure(read(store, &gone).await?.is_none(), || "a deleted row is there".into())?;
    ensure(read(store, &kept).await?.is_some(), || "a row put beside a delete is missing".into())?;

    let again = store.commit(swap).await?;
    let expected = Outcome::Conflict { first: 0 };
    ensure(again == expected, || format!("a version of a deleted row was accepted: {again:?}"))?;
    let mut absent = batch();
    absent.expect(gone.clone(), None);
    absent.delete(gone);
    must_commit(store, absent).await?;
    must_commit(store, batch()).await.map(|_| ())
}

/// Every commit has a later version than the one before it, rows carry the version of their last
/// write, and a row that is deleted and made again carries a new one.
///
/// # Errors
///
/// A [`Violation`] when a version is not later, or a row carries another.
pub async fn versions_only_grow(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let (key, other) = (key("versions/row"), key("versions/other"));
    let mut last = put(store, &other, number(0)).await?;
    for round in 0..10 {
        // The same value every time: a version tells of writes, not of changes.
        let put_version = put(store, &key, number(7)).await?;
        ensure(put_version > last, || format!("{put_version:?} follows {last:?}"))?;
        let row = read_present(store, &key).await?;
        ensure(row.version == put_version, || format!("{row:?} was put as {put_version:?}"))?;
        last = put_version;
        if round % 2 == 0 {
            let mut delete = batch();
            delete.delete(key.clone());
            let delete_version = must_commit(store, delete).await?;
            ensure(delete_version > last, || format!("{delete_version:?} follows {last:?}"))?;
            last = delete_version;
        }
    }
    let untouched = read_present(store, &other).await?;
    ensure(untouched.version < last, || "a row got a version it was not written at".into())
}
