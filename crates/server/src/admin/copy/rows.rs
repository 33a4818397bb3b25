//! Rows: copied in pages, digested in key order. Knows of a row only what kind it is and which bodies it names.
//!
//! Three kinds are not copied as rows: the store's own (it is the mark of the copy), leases (they are
//! of servers that run), and the rows that bodies are made of (they are copied as bodies, wherever
//! those go).

use std::time::Duration;

use ring::digest::{Context, SHA256};
use tidelock_meta::record::{blob, blob_chunk, lease, store};
use tidelock_meta::{
    Batch, Direction, Expect, Key, KeyRange, MetaError, MetaStore, OpId, Outcome, ReadLevel,
    Version, Versioned, Write, successor_of_key,
};

use super::{CopyError, CopyObserver, CopyReport, CopyStep};
use crate::admin::backup::needed::Needed;

/// Rows of one read; at most 16 MiB.
const PAGE_ROWS: usize = 256;
/// Rows of one commit.
const BATCH_ROWS: usize = 80;
/// A commit that has so many bytes gets no further row; with the largest row it still fits every
/// engine.
const BATCH_BYTES: usize = 384 << 10;
/// Attempts to make one commit, whose outcome does not matter: it puts the same rows again.
const COMMIT_ATTEMPTS_MAX: u32 = 30;
/// Pause before another attempt.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);
/// No answer is resolved by reading it: all batches of a copy are the same when made again.
const ANY_OP: OpId = OpId([0; 16]);

/// Rows as they were read, in key order.
pub(super) struct RowDigest {
    pub(super) count: u64,
    pub(super) bytes: u64,
    context: Context,
}

impl RowDigest {
    fn new() -> Self {
        Self { count: 0, bytes: 0, context: Context::new(&SHA256) }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count += 1;
        self.bytes += (key.len() + value.len()) as u64;
        for part in [key, value] {
            self.context.update(&(part.len() as u64).to_be_bytes());
            self.context.update(part);
        }
    }

    fn sha256(&self) -> String {
        hex::encode(self.context.clone().finish())
    }

    /// What it says of rows.
    pub(super) fn report(&self) -> CopyReport {
        CopyReport {
            rows: self.count,
            row_bytes: self.bytes,
            rows_sha256: self.sha256(),
            ..CopyReport::default()
        }
    }
}

impl PartialEq for RowDigest {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.bytes, self.sha256()) == (other.count, other.bytes, other.sha256())
    }
}

/// Copies all rows of `from` to `to`, as long as that has this mark, and tells `needed` of them.
pub(super) async fn copy(
    from: &dyn MetaStore,
    to: &dyn MetaStore,
    mark: Version,
    needed: &mut Needed,
    observer: &dyn CopyObserver,
) -> Result<RowDigest, CopyError> {
    let mut digest = RowDigest::new();
    let mut pages = Pages::new(from);
    let mut pending = Vec::new();
    let mut pending_bytes = 0;
    while let Some(page) = pages.next().await? {
        for (key, row) in page {
            digest.add(&key, &row.value);
            needed.put(&key, &row.value).map_err(CopyError::Decode)?;
            pending_bytes += key.len() + row.value.len();
            pending.push(Write::Put(key, row.value));
            if pending.len() >= BATCH_ROWS || pending_bytes >= BATCH_BYTES {
                commit(to, mark, std::mem::take(&mut pending)).await?;
                pending_bytes = 0;
            }
        }
        observer.advanced(CopyStep::Rows, digest.count, digest.bytes);
    }
    commit(to, mark, pending).await?;
    Ok(digest)
}

/// Reads all rows.
pub(super) async fn digest(
    of: &dyn MetaStore,
    step: CopyStep,
    observer: &dyn CopyObserver,
) -> Result<RowDigest, CopyError> {
    let mut digest = RowDigest::new();
    let mut pages = Pages::new(of);
    while let Some(page) = pages.next().await? {
        for (key, row) in page {
            digest.add(&key, &row.value);
        }
        observer.advanced(step, digest.count, digest.bytes);
    }
    Ok(digest)
}

