//! Bodies that servers share. In a foreign object store: the blob suite over `s3://`, with Tidelock
//! itself as the S3 server at the other end, behind a network that fails now and then. As rows: the same
//! over PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../harness/mod.rs"]
mod harness;

mod proxy;
mod rows;

use bytes::Bytes;
use harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY};
use harness::{Ask, Server};
use proxy::{Proxy, Weather};
use tidelock_blob::object_store::ObjectStoreBlobs;
use tidelock_blob::{BlobError, BlobId, BlobStore, conformance};

const ID: BlobId = BlobId([0xAB; 16]);
const MIB: usize = 1 << 20;

fn blobs_at(address: std::net::SocketAddr, place: &str, secret: &str) -> ObjectStoreBlobs {
    let url = format!("s3://{place}?endpoint=http://{address}");
    let variables = [("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", secret)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    ObjectStoreBlobs::open(&url, variables).unwrap()
}

fn peer() -> Server {
    let server = Server::start(&[]);
    server.make_bucket("blobs", "");
    server
}

fn must_have_no_uploads(server: &Server) {
    let uploads = server.root().send(&Ask::bucket("GET", "blobs").query("uploads", ""));
    let text = String::from_utf8_lossy(&uploads.expect(200).body).into_owned();
    assert!(!text.contains("<Upload>"), "uploads are left: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_over_s3() {
    let server = peer();
    for place in ["blobs", "blobs/some/prefix"] {
        let blobs = blobs_at(server.address, place, ROOT_SECRET_KEY);
        conformance::run(&blobs).await.unwrap();
    }
    must_have_no_uploads(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_over_s3_while_requests_are_refused_and_answers_are_lost() {
    let server = peer();
    let proxy = Proxy::start(server.address, Weather { refuse_every: 5, lose_every: 7 });
    let blobs = blobs_at(proxy.address, "blobs/p", ROOT_SECRET_KEY);
    conformance::run(&blobs).await.unwrap();
    let (refused, lost) = proxy.struck();
    assert!(refused > 10 && lost > 10, "{refused} refused, {lost} answers lost");
    must_have_no_uploads(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_that_is_given_up_is_aborted() {
    let server = peer();
    let blobs = blobs_at(server.address, "blobs", ROOT_SECRET_KEY);
    for is_dropped in [false, true] {
        let mut writer = blobs.create(ID).await.unwrap();
        writer.write(Bytes::from(vec![7; 12 * MIB])).await.unwrap();
        if is_dropped {
            drop(writer);
            // Its id is free once the upload is aborted.
            while blobs.create(ID).await.map(drop).is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        } else {
            writer.abort().await;
        }
        must_have_no_uploads(&server);
        assert_eq!(blobs.list(None, 10).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overload_that_does_not_end_is_told_as_such() {
    let server = peer();
    let proxy = Proxy::start(server.address, Weather { refuse_every: 1, lose_every: 0 });
    let blobs = blobs_at(proxy.address, "blobs", ROOT_SECRET_KEY);
    // A request that has no body in its answer tells the status alone.
    let listed = blobs.list(None, 1).await;
    assert!(matches!(listed, Err(BlobError::Overloaded(_))), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_wrong_with_the_bucket_is_no_missing_blob_and_no_secret() {
    let server = peer();
    let rows = [
        ("no-such-bucket", ROOT_SECRET_KEY, "NoSuchBucket"),
        ("blobs", "not-the-secret-of-root-00000000000000000", "SignatureDoesNotMatch"),
    ];
    for (place, secret, words) in rows {
        let blobs = blobs_at(server.address, place, secret);
        let listed = blobs.list(None, 1).await.unwrap_err().to_string();
        assert!(listed.contains(words), "{place}: {listed}");
        let failures = [
            blobs.open(ID).await.map(drop),
            blobs.delete(ID).await,
            async {
                let mut writer = blobs.create(ID).await?;
                writer.write(Bytes::from_static(b"body")).await?;
                writer.finish().await.map(drop)
            }
            .await,
        ];
        for failure in failures {
            let failure = failure.unwrap_err();
            assert!(matches!(failure, BlobError::Io(_)), "{place}: {failure:?}");
            let text = format!("{failure} {failure:?}");
            assert!(!text.contains(secret) && !text.contains("Signature="), "{place}: {text}");
        }
    }
}
