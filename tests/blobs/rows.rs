//! Bodies as rows of a real PostgreSQL: the blob suite, and two servers that are in each other's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidelock_blob::{BlobError, BlobId, BlobStore, conformance};
use tidelock_meta::postgres::{PostgresOptions, PostgresStore};
use tidelock_meta::{Direction, KeyRange, MetaStore, ReadLevel, SystemClock};
use tidelock_store::{RowBlobStore, SystemEntropy};

use crate::MIB;
use crate::harness::cluster::shared_url;
use crate::harness::count_from_env;

/// The URL of a store that nobody else has.
fn url() -> String {
    static STORES: AtomicU32 = AtomicU32::new(0);
    let number = STORES.fetch_add(1, Ordering::Relaxed);
    let schema = format!("blobs_{}_{number}", std::process::id());
    shared_url().with("schema", &schema).as_str().to_owned()
}

/// What one server has open.
async fn server(url: &str) -> (Arc<PostgresStore>, RowBlobStore) {
    let options = PostgresOptions::parse(url).unwrap();
    let meta = PostgresStore::connect(options, Arc::new(SystemClock::new())).await.unwrap();
    let meta = Arc::new(meta);
    let rows = RowBlobStore::new(Arc::clone(&meta) as _, Arc::new(SystemEntropy::new()));
    (meta, rows)
}

async fn rows_left(meta: &PostgresStore) -> usize {
    let all = KeyRange::prefix(&[]);
    meta.scan(all, 1000, Direction::Forward, ReadLevel::Latest).await.unwrap().len()
}

async fn write(blobs: &dyn BlobStore, id: BlobId, body: &Bytes) -> Result<u64, BlobError> {
    let mut writer = blobs.create(id).await?;
    for piece in body.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conform_over_postgres_and_leave_nothing() {
    let (meta, blobs) = server(&url()).await;
    conformance::run(&blobs).await.unwrap();
    assert_eq!(rows_left(&meta).await, 0);
    meta.close().await;
}

/// One server writes, and another one deletes what it writes, as the sweeper does: the writer learns of
/// it, or the body is there; never half of it, and no row is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delete_on_another_server_ends_a_writer() {
    let url = url();
    let (writing_meta, writing) = server(&url).await;
    let (deleting_meta, deleting) = server(&url).await;
    let writing = Arc::new(writing);
    let body: Bytes = (0..3 * MIB).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let (mut landed, mut refused) = (0, 0);
    for round in 0..count_from_env("TIDELOCK_BLOB_ROUNDS", 20) as u64 {
        let id = BlobId(u128::from(round).to_be_bytes());
        let written = tokio::spawn({
            let (writing, body) = (Arc::clone(&writing), body.clone());
            async move { write(&*writing, id, &body).await }
        });
        tokio::time::sleep(Duration::from_millis(round * 3 % 60)).await;
        deleting.delete(id).await.unwrap();
        let written = written.await.unwrap();
        // The delete may have been before the writer's first commit, or after its last.
        match deleting.open(id).await {
            Ok(found) => {
                let found = found.read_at(0, usize::MAX).await.unwrap();
                assert_eq!(found, body, "round {round}: {written:?}");
            }
            Err(BlobError::NotFound) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
        match written {
            Ok(length) => {
                assert_eq!(length, body.len() as u64);
                landed += 1;
            }
            Err(BlobError::Io(_)) => refused += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
        deleting.delete(id).await.unwrap();
        assert_eq!(rows_left(&deleting_meta).await, 0, "round {round}");
    }
    assert!(refused > 0, "no delete came in the way of a writer; {landed} landed");
    writing_meta.close().await;
    deleting_meta.close().await;
}
