//! Bodies too large for a commit: streamed, and each read again. Ids stay, because rows name them.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use ring::digest::{Context, Digest, SHA256};
use tidelock_blob::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};

use super::{CopyError, CopyObserver, CopyStep};

/// Bodies under way at once; each holds one piece in memory.
const BODIES_IN_FLIGHT: usize = 4;
/// Bytes that are read and written at once.
const PIECE_BYTES: usize = 1 << 20;
/// Ids of one page of a list.
const PAGE_IDS: usize = 500;

/// Bodies as they were copied, in the order of their ids.
pub(super) struct BodyDigest {
    pub(super) count: u64,
    pub(super) bytes: u64,
    context: Context,
}

/// What one body is.
#[derive(Clone, Copy)]
struct Body {
    length: u64,
    digest: Digest,
}

impl Default for BodyDigest {
    fn default() -> Self {
        Self { count: 0, bytes: 0, context: Context::new(&SHA256) }
    }
}

impl BodyDigest {
    fn add(&mut self, id: BlobId, body: &Body) {
        self.count += 1;
        self.bytes += body.length;
        self.context.update(&id.0);
        self.context.update(&body.length.to_be_bytes());
        self.context.update(body.digest.as_ref());
    }

    /// Lowercase hex.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.context.clone().finish())
    }
}

impl Body {
    fn is(&self, other: &Self) -> bool {
        self.length == other.length && self.digest.as_ref() == other.digest.as_ref()
    }
}

/// Copies all bodies of `from` to `to`, which has none but those of an interrupted copy.
pub(super) async fn copy(
    from: &dyn BlobStore,
    to: &dyn BlobStore,
    observer: &dyn CopyObserver,
) -> Result<BodyDigest, CopyError> {
    let mut digest = BodyDigest::default();
    let mut after = None;
    loop {
        let page = from.list(after, PAGE_IDS).await?;
        let Some(last) = page.last().copied() else { break };
        remove_others(to, after, Some(last), &page).await?;
        let copies = page.iter().map(|id| async move { Ok((*id, copy_one(from, to, *id).await?)) });
        let mut copied = futures_util::stream::iter(copies).buffered(BODIES_IN_FLIGHT);
        while let Some((id, body)) = copied.try_next().await.map_err(|error: CopyError| error)? {
            digest.add(id, &body);
            observer.advanced(CopyStep::Blobs, digest.count, digest.bytes);
        }
        after = Some(last);
    }
    remove_others(to, after, None, &[]).await?;
    Ok(digest)
}

/// How many bodies there are.
pub(super) async fn count(of: &dyn BlobStore) -> Result<u64, CopyError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = of.list(after, PAGE_IDS).await?;
        count += page.len() as u64;
        after = page.last().copied();
        if page.len() < PAGE_IDS {
            return Ok(count);
        }
    }
}

/// Which of `named` are not there.
pub(super) async fn missing(
    of: &dyn BlobStore,
    named: &BTreeSet<BlobId>,
) -> Result<BTreeSet<BlobId>, CopyError> {
    let (mut missing, mut after) = (named.clone(), None);
    while !missing.is_empty() {
        let page = of.list(after, PAGE_IDS).await?;
        missing.retain(|id| page.binary_search(id).is_err());
        after = page.last().copied();
        if page.len() < PAGE_IDS {
            break;
        }
    }
    Ok(missing)
}

/// Whether there is none.
pub(super) async fn is_empty(of: &dyn BlobStore) -> Result<bool, CopyError> {
    Ok(of.list(None, 1).await?.is_empty())
}

async fn copy_one(from: &dyn BlobStore, to: &dyn BlobStore, id: BlobId) -> Result<Body, CopyError> {
    let source = from.open(id).await?;
    match to.open(id).await {
        // Of an interrupted copy, which may have been of a source that lived on since.
        Ok(found) => {
            let (here, there) = (read(&*source).await?, read(&*found).await?);
            if here.is(&there) {
                return Ok(here);
            }
            to.delete(id).await?;
        }
        Err(BlobError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let writer = match to.create(id).await {
        Err(BlobError::AlreadyExists) => {
            // Begun and never finished.
            to.delete(id).await?;
            to.create(id).await?
        }
        created => created?,
    };
    let written = write(&*source, writer).await?;
    let found = read(&*to.open(id).await?).await?;
    if written.is(&found) { Ok(written) } else { Err(CopyError::BodyDiffers(id)) }
}

async fn write(
    source: &dyn BlobReader,
    mut writer: Box<dyn BlobWriter>,
) -> Result<Body, CopyError> {
    let (mut context, mut length) = (Context::new(&SHA256), 0);
    while length < source.len() {
        let piece = match source.read_at(length, PIECE_BYTES).await {
            Ok(piece) => piece,
            Err(error) => {
                writer.abort().await;
                return Err(error.into());
            }
        };
        context.update(&piece);
        length += piece.len() as u64;
        writer.write(piece).await?;
    }
    writer.finish().await?;
    Ok(Body { length, digest: context.finish() })
}

async fn read(reader: &dyn BlobReader) -> Result<Body, CopyError> {
    let (mut context, mut length) = (Context::new(&SHA256), 0);
    while length < reader.len() {
        let piece = reader.read_at(length, PIECE_BYTES).await?;
        context.update(&piece);
        length += piece.len() as u64;
    }
    Ok(Body { length, digest: context.finish() })
}

/// Removes what is in `to` after `after`, up to `last`, and not in `kept`.
async fn remove_others(
    to: &dyn BlobStore,
    after: Option<BlobId>,
    last: Option<BlobId>,
    kept: &[BlobId],
) -> Result<(), CopyError> {
    let mut after = after;
    loop {
        let page = to.list(after, PAGE_IDS).await?;
        for id in &page {
            if last.is_some_and(|last| *id > last) {
                return Ok(());
            }
            if kept.binary_search(id).is_err() {
                to.delete(*id).await?;
            }
        }
        after = page.last().copied();
        if page.len() < PAGE_IDS {
            return Ok(());
        }
    }
}
