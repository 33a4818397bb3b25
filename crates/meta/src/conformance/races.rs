//! Races: of those who expect the same thing at the same time, one wins.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Violation, batch, ensure, key, number, parse_number, put, read_present};
use crate::{Key, MetaStore, Outcome, Version, Versioned};

const WRITERS: u64 = 64;
const ROUNDS: usize = 10;
const COUNTER_TASKS: usize = 16;
const COUNTER_INCREMENTS: u64 = 20;

/// 64 writers expect the same key to be absent and put it: one is committed, 63 conflict, and the
/// row is the winner's. Then 64 expect it absent again: all conflict.
///
/// # Errors
///
/// A [`Violation`] when there is another number of winners, or another row.
pub async fn one_winner_of_absent(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    for round in 0..ROUNDS {
        let key = key(format!("races/absent/{round:02}"));
        one_winner(&store, &key, None).await?;
        let outcomes = race(&store, &key, None).await?;
        let winners = outcomes.iter().filter(|outcome| version_of(outcome).is_some()).count();
        ensure(winners == 0, || format!("{winners} winners on a key that exists"))?;
    }
    Ok(())
}

/// 64 writers expect the same version of a key and put it: one is committed, 63 conflict, and the
/// row is the winner's.
///
/// # Errors
///
/// A [`Violation`] when there is another number of winners, or another row.
pub async fn one_winner_of_a_version(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let key = key("races/version");
    put(&*store, &key, number(0)).await?;
    for _ in 0..ROUNDS {
        let seen = read_present(&*store, &key).await?;
        one_winner(&store, &key, Some(&seen)).await?;
    }
    Ok(())
}

/// 16 tasks add to one counter, each by reading it and committing at the version read, again after
/// every conflict: no addition is lost.
///
/// # Errors
///
/// A [`Violation`] when the sum is another.
pub async fn counters_lose_nothing(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let key = key("races/counter");
    put(&*store, &key, number(0)).await?;
    let start = Arc::new(Barrier::new(COUNTER_TASKS));
    let mut tasks = JoinSet::new();
    for _ in 0..COUNTER_TASKS {
        let (store, key, start) = (Arc::clone(&store), key.clone(), Arc::clone(&start));
        tasks.spawn(async move {
            // Or a fast engine is done with one task before the next is spawned.
            start.wait().await;
            increment(&*store, &key, COUNTER_INCREMENTS).await
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let expected = COUNTER_TASKS as u64 * COUNTER_INCREMENTS;
    let found = parse_number(&read_present(&*store, &key).await?.value)?;
    ensure(found == expected, || format!("the counter is {found} after {expected} additions"))
}

/// 64 writers check the same row, which none of them writes, and write rows of their own: all are
/// committed. After the checked row is written, all conflict.
///
/// # Errors
///
/// A [`Violation`] when a writer conflicts in the first round or is committed in the second.
pub async fn checks_without_writes_are_shared(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let fence = key("races/fence");
    put(&*store, &fence, number(0)).await?;
    let seen = read_present(&*store, &fence).await?;
    let before = fenced_writes(&store, &fence, &seen).await?;
    let lost = before.iter().filter(|outcome| version_of(outcome).is_none()).count();
    ensure(lost == 0, || format!("{lost} writers that share a check conflicted"))?;
    put(&*store, &fence, number(1)).await?;
    let after = fenced_writes(&store, &fence, &seen).await?;
    let passed = after.iter().filter(|outcome| version_of(outcome).is_some()).count();
    ensure(passed == 0, || format!("{passed} writers passed a fence that has moved"))
}

async fn one_winner(
    store: &Arc<dyn MetaStore>,
    key: &Key,
    seen: Option<&Versioned>,
) -> Result<(), Violation> {
    let outcomes = race(store, key, seen).await?;
    let winners: Vec<(u64, Version)> =
        (0..).zip(&outcomes).filter_map(|(writer, won)| Some((writer, version_of(won)?))).collect();
    let [(writer, version)] = winners[..] else {
        return Err(Violation(format!("{} winners on one key", winners.len())));
    };
    let row = read_present(&**store, key).await?;
    ensure(row.version == version && row.value == number(writer), || {
        format!("writer {writer} won with {version:?}, but the row is {row:?}")
    })
}

/// All writers at once; writer `n` puts `n`.
async fn race(
    store: &Arc<dyn MetaStore>,
    key: &Key,
    seen: Option<&Versioned>,
) -> Result<Vec<Outcome>, Violation> {
    let batches = (0..WRITERS).map(|writer| {
        let mut batch = batch();
        batch.expect(key.clone(), seen);
        batch.put(key.clone(), number(writer));
        batch
    });
    commit_at_once(store, batches.collect()).await
}

async fn fenced_writes(
    store: &Arc<dyn MetaStore>,
    fence: &Key,
    seen: &Versioned,
) -> Result<Vec<Outcome>, Violation> {
    let batches = (0..WRITERS).map(|writer| {
        let mut batch = batch();
        batch.expect(fence.clone(), Some(seen));
        batch.put(key(format!("races/fenced/{writer:02}")), number(writer));
        batch
    });
    commit_at_once(store, batches.collect()).await
}

/// The outcomes, in the order of the batches.
async fn commit_at_once(
    store: &Arc<dyn MetaStore>,
    batches: Vec<crate::Batch>,
) -> Result<Vec<Outcome>, Violation> {
    let start = Arc::new(Barrier::new(batches.len()));
    let tasks: Vec<_> = batches
        .into_iter()
        .map(|batch| {
            let (store, start) = (Arc::clone(store), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                store.commit(batch).await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        let outcome = task.await??;
        let is_known = outcome != Outcome::Conflict { first: 1 };
        ensure(is_known, || "a conflict names a check that the batch does not have".into())?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

async fn increment(store: &dyn MetaStore, key: &Key, times: u64) -> Result<(), Violation> {
    let mut done = 0;
    while done < times {
        let seen = read_present(store, key).await?;
        let mut batch = batch();
        batch.expect(key.clone(), Some(&seen));
        batch.put(key.clone(), number(parse_number(&seen.value)? + 1));
        if let Outcome::Committed(_) = store.commit(batch).await? {
            done += 1;
        }
    }
    Ok(())
}

fn version_of(outcome: &Outcome) -> Option<Version> {
    match outcome {
        Outcome::Committed(version) => Some(*version),
        Outcome::Conflict { .. } => None,
    }
}
