//! The suite that every blob store must pass, public so that stores of other crates run it, too.
//! Knows no store.

use std::time::Duration;

use bytes::Bytes;

use crate::{BlobError, BlobId, BlobReader, BlobStore};

/// How a store broke the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl From<BlobError> for Violation {
    fn from(error: BlobError) -> Self {
        Self(format!("the store answered an error: {error}"))
    }
}

/// Runs every part on `store`, which must be empty and is empty again afterwards.
///
/// # Errors
///
/// The first violation found.
pub async fn run(store: &dyn BlobStore) -> Result<(), Violation> {
    blobs_come_back(store).await?;
    only_finished_blobs_exist(store).await?;
    ids_are_taken_once(store).await?;
    readers_outlive_their_blob(store).await?;
    lists_come_in_pages(store).await
}

/// Blobs of many lengths, written in pieces of many lengths, are read as they were written.
///
/// # Errors
///
/// A [`Violation`] when other bytes, or another length, come back.
pub async fn blobs_come_back(store: &dyn BlobStore) -> Result<(), Violation> {
    const MIB: usize = 1 << 20;
    let rows: [(usize, usize); 10] = [
        (0, 1),
        (1, 1),
        (1000, 7),
        (MIB - 1, 8192),
        (MIB, MIB),
        (MIB + 1, MIB),
        (3 * MIB, 65_537),
        (3 * MIB + 5, 2 * MIB + 3),
        (5 * MIB, 5 * MIB),
        (20 * MIB + 1, MIB + 9),
    ];
    for (length, piece) in rows {
        let body = pattern(length);
        let id = BlobId([0x11; 16]);
        write(store, id, &body, piece).await?;
        let reader = store.open(id).await?;
        check_reads(&*reader, &body).await?;
        store.delete(id).await?;
    }
    Ok(())
}

async fn check_reads(reader: &dyn BlobReader, body: &Bytes) -> Result<(), Violation> {
    let length = body.len();
    let is_told = reader.len() == length as u64 && reader.is_empty() == body.is_empty();
    ensure(is_told, || format!("{} bytes were written, {} are told", length, reader.len()))?;
    let middle = length / 2;
    let rows = [
        (0, length),
        (0, length + 1),
        (0, 0),
        (middle, 10),
        (middle, length),
        (length.saturating_sub(1), 1),
        (length, 1),
        (length + 1000, 1),
    ];
    for (offset, wanted) in rows {
        let found = reader.read_at(offset as u64, wanted).await?;
        let end = (offset + wanted).min(length);
        let expected = &body[offset.min(end)..end];
        ensure(found == expected, || {
            format!("{wanted} bytes at {offset} of {length}: {} others came back", found.len())
        })?;
    }
    let beyond = reader.read_at(u64::MAX, usize::MAX).await?;
    ensure(beyond.is_empty(), || "bytes came from beyond the end".into())?;
    read_front_to_back(reader, body).await
}

async fn read_front_to_back(reader: &dyn BlobReader, body: &Bytes) -> Result<(), Violation> {
    const STEP: usize = 300_007;
    for start in (0..body.len()).step_by(STEP) {
        let found = reader.read_at(start as u64, STEP).await?;
        let expected = &body[start..body.len().min(start + STEP)];
        ensure(found == expected, || {
            format!("from front to back, others came back at {start} of {}", body.len())
        })?;
    }
    Ok(())
}

/// What is being written, aborted, dropped or deleted is neither opened nor listed.
///
/// # Errors
///
/// A [`Violation`] when it is, or when its id cannot be used afterwards.
pub async fn only_finished_blobs_exist(store: &dyn BlobStore) -> Result<(), Violation> {
    let id = BlobId([0x22; 16]);
    store.delete(id).await?;
    must_be_absent(store, id, "before it was written").await?;
    for is_aborted in [true, false] {
        let mut writer = store.create(id).await?;
        writer.write(pattern(3 << 20)).await?;
        must_be_absent(store, id, "while it was written").await?;
        if is_aborted {
            writer.abort().await;
        } else {
            drop(writer);
            until_free(store, id).await?;
        }
        must_be_absent(store, id, "after it was given up").await?;
    }
    write(store, id, &pattern(10), 10).await?;
    let listed = store.list(None, 10).await?;
    ensure(listed == [id], || format!("listed {listed:?}, expected {id:?}"))?;
    store.delete(id).await?;
    store.delete(id).await?;
    must_be_absent(store, id, "after it was deleted").await
}

