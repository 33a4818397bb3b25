//! Objects in memory behind the code that speaks to any store, and stores that fail.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::RemoteBlobs;
use crate::object_store::ObjectStoreBlobs;
use crate::{BlobError, BlobId, BlobStore, conformance};

const ID: BlobId = BlobId([0xAB; 16]);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_by_single_puts_and_by_parts() {
    for (prefix, part_bytes) in [("", 5 << 20), ("some/prefix", 100_000), ("p", 1 << 20)] {
        let client = Arc::new(InMemory::new());
        // Its own neighbours are no blobs, and in nobody's way.
        for stranger in ["x", "some/prefix/ab/cd", "p/readme.txt", "p/zz/00", "pp/ab"] {
            let path = Path::from(stranger);
            client.put(&path, Bytes::from_static(b"stranger").into()).await.unwrap();
        }
        let mut blobs = RemoteBlobs::new(client, Path::from(prefix));
        blobs.part_bytes = part_bytes;
        conformance::run(&blobs).await.unwrap();
    }
}

#[tokio::test]
async fn objects_are_spread_by_the_first_byte_of_their_id() {
    let client = Arc::new(InMemory::new());
    let blobs = RemoteBlobs::new(Arc::clone(&client) as Arc<dyn ObjectStore>, Path::from("p"));
    blobs.create(ID).await.unwrap().finish().await.unwrap();
    let path = Path::from(format!("p/ab/{}", "ab".repeat(15)));
    assert_eq!(client.head(&path).await.unwrap().size, 0);
}

#[tokio::test]
async fn a_blob_that_lost_bytes_is_an_error_not_a_short_read() {
    let client = Arc::new(InMemory::new());
    let blobs = RemoteBlobs::new(Arc::clone(&client) as Arc<dyn ObjectStore>, Path::default());
    let mut writer = blobs.create(ID).await.unwrap();
    writer.write(Bytes::from_static(b"body")).await.unwrap();
    writer.finish().await.unwrap();
    let reader = blobs.open(ID).await.unwrap();
    client.put(&blobs.path(ID), Bytes::from_static(b"bo").into()).await.unwrap();
    assert!(matches!(reader.read_at(0, 4).await, Err(BlobError::Io(_))));
}

/// A port that nobody listens on: what cannot be reached is an error of the store, never a missing
/// blob, and tells nothing of the credentials.
#[tokio::test]
async fn a_store_that_is_not_there_has_no_missing_blobs() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("s3://bucket/p?endpoint=http://127.0.0.1:{port}");
    let variables = [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hunter2")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let blobs = ObjectStoreBlobs::open(&url, variables).unwrap();
    let outcome = blobs.open(ID).await.map(drop).unwrap_err();
    assert!(matches!(outcome, BlobError::Io(_)), "{outcome:?}");
    let text = format!("{outcome} {outcome:?}");
    assert!(!text.contains("hunter2") && !text.contains("AKIAEXAMPLE"), "{text}");
}

/// Objects in memory, and how many bytes of them were read.
#[derive(Debug, Default)]
struct Metered {
    objects: InMemory,
    read_bytes: AtomicU64,
}

impl fmt::Display for Metered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("metered objects in memory")
    }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let found = self.objects.get_opts(location, options).await?;
        if !is_head {
            self.read_bytes.fetch_add(found.range.end - found.range.start, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_blob_that_is_read_from_front_to_back_is_fetched_once() {
    let body = Bytes::from(vec![7; 12 << 20]);
    // As bodies are read, 16 sealed chunks at a time; larger than what is fetched ahead; tiny.
    for step in [16 * 32_784, 3 << 20, 1000] {
        let client = Arc::new(Metered::default());
        let blobs = RemoteBlobs::new(Arc::clone(&client) as _, Path::default());
        let mut writer = blobs.create(ID).await.unwrap();
        writer.write(body.clone()).await.unwrap();
        writer.finish().await.unwrap();
        let reader = blobs.open(ID).await.unwrap();
        for start in (0..body.len()).step_by(step) {
            reader.read_at(start as u64, step).await.unwrap();
        }
        assert_eq!(client.read_bytes.load(Ordering::Relaxed), reader.len(), "step {step}");
    }
}
