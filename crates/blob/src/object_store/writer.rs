//! Writes an object: by one PUT if it is small, else by a multipart upload with a few parts under way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, PutPayloadMut};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::failure;
use super::remote::Taken;
use crate::{BlobError, BlobWriter};

/// Bytes of a part, and of the largest body that goes by one PUT. S3 takes no smaller parts and at most
/// 10,000 of them (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): bodies of 48 GiB.
pub(super) const PART_BYTES: usize = 5 << 20;
/// Parts on their way at once; with the one being filled, a writer holds four in memory.
const PARTS_IN_FLIGHT_MAX: usize = 3;
/// Dropped uploads that are being aborted at once; more are left to the bucket's lifecycle rule.
pub(super) const UPLOADS_GIVEN_UP_MAX: usize = 64;
/// How long it may take to abort a dropped upload.
const GIVE_UP_SECONDS_MAX: u64 = 120;
/// Shorter pieces are copied together, longer ones passed on as they are.
const PIECE_COPIED_BYTES_MAX: usize = 16 << 10;

pub(super) struct RemoteWriter {
    client: Arc<dyn ObjectStore>,
    path: Path,
    part_bytes: usize,
    part: PutPayloadMut,
    upload: Option<Upload>,
    written_bytes: u64,
    /// A part failed, or a call was cancelled in the middle of it: bytes may be missing.
    is_broken: bool,
    /// None once the writer has ended in an orderly way.
    taken: Option<Taken>,
    giving_up: Arc<Semaphore>,
}

/// A multipart upload and its parts on their way.
struct Upload {
    session: Box<dyn MultipartUpload>,
    parts: JoinSet<object_store::Result<()>>,
}

impl RemoteWriter {
    pub(super) fn new(
        client: Arc<dyn ObjectStore>,
        path: Path,
        taken: Taken,
        part_bytes: usize,
        giving_up: Arc<Semaphore>,
    ) -> Self {
        Self {
            client,
            path,
            part_bytes,
            part: PutPayloadMut::new(),
            upload: None,
            written_bytes: 0,
            is_broken: false,
            taken: Some(taken),
            giving_up,
        }
    }

    async fn append(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        while !bytes.is_empty() {
            // Only now, as more bytes come: a body of just one part needs no upload.
            if self.part.content_length() == self.part_bytes {
                self.send_part().await?;
            }
            let room = self.part_bytes - self.part.content_length();
            let piece = bytes.split_to(room.min(bytes.len()));
            self.written_bytes += piece.len() as u64;
            if piece.len() <= PIECE_COPIED_BYTES_MAX {
                self.part.extend_from_slice(&piece);
            } else {
                self.part.push(piece);
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), BlobError> {
        if self.upload.is_none() {
            let session = self.client.put_multipart(&self.path).await;
            let session = session.map_err(|error| failure(&error))?;
            self.upload = Some(Upload { session, parts: JoinSet::new() });
        }
        if let Some(upload) = &mut self.upload {
            upload.wait_for_fewer_than(PARTS_IN_FLIGHT_MAX).await?;
            let part = std::mem::take(&mut self.part).freeze();
            upload.parts.spawn(upload.session.put_part(part));
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), BlobError> {
        if self.upload.is_none() {
            let body: PutPayload = std::mem::take(&mut self.part).freeze();
            let put = self.client.put(&self.path, body).await;
            return put.map(drop).map_err(|error| failure(&error));
        }
        self.send_part().await?;
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.wait_for_fewer_than(1).await?;
        upload.session.complete().await.map(drop).map_err(|error| failure(&error))
    }

    /// Whether the object is there after all, and only the answer was lost. Nobody else writes this id,
    /// and objects appear whole: the length is proof enough. (`&mut`, as an upload is not shared.)
    async fn is_whole(&mut self) -> bool {
        let found = self.client.head(&self.path).await;
        found.is_ok_and(|found| found.size == self.written_bytes)
    }
}

#[async_trait]
impl BlobWriter for RemoteWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(broken());
        }
        self.append(bytes).await?;
        self.is_broken = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        if self.is_broken {
            return Err(broken());
        }
        if let Err(error) = self.end().await
            && !self.is_whole().await
        {
            // The drop aborts what there is.
            return Err(error);
        }
        self.upload = None;
        Ok(self.written_bytes)
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(upload) = self.upload.take() {
            upload.abort(&self.path).await;
        }
    }
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let taken = self.taken.take();
        let permit = Arc::clone(&self.giving_up).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, tokio::runtime::Handle::try_current()) else {
            tracing::warn!(object.key = %self.path, "blob.upload_left_incomplete");
            return;
        };
        let path = self.path.clone();
        runtime.spawn(async move {
            upload.abort(&path).await;
            drop((taken, permit));
        });
    }
}

impl Upload {
    /// Waits until fewer than so many parts are on their way.
    async fn wait_for_fewer_than(&mut self, count: usize) -> Result<(), BlobError> {
        while self.parts.len() >= count {
            match self.parts.join_next().await {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(failure(&error)),
                Some(Err(error)) => return Err(BlobError::Io(std::io::Error::other(error))),
            }
        }
        Ok(())
    }

    /// Ends the upload without an object. A part that arrives after that would stay, so they go first.
    async fn abort(mut self, path: &Path) {
        let ended = tokio::time::timeout(Duration::from_secs(GIVE_UP_SECONDS_MAX), async {
            while self.parts.join_next().await.is_some() {}
            self.session.abort().await.map_err(|error| failure(&error))
        });
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(object.key = %path, error = %error, "blob.upload_left_incomplete");
            }
            Err(_) => tracing::warn!(object.key = %path, "blob.upload_left_incomplete"),
        }
    }
}

fn broken() -> BlobError {
    BlobError::Io(std::io::Error::other("an earlier write failed"))
}