/// An id that exists, or is being written, is refused, and what it names stays as it is.
///
/// # Errors
///
/// A [`Violation`] when it is not refused, or has changed.
pub async fn ids_are_taken_once(store: &dyn BlobStore) -> Result<(), Violation> {
    let id = BlobId([0x33; 16]);
    let body = pattern(100);
    let mut first = store.create(id).await?;
    must_be_taken(store, id).await?;
    first.write(body.clone()).await?;
    let length = first.finish().await?;
    ensure(length == 100, || format!("100 bytes were written, {length} are told"))?;
    must_be_taken(store, id).await?;
    let found = store.open(id).await?.read_at(0, 1000).await?;
    ensure(found == body, || "a refused writer changed the blob".into())?;
    store.delete(id).await.map_err(Violation::from)
}

/// A reader that was open before the blob was deleted reads it to the end, or learns that it cannot.
///
/// # Errors
///
/// A [`Violation`] when it reads anything else.
pub async fn readers_outlive_their_blob(store: &dyn BlobStore) -> Result<(), Violation> {
    let id = BlobId([0x44; 16]);
    let body = pattern(2 << 20);
    write(store, id, &body, 1 << 20).await?;
    let reader = store.open(id).await?;
    store.delete(id).await?;
    must_be_absent(store, id, "after it was deleted").await?;
    match reader.read_at(0, body.len()).await {
        Ok(found) => ensure(found == body, || "a deleted blob changed under its reader".into()),
        Err(BlobError::NotFound | BlobError::Io(_)) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// Pages of any size name every blob once, in order.
///
/// # Errors
///
/// A [`Violation`] when they do not.
pub async fn lists_come_in_pages(store: &dyn BlobStore) -> Result<(), Violation> {
    // Several with the same first byte, and both ends of the range.
    let ids: Vec<BlobId> = [[0, 0], [0, 1], [0, 255], [1, 0], [127, 7], [254, 9], [255, 255]]
        .map(|[first, last]| {
            let mut id = [first; 16];
            id[15] = last;
            BlobId(id)
        })
        .to_vec();
    for id in ids.iter().rev() {
        write(store, *id, &Bytes::from_static(b"x"), 1).await?;
    }
    for page in [1, 2, 3, 7, 100] {
        let mut listed: Vec<BlobId> = Vec::new();
        loop {
            let found = store.list(listed.last().copied(), page).await?;
            let is_last = found.len() < page;
            listed.extend(found);
            if is_last {
                break;
            }
        }
        ensure(listed == ids, || format!("pages of {page} name {listed:?}"))?;
    }
    let none = store.list(None, 0).await?;
    ensure(none.is_empty(), || "a page of nothing has ids".into())?;
    for id in ids {
        store.delete(id).await?;
    }
    let rest = store.list(None, 1).await?;
    ensure(rest.is_empty(), || format!("{rest:?} are left"))
}

async fn write(
    store: &dyn BlobStore,
    id: BlobId,
    body: &Bytes,
    piece: usize,
) -> Result<(), Violation> {
    let mut writer = store.create(id).await?;
    for start in (0..body.len()).step_by(piece) {
        writer.write(body.slice(start..body.len().min(start + piece))).await?;
    }
    let length = writer.finish().await?;
    let expected = body.len() as u64;
    ensure(length == expected, || format!("{expected} bytes were written, {length} are told"))
}

async fn must_be_absent(store: &dyn BlobStore, id: BlobId, when: &str) -> Result<(), Violation> {
    let is_absent = matches!(store.open(id).await, Err(BlobError::NotFound));
    ensure(is_absent, || format!("the blob could be opened {when}"))?;
    let listed = store.list(None, 1).await?;
    ensure(listed.is_empty(), || format!("{listed:?} was listed {when}"))
}

async fn must_be_taken(store: &dyn BlobStore, id: BlobId) -> Result<(), Violation> {
    let is_taken = matches!(store.create(id).await, Err(BlobError::AlreadyExists));
    ensure(is_taken, || "an id was given twice".into())
}

/// A dropped writer may be cleaned up behind its back; the id is free soon.
async fn until_free(store: &dyn BlobStore, id: BlobId) -> Result<(), Violation> {
    const ATTEMPTS_MAX: usize = 10_000;
    const PAUSE: Duration = Duration::from_millis(1);
    for _ in 0..ATTEMPTS_MAX {
        match store.create(id).await {
            Ok(writer) => {
                writer.abort().await;
                return Ok(());
            }
            Err(BlobError::AlreadyExists) => tokio::time::sleep(PAUSE).await,
            Err(other) => return Err(other.into()),
        }
    }
    Err(Violation("a dropped writer keeps its id".into()))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// Bytes that differ from page to page, so that a misplaced piece shows.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}
