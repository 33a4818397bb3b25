//! The suite that every engine must pass, public so that engines of other crates run it, too.
//!
//! Each part is a function over an engine and answers a [`Violation`] when the engine breaks the
//! contract of [`MetaStore`]. Parts use keys of their own, so they can share one engine, which must
//! be empty at first. They need a tokio runtime with several threads: races on one thread prove
//! little. Knows no engine.

mod batches;
mod broken;
mod conflicts;
mod grouping;
mod limits;
mod races;
mod scans;
mod torn;
mod unknown;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::{Batch, Key, MetaError, MetaStore, OpId, Outcome, ReadLevel, Version, Versioned};
pub use batches::{batches_apply_whole_or_not_at_all, versions_only_grow};
pub use broken::CheckThenAct;
pub use conflicts::{
    batches_of_every_shape_commit, conflicts_name_the_first_check, keys_are_any_bytes,
};
pub use grouping::groups_by_delimiter;
pub use limits::limits_are_kept;
pub use races::{
    checks_without_writes_are_shared, counters_lose_nothing, one_winner_of_a_version,
    one_winner_of_absent,
};
pub use scans::{scans_keep_their_order_under_writes, scans_take_ranges_and_limits};
pub use torn::batches_are_never_seen_torn;
pub use unknown::unknown_commits;

/// How an engine broke the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl From<MetaError> for Violation {
    fn from(error: MetaError) -> Self {
        Self(format!("the engine answered an error: {error}"))
    }
}

impl From<tokio::task::JoinError> for Violation {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("a task of the suite ended early: {error}"))
    }
}

/// Runs every part but [`unknown_commits`], which needs an engine that can be told to fail.
///
/// # Errors
///
/// The first violation found, prefixed with the part that found it.
pub async fn run(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let named = |part: &'static str| move |Violation(what)| Violation(format!("{part}: {what}"));
    batches_apply_whole_or_not_at_all(Arc::clone(&store)).await.map_err(named("batches"))?;
    versions_only_grow(Arc::clone(&store)).await.map_err(named("versions"))?;
    conflicts_name_the_first_check(Arc::clone(&store)).await.map_err(named("conflicts"))?;
    batches_of_every_shape_commit(Arc::clone(&store)).await.map_err(named("shapes"))?;
    keys_are_any_bytes(Arc::clone(&store)).await.map_err(named("keys"))?;
    limits_are_kept(Arc::clone(&store)).await.map_err(named("limits"))?;
    scans_take_ranges_and_limits(Arc::clone(&store)).await.map_err(named("ranges"))?;
    groups_by_delimiter(Arc::clone(&store)).await.map_err(named("groups"))?;
    one_winner_of_absent(Arc::clone(&store)).await.map_err(named("absent race"))?;
    one_winner_of_a_version(Arc::clone(&store)).await.map_err(named("version race"))?;
    counters_lose_nothing(Arc::clone(&store)).await.map_err(named("counters"))?;
    checks_without_writes_are_shared(Arc::clone(&store)).await.map_err(named("shared checks"))?;
    batches_are_never_seen_torn(Arc::clone(&store)).await.map_err(named("torn batches"))?;
    scans_keep_their_order_under_writes(store).await.map_err(named("scans under writes"))
}

/// Answers a violation unless `holds`.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// A batch with an id that no other batch of this process has.
fn batch() -> Batch {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Batch::new(OpId(id))
}

fn key(text: impl AsRef<str>) -> Key {
    Bytes::copy_from_slice(text.as_ref().as_bytes())
}

fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

fn parse_number(value: &[u8]) -> Result<u64, Violation> {
    let bytes = value.try_into();
    bytes.map(u64::from_be_bytes).map_err(|_| Violation("a value is not as it was put".into()))
}

async fn read(store: &dyn MetaStore, key: &Key) -> Result<Option<Versioned>, Violation> {
    let rows = store.get(std::slice::from_ref(key), ReadLevel::Latest).await?;
    let found = rows.len();
    let mut rows = rows.into_iter();
    match (rows.next(), rows.next()) {
        (Some(row), None) => Ok(row),
        _ => Err(Violation(format!("a get of one key answered {found} rows"))),
    }
}

async fn read_present(store: &dyn MetaStore, key: &Key) -> Result<Versioned, Violation> {
    read(store, key).await?.ok_or_else(|| Violation(format!("{key:?} is missing")))
}

/// Commits what must not conflict.
async fn must_commit(store: &dyn MetaStore, batch: Batch) -> Result<Version, Violation> {
    match store.commit(batch).await? {
        Outcome::Committed(version) => Ok(version),
        Outcome::Conflict { first } => Err(Violation(format!("check {first} failed but holds"))),
    }
}

/// Puts one row without a check.
async fn put(store: &dyn MetaStore, key: &Key, value: Bytes) -> Result<Version, Violation> {
    let mut batch = batch();
    batch.put(key.clone(), value);
    must_commit(store, batch).await
}
