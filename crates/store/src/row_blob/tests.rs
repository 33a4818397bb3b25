//! The blob suite over rows, commits whose answers are lost, and deletes in the way of writers.

use std::sync::Arc;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tidelock_blob::{BlobError, BlobId, BlobStore, conformance};
use tidelock_meta::memory::{MemoryStore, UnknownCommit};
use tidelock_meta::record::{blob, blob_chunk};
use tidelock_meta::{
    Batch, Direction, Key, KeyRange, Limits, MetaError, MetaStore, OpId, Outcome, ReadLevel,
    Versioned,
};

use super::RowBlobStore;
use crate::entropy::SystemEntropy;

const ID: BlobId = BlobId([0xAB; 16]);

fn stores() -> (Arc<MemoryStore>, RowBlobStore) {
    let meta = Arc::new(MemoryStore::new());
    let blobs = RowBlobStore::new(meta.clone(), Arc::new(SystemEntropy::new()));
    (meta, blobs)
}

async fn rows_left(meta: &MemoryStore) -> usize {
    let all = KeyRange::prefix(&[]);
    meta.scan(all, usize::MAX, Direction::Forward, ReadLevel::Latest).await.unwrap().len()
}

async fn write(blobs: &RowBlobStore, body: &Bytes) -> Result<u64, BlobError> {
    let mut writer = blobs.create(ID).await?;
    for piece in body.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

async fn read(blobs: &RowBlobStore) -> Result<Bytes, BlobError> {
    blobs.open(ID).await?.read_at(0, usize::MAX).await
}

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_and_leaves_no_rows() {
    let (meta, blobs) = stores();
    conformance::run(&blobs).await.unwrap();
    assert_eq!(rows_left(&meta).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_costs_a_retry_and_never_a_byte() {
    let body = body(3 << 20);
    for fate in [UnknownCommit::Applied, UnknownCommit::Lost] {
        // 3 MiB are a header, six commits of chunks, and the last: each of them is struck.
        for struck in [1, 2, 4] {
            let (meta, blobs) = stores();
            meta.faults().answer_unknown(struck, fate);
            let mut writer = blobs.create(ID).await.unwrap();
            writer.write(body.slice(..1 << 20)).await.unwrap();
            meta.faults().answer_unknown(struck, fate);
            writer.write(body.slice(1 << 20..)).await.unwrap();
            // Those before have to be over, for the last to be struck, too.
            tokio::time::sleep(Duration::from_millis(400)).await;
            meta.faults().answer_unknown(struck, fate);
            assert_eq!(writer.finish().await.unwrap(), 3 << 20, "{fate:?} {struck}");
            assert_eq!(read(&blobs).await.unwrap(), body, "{fate:?} {struck}");
            meta.faults().answer_unknown(struck, fate);
            blobs.delete(ID).await.unwrap();
            assert_eq!(rows_left(&meta).await, 0, "{fate:?} {struck}");
        }
    }
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_an_error_unless_the_rows_tell() {
    for (fate, is_there) in [(UnknownCommit::Applied, true), (UnknownCommit::Lost, false)] {
        let (meta, blobs) = stores();
        let mut writer = blobs.create(ID).await.unwrap();
        writer.write(body(1000)).await.unwrap();
        meta.faults().answer_unknown(5, fate);
        let finished = writer.finish().await;
        assert_eq!(finished.is_ok(), is_there, "{fate:?}: {finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delete_ends_a_writer_and_leaves_no_rows() {
    let body = body(4 << 20);
    for round in 0..200_u64 {
        let (meta, blobs) = stores();
        let blobs = Arc::new(blobs);
        let writing = tokio::spawn({
            let (blobs, body) = (Arc::clone(&blobs), body.clone());
            async move { write(&blobs, &body).await }
        });
        tokio::time::sleep(Duration::from_micros(round * 20)).await;
        blobs.delete(ID).await.unwrap();
        let written = writing.await.unwrap();
        // The writer may also have begun after the delete, or cleans up behind its back.
        match read(&blobs).await {
            Ok(found) => assert_eq!(found, body, "round {round}: {written:?}"),
            Err(BlobError::NotFound) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
        blobs.delete(ID).await.unwrap();
        assert_eq!(rows_left(&meta).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn a_crashed_writer_and_a_crashed_delete_leave_what_a_delete_removes() {
    let (meta, blobs) = stores();
    let mut writer = blobs.create(ID).await.unwrap();
    writer.write(body(3 << 20)).await.unwrap();
    // A crash runs no destructors.
    std::mem::forget(writer);
    tokio::task::yield_now().await;
    let refused = blobs.create(ID).await.map(drop);
    assert!(matches!(refused, Err(BlobError::AlreadyExists)), "{refused:?}");
    assert!(matches!(read(&blobs).await, Err(BlobError::NotFound)));
    assert_eq!(blobs.list(None, 10).await.unwrap(), []);
    blobs.delete(ID).await.unwrap();
    assert_eq!(rows_left(&meta).await, 0);

    write(&blobs, &body(7 << 20)).await.unwrap();
    let mut half = Batch::new(OpId([1; 16]));
    half.delete(blob::key(ID.0));
    for chunk in 0..50 {
        half.delete(blob_chunk::key(ID.0, chunk));
    }
    meta.commit(half).await.unwrap();
    blobs.delete(ID).await.unwrap();
    assert_eq!(rows_left(&meta).await, 0);
}

#[tokio::test]
async fn damage_is_an_error_not_another_body() {
    let short = Bytes::from_static(b"short");
    for (chunk, value) in [(1, None), (0, Some(short.clone())), (2, Some(short))] {
        let (meta, blobs) = stores();
        write(&blobs, &body(150_000)).await.unwrap();
        let mut damage = Batch::new(OpId([1; 16]));
        match value {
            Some(value) => damage.put(blob_chunk::key(ID.0, chunk), value),
            None => damage.delete(blob_chunk::key(ID.0, chunk)),
        }
        meta.commit(damage).await.unwrap();
        assert!(matches!(read(&blobs).await, Err(BlobError::Io(_))), "chunk {chunk}");
    }
}

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Overloaded,
    Unavailable,
    /// The answer is lost, and it lands only after the next try of it.
    Late,
    /// The answer is lost, it lands late, and nothing else gets through until then.
    LateAfterAnOutage,
    /// The sweeper deletes the blob just before it.
    Deleted,
}

/// After this, a late commit lands: after the first two tries of the one that was struck.
const LATE: Duration = Duration::from_millis(50);

/// An engine that one commit fails in.
struct Struck {
    meta: Arc<MemoryStore>,
    fault: Fault,
    /// Which commit, counted from 0.
    commit: usize,
    commits: AtomicUsize,
}

impl Struck {
    fn land_late(&self, batch: Batch) {
        let meta = Arc::clone(&self.meta);
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            meta.commit(batch).await.map(drop)
        });
    }
}

#[async_trait]
impl MetaStore for Struck {
    fn limits(&self) -> Limits {
        self.meta.limits()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        self.meta.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        self.meta.scan(range, limit, direction, level).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::LateAfterAnOutage if number == self.commit + 1 => {
                return Err(MetaError::Unavailable("no primary".to_owned()));
            }
            _ if number != self.commit => {}
            Fault::Overloaded => return Err(MetaError::Overloaded),
            Fault::Unavailable => return Err(MetaError::Unavailable("no primary".to_owned())),
            Fault::Late | Fault::LateAfterAnOutage => {
                self.land_late(batch);
                return Err(MetaError::Unknown);
            }
            Fault::Deleted => {
                let mut delete = Batch::new(OpId([2; 16]));
                delete.delete(blob::key(ID.0));
                self.meta.commit(delete).await?;
            }
        }
        self.meta.commit(batch).await
    }
}

/// Strikes each commit of a writer in turn: a body that was acknowledged is whole, one that was not
/// leaves no rows once its id is deleted, and nobody can finish what was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whichever_commit_fails_no_acknowledged_byte_is_lost_and_no_row_is_left() {
    // A header, six commits of chunks, and the last.
    const COMMITS: usize = 8;
    let body = body(3 << 20);
    for commit in 0..COMMITS {
        for fault in [
            Fault::Overloaded,
            Fault::Unavailable,
            Fault::Late,
            Fault::LateAfterAnOutage,
            Fault::Deleted,
        ] {
            let what = format!("{fault:?} at commit {commit}");
            let meta = Arc::new(MemoryStore::new());
            let commits = AtomicUsize::new(0);
            let struck = Arc::new(Struck { meta: Arc::clone(&meta), fault, commit, commits });
            let blobs = RowBlobStore::new(struck.clone(), Arc::new(SystemEntropy::new()));
            let written = write(&blobs, &body).await;
            assert!(struck.commits.load(Ordering::SeqCst) >= commit, "{what}: not struck");
            let must_land = match fault {
                Fault::Late => Some(true),
                Fault::Deleted => Some(commit == 0),
                Fault::Overloaded | Fault::Unavailable => Some(false),
                // A later commit may be the one that meets the outage.
                Fault::LateAfterAnOutage => None,
            };
            assert!(must_land.is_none_or(|must| must == written.is_ok()), "{what}: {written:?}");
            if let (Fault::Overloaded, Err(error)) = (fault, &written) {
                assert!(matches!(error, BlobError::Overloaded(_)), "{what}: {error:?}");
            }
            tokio::time::sleep(2 * LATE).await;
            if written.is_ok() {
                assert_eq!(read(&blobs).await.unwrap(), body, "{what}");
            }
            blobs.delete(ID).await.unwrap();
            assert_eq!(rows_left(&meta).await, 0, "{what}");
        }
    }
}
