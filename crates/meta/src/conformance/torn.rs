//! Torn batches: a reader sees all of a commit or nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Violation, batch, ensure, key, must_commit, number};
use crate::{Direction, Key, KeyRange, MetaStore, ReadLevel, Versioned};

const ROWS: usize = 8;
const WRITERS: u64 = 4;
const READERS: usize = 4;
const COMMITS: u64 = 50;

/// Writers put the same number into eight rows, again and again; readers that get or scan the eight
/// always find one number and one version, and never an older one than before.
///
/// # Errors
///
/// A [`Violation`] when a reader finds two numbers, or goes back.
pub async fn batches_are_never_seen_torn(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    write(&*store, 0).await?;
    let writing = Arc::new(AtomicUsize::new(WRITERS as usize));
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, writing) = (Arc::clone(&store), Arc::clone(&writing));
        tasks.spawn(async move {
            let written = write_often(&*store, writer).await;
            writing.fetch_sub(1, Ordering::Relaxed);
            written
        });
    }
    for _ in 0..READERS {
        let (store, writing) = (Arc::clone(&store), Arc::clone(&writing));
        tasks.spawn(async move { read_often(&*store, &writing).await });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

async fn write_often(store: &dyn MetaStore, writer: u64) -> Result<(), Violation> {
    for commit in 0..COMMITS {
        write(store, writer * COMMITS + commit).await?;
    }
    Ok(())
}

async fn write(store: &dyn MetaStore, value: u64) -> Result<(), Violation> {
    let mut batch = batch();
    for key in keys() {
        batch.put(key, number(value));
    }
    must_commit(store, batch).await.map(|_| ())
}

async fn read_often(store: &dyn MetaStore, writing: &AtomicUsize) -> Result<(), Violation> {
    let keys = keys();
    let mut last = None;
    while writing.load(Ordering::Relaxed) > 0 {
        let got = store.get(&keys, ReadLevel::Latest).await?;
        let got: Vec<Versioned> = got.into_iter().flatten().collect();
        let range = KeyRange::prefix(b"torn/");
        let scanned = store.scan(range, 100, Direction::Forward, ReadLevel::Latest).await?;
        let scanned = scanned.into_iter().map(|(_, row)| row).collect();
        for rows in [got, scanned] {
            ensure(rows.len() == ROWS, || format!("{} of {ROWS} rows are there", rows.len()))?;
            let whole = rows.iter().all(|row| *row == rows[0]);
            ensure(whole, || format!("half a commit was seen: {rows:?}"))?;
            let version = Some(rows[0].version);
            ensure(version >= last, || format!("a read went back from {last:?} to {version:?}"))?;
            last = version;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn keys() -> Vec<Key> {
    (0..ROWS).map(|row| key(format!("torn/{row}"))).collect::<Vec<Bytes>>()
}