/// Removes what an interrupted copy has left.
pub(super) async fn clear(
    of: &dyn MetaStore,
    mark: Version,
    observer: &dyn CopyObserver,
) -> Result<(), CopyError> {
    let mut pages = Pages::new(of);
    let mut cleared = 0;
    while let Some(page) = pages.next().await? {
        for some in page.chunks(BATCH_ROWS) {
            let deletes = some.iter().map(|(key, _)| Write::Delete(key.clone()));
            commit(of, mark, deletes.collect()).await?;
            cleared += some.len() as u64;
            observer.advanced(CopyStep::Clearing, cleared, 0);
        }
    }
    Ok(())
}

/// The first row of any kind but leases, which come and go.
pub(super) async fn first(of: &dyn MetaStore) -> Result<Option<Key>, CopyError> {
    let leases = lease::range("");
    let before = KeyRange { start: Key::new(), end: Some(leases.start) };
    let after = KeyRange { start: leases.end.unwrap_or_default(), end: None };
    for range in [before, after] {
        let rows = of.scan(range, 1, Direction::Forward, ReadLevel::Latest).await?;
        if let Some((key, _)) = rows.into_iter().next() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// The rows that are copied as rows, page by page.
struct Pages<'a> {
    of: &'a dyn MetaStore,
    rest: Option<KeyRange>,
}

impl<'a> Pages<'a> {
    fn new(of: &'a dyn MetaStore) -> Self {
        Self { of, rest: Some(KeyRange { start: Key::new(), end: None }) }
    }

    /// The next rows, perhaps none of a kind that is copied; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<(Key, Versioned)>>, CopyError> {
        let Some(range) = self.rest.take() else { return Ok(None) };
        let level = ReadLevel::Latest;
        let mut rows = self.of.scan(range.clone(), PAGE_ROWS, Direction::Forward, level).await?;
        if rows.len() == PAGE_ROWS
            && let Some((last, _)) = rows.last()
        {
            // Over the rows of a kind that is not copied at one step: bodies may be most of them.
            let start = end_of_other_kind(last).unwrap_or_else(|| successor_of_key(last));
            self.rest = Some(range.starting_at(start));
        }
        rows.retain(|(key, _)| is_copied(key));
        Ok(Some(rows))
    }
}

fn is_copied(key: &Key) -> bool {
    end_of_other_kind(key).is_none()
}

/// Where the kind of `key` ends, if it is one that is not copied as rows.
fn end_of_other_kind(key: &Key) -> Option<Key> {
    let kinds = [
        KeyRange::prefix(&store::key()),
        lease::range(""),
        blob::range_after(None),
        // All of the kind: the first byte names it.
        KeyRange::prefix(&blob_chunk::key([0; 16], 0)[..1]),
    ];
    let of = kinds
        .into_iter()
        .find(|range| range.start <= *key && range.end.as_ref().is_none_or(|end| key < end))?;
    of.end
}

async fn commit(to: &dyn MetaStore, mark: Version, writes: Vec<Write>) -> Result<(), CopyError> {
    if writes.is_empty() {
        return Ok(());
    }
    let checks = vec![(store::key(), Expect::At(mark))];
    let batch = Batch { checks, writes, ..Batch::new(ANY_OP) };
    let mut attempts = 0;
    loop {
        attempts += 1;
        match to.commit(batch.clone()).await {
            Ok(Outcome::Committed(_)) => return Ok(()),
            Ok(Outcome::Conflict { .. }) => return Err(CopyError::TakenOver),
            Err(MetaError::Unknown | MetaError::Unavailable(_) | MetaError::Overloaded)
                if attempts < COMMIT_ATTEMPTS_MAX =>
            {
                tokio::time::sleep(COMMIT_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
