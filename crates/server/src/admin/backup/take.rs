//! A backup: what of the log and of the blobs is not in the archive yet, copied while a server writes both.
//!
//! The log is read to its end; then the blobs that it names are copied. A blob that is gone was removed meanwhile, and
//! the log, read on, says so: until it does, the backup is not at its end. The manifest is written last, so a
//! backup that is interrupted is none, and takes nothing from those before it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use serde::Serialize;
use tidelock_blob::fs::ReadOnlyBlobs;
use tidelock_blob::object_store::archive::{Archive, Seen};
use tidelock_blob::{BlobError, BlobId, BlobReader, BlobStore};
use tidelock_meta::Clock;
use tidelock_meta::local::{Followed, Follower, Piece, follow_log};

use super::check::digest_of;
use super::manifest::{Backup, Blobs, Chain, Kept, Manifest, PieceFile, piece_name, sha256};
use super::needed::Needed;
use super::{BackupError, BackupRequest, HISTORY_FILE, shown};
use crate::config::BlobLocation;
use crate::engine::DataDirectory;

/// How often a log is begun again whose oldest segment went before it was copied.
const RESTARTS_MAX: u32 = 10;

/// How often the log is read on for a blob that is not there, and how long between two times: after that, it
/// is lost.
const LOOKS_MAX: u32 = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Bytes of a blob that are read and written at once.
const PIECE_BYTES: usize = 1 << 20;

/// Number of the first segment that a store ever has.
const FIRST_SEGMENT: u64 = 1;

/// What a backup has copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// When it was taken: what was acknowledged by then is in it.
    pub time: String,
    /// From this time on every moment can be restored.
    pub complete_from: String,
    /// Bytes of the log that were copied now.
    pub log_bytes: u64,
    /// Blobs that were copied now.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Whether blobs are in the backup: else they are kept elsewhere, and are to be backed up there.
    pub has_blobs: bool,
    /// Blobs that rows of the store name and that are not there.
    pub lost: Vec<String>,
}

/// Copies what is new of the store to the archive.
///
/// # Errors
///
/// [`BackupError`]; the backups before are as they were.
pub async fn backup(
    request: BackupRequest,
    clock: Arc<dyn Clock>,
) -> Result<BackupReport, BackupError> {
    let directory = DataDirectory::new(&request.data);
    if !directory.meta().exists() {
        return Err(BackupError::NoStore(request.data.display().to_string()));
    }
    directory.require_finished()?;
    let archive = Archive::open(&request.target, request.variables.expose())?;
    let lock = archive.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => BackupError::Busy,
        _ => BackupError::Io(error),
    })?;
    let history = history(&request.data)?;
    let (manifest, seen) = Manifest::read(&archive).await?;
    let manifest = match manifest {
        Some(manifest) if manifest.history == history => manifest,
        Some(manifest) => return Err(why_diverged(&directory.meta(), &manifest)?),
        None => {
            let store = store_of(&directory.meta())?;
            let store = store.ok_or(BackupError::NoStore(request.data.display().to_string()))?;
            Manifest { store, history, ..Manifest::default() }
        }
    };
    let report = Taking::begin(&request, &directory, &archive, manifest).await?.run(&*clock, &seen);
    let report = report.await?;
    drop(lock);
    Ok(report)
}

/// Which history of the store a data directory has: empty for its first.
fn history(data: &Path) -> Result<String, BackupError> {
    match fs::read_to_string(data.join(HISTORY_FILE)) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// Id of the store whose log is in directory `meta`; none if it has none yet.
fn store_of(meta: &Path) -> Result<Option<String>, BackupError> {
    for _ in 0..RESTARTS_MAX {
        let (mut follower, mut needed) = (follow_log(meta, None), Needed::default());
        loop {
            let followed = follower.next(&mut |group| needed.apply(group))?;
            needed.take_failure()?;
            if let Some(store) = needed.store() {
                return Ok(Some(store.to_owned()));
            }
            match followed {
                Followed::Piece(_) | Followed::Cut { .. } => {}
                Followed::End => return Ok(None),
                Followed::Gone | Followed::Diverged => break,
            }
        }
    }
    Err(BackupError::TooFast)
}

/// All that the log in directory `meta` says of blobs, from its beginning to its end.
fn needed_of_all(meta: &Path) -> Result<Needed, BackupError> {
    for _ in 0..RESTARTS_MAX {
        let (mut follower, mut needed) = (follow_log(meta, None), Needed::of_all());
        loop {
            let followed = follower.next(&mut |group| needed.apply(group))?;
            needed.take_failure()?;
            match followed {
                Followed::Piece(piece) if piece.is_tail => return Ok(needed),
                Followed::Piece(_) | Followed::Cut { .. } => {}
                Followed::End => return Ok(needed),
                Followed::Gone | Followed::Diverged => break,
            }
        }
    }
    Err(BackupError::TooFast)
}

/// Why the log in `meta` does not go on from the backups.
fn why_diverged(meta: &Path, manifest: &Manifest) -> Result<BackupError, BackupError> {
    Ok(match store_of(meta)? {
        Some(own) if own != manifest.store => {
            BackupError::OtherStore { found: manifest.store.clone(), own }
        }
        Some(_) | None => BackupError::Diverged,
    })
}

/// A backup on its way.
struct Taking<'a> {
    archive: &'a Archive,
    meta: PathBuf,
    /// None where blobs are kept elsewhere.
    blobs: Option<(ReadOnlyBlobs, Arc<dyn BlobStore>)>,
    manifest: Manifest,
    /// The run of the log that is being copied.
    chain: Chain,
    follower: Follower,
    needed: Needed,
    kept: Blobs,
    added: Vec<Kept>,
    log_bytes: u64,
    restarts: u32,
}

impl<'a> Taking<'a> {
    async fn begin(
        request: &BackupRequest,
        directory: &DataDirectory,
        archive: &'a Archive,
        mut manifest: Manifest,
    ) -> Result<Self, BackupError> {
        let blobs = match request.blobs {
            BlobLocation::Local => Some((ReadOnlyBlobs::new(&directory.blobs()), archive.blobs()?)),
            BlobLocation::Memory | BlobLocation::Postgres | BlobLocation::ObjectStore(_) => None,
        };
        let kept = manifest.blobs(archive).await?;
        let chain = manifest.chains.pop().unwrap_or_default();
        let needed = if chain.segments.is_empty() {
            Needed::of_all()
        } else if chain.has_all_blobs() && manifest.has_blobs || blobs.is_none() {
            Needed::default()
        } else {
            // What was not there is looked for again, and what was left out is caught up with.
            needed_of_all(&directory.meta())?
        };
        manifest.has_blobs |= blobs.is_some();
        Ok(Self {
            archive,
            meta: directory.meta(),
            blobs,
            follower: follow_log(&directory.meta(), chain.cursor()),
            manifest,
            needed,
            chain,
            kept,
            added: Vec::new(),
            log_bytes: 0,
            restarts: 0,
        })
    }

    async fn run(mut self, clock: &dyn Clock, seen: &Seen) -> Result<BackupReport, BackupError> {
        let mut looks = 0;
        let (time_ms, lost) = loop {
            // What is acknowledged by now is in the log that is read from here on.
            let began_ms = u64::try_from(clock.now()).unwrap_or(0);
            self.follow().await?;
            let missing = self.copy_blobs().await?;
            let lost = self.needed.lost(&missing);
            looks += 1;
            if lost.is_empty() || looks == LOOKS_MAX {
                break (began_ms.max(self.chain.last_group_ms), lost);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        };
        self.finish(time_ms, &lost, seen).await
    }

    /// Copies the log to its end.
    async fn follow(&mut self) -> Result<(), BackupError> {
        loop {
            let (needed, chain) = (&mut self.needed, &mut self.chain);
            let is_first = chain.segments.is_empty();
            let mut first_ms = None;
            let followed = self.follower.next(&mut |group| {
                needed.apply(group);
                first_ms.get_or_insert(group.time());
                chain.last_group_ms = chain.last_group_ms.max(group.time());
            })?;
            needed.take_failure()?;
            match followed {
                Followed::Piece(piece) => {
                    if is_first && piece.segment == FIRST_SEGMENT {
                        // Nothing was ever let go: it is whole from its first group on.
                        chain.complete_from_ms = first_ms.unwrap_or(0);
                    }
                    self.keep(&piece).await?;
                    if piece.is_tail {
                        return Ok(());
                    }
                }
                Followed::Cut { .. } => {
                    if let Some(cursor) = self.follower.cursor() {
                        self.chain.cut(cursor);
                    }
                }
                Followed::End => return Ok(()),
                Followed::Gone => self.begin_again()?,
                Followed::Diverged => return Err(why_diverged(&self.meta, &self.manifest)?),
            }
        }
    }

    /// Writes a piece of the log to the archive.
    async fn keep(&mut self, piece: &Piece) -> Result<(), BackupError> {
        let Some(cursor) = self.follower.cursor() else { return Ok(()) };
        let end = piece.start + piece.bytes.len() as u32;
        let file = PieceFile { start: piece.start, end, sha256: sha256(&piece.bytes) };
        let name = piece_name(piece.segment, &format!("{:016x}", piece.epoch), file.start, end);
        self.archive.put(&name, Bytes::copy_from_slice(&piece.bytes)).await?;
        self.log_bytes += piece.bytes.len() as u64;
        self.chain.add(piece, file, cursor);
        Ok(())
    }

    /// From the oldest segment that is there now: the one that was to come is gone.
    fn begin_again(&mut self) -> Result<(), BackupError> {
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            return Err(BackupError::TooFast);
        }
        if store_of(&self.meta)?.is_some_and(|own| own != self.manifest.store) {
            return Err(why_diverged(&self.meta, &self.manifest)?);
        }
        let chain = std::mem::take(&mut self.chain);
        if !chain.backups.is_empty() {
            self.manifest.chains.push(chain.until_last_backup());
        }
        self.follower = follow_log(&self.meta, None);
        self.needed = Needed::of_all();
        Ok(())
    }

    /// Copies the blobs that are named and not in the archive, and says which are not there.
    async fn copy_blobs(&mut self) -> Result<BTreeSet<BlobId>, BackupError> {
        let mut missing = BTreeSet::new();
        let Some((from, to)) = &self.blobs else { return Ok(missing) };
        for id in self.needed.named() {
            if self.kept.contains_key(id) {
                continue;
            }
            let source = match from.open(*id).await {
                Ok(source) => source,
                Err(BlobError::NotFound) => {
                    missing.insert(*id);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let kept = copy_blob(&*source, &**to, *id, self.archive.is_directory()).await?;
            self.kept.insert(*id, kept.clone());
            self.added.push(kept);
        }
        Ok(missing)
    }

    async fn finish(
        mut self,
        time_ms: u64,
        lost: &BTreeSet<BlobId>,
        seen: &Seen,
    ) -> Result<BackupReport, BackupError> {
        let Some(cursor) = self.follower.cursor() else {
            return Err(BackupError::NoStore(self.meta.display().to_string()));
        };
        if self.chain.complete_from_ms == 0 {
            self.chain.complete_from_ms = self.chain.last_group_ms;
        }
        let blob_bytes = self.added.iter().map(|kept| kept.bytes).sum();
        let report = BackupReport {
            time: shown(time_ms),
            complete_from: shown(self.chain.complete_from_ms),
            log_bytes: self.log_bytes,
            blobs: self.added.len() as u64,
            blob_bytes,
            has_blobs: self.blobs.is_some(),
            lost: lost.iter().map(ToString::to_string).collect(),
        };
        self.chain.backups.push(Backup {
            time_ms,
            segment: cursor.at.segment,
            offset: cursor.at.offset,
            sequence: cursor.at.sequence,
            log_bytes: self.log_bytes,
            blobs: report.blobs,
            blob_bytes,
            lost: report.lost.clone(),
            without_blobs: !report.has_blobs,
        });
        self.manifest.chains.push(self.chain);
        self.manifest.add_blobs(self.archive, &self.added).await?;
        self.manifest.write(self.archive, seen).await?;
        Ok(report)
    }
}

/// Copies one blob. One that is there was left by a backup that was interrupted, or is of another one under way: it
/// is never removed, for a manifest may name it by now. `is_ours` where nobody else writes there.
async fn copy_blob(
    source: &dyn BlobReader,
    to: &dyn BlobStore,
    id: BlobId,
    is_ours: bool,
) -> Result<Kept, BackupError> {
    let mut writer = match to.create(id).await {
        Err(BlobError::AlreadyExists) => match to.open(id).await {
            Ok(found) => return keep_found(source, &*found, id).await,
            // Begun and never finished.
            Err(BlobError::NotFound) if is_ours => {
                to.delete(id).await?;
                to.create(id).await?
            }
            Err(BlobError::NotFound) => return Err(BackupError::Busy),
            Err(error) => return Err(error.into()),
        },
        created => created?,
    };
    let (mut context, mut length) = (Context::new(&SHA256), 0);
    while length < source.len() {
        let piece = source.read_at(length, PIECE_BYTES).await?;
        context.update(&piece);
        length += piece.len() as u64;
        writer.write(piece).await?;
    }
    match writer.finish().await {
        // Another backup was faster.
        Err(BlobError::AlreadyExists) => keep_found(source, &*to.open(id).await?, id).await,
        finished => {
            finished?;
            Ok(Kept::new(id, length, hex::encode(context.finish())))
        }
    }
}

/// The blob that is there already, if it is the same.
async fn keep_found(
    source: &dyn BlobReader,
    found: &dyn BlobReader,
    id: BlobId,
) -> Result<Kept, BackupError> {
    let (here, there) = (digest_of(source).await?, digest_of(found).await?);
    if here != there {
        return Err(BackupError::BlobDiffers(id));
    }
    Ok(Kept::new(id, here.0, here.1))
}

#[cfg(test)]
mod tests {
    use tidelock_blob::memory::MemoryBlobStore;

    use super::*;

    const ID: BlobId = BlobId([7; 16]);

    async fn with(content: &'static [u8]) -> MemoryBlobStore {
        let blobs = MemoryBlobStore::new();
        let mut writer = blobs.create(ID).await.unwrap();
        writer.write(Bytes::from_static(content)).await.unwrap();
        writer.finish().await.unwrap();
        blobs
    }

    /// A manifest may name it: of a backup that ended since, for example.
    #[tokio::test]
    async fn a_blob_that_is_there_is_kept_or_refused_and_never_removed() {
        let source = with(b"body").await;
        let source = source.open(ID).await.unwrap();
        for is_ours in [true, false] {
            let same = with(b"body").await;
            let found = same.open(ID).await.unwrap();
            let kept = copy_blob(&*source, &same, ID, is_ours).await.unwrap();
            assert_eq!((kept.bytes, &kept.sha256), (4, &sha256(b"body")));
            assert_eq!(found.read_at(0, 10).await.unwrap(), "body");
            let other = with(b"else").await;
            let refused = copy_blob(&*source, &other, ID, is_ours).await.unwrap_err();
            assert!(matches!(refused, BackupError::BlobDiffers(ID)), "{refused}");
            assert_eq!(other.open(ID).await.unwrap().read_at(0, 10).await.unwrap(), "else");
        }
        let empty = MemoryBlobStore::new();
        let unfinished = empty.create(ID).await.unwrap();
        let busy = copy_blob(&*source, &empty, ID, false).await.unwrap_err();
        assert!(matches!(busy, BackupError::Busy), "{busy}");
        drop(unfinished);
        copy_blob(&*source, &empty, ID, true).await.unwrap();
        assert_eq!(empty.open(ID).await.unwrap().read_at(0, 10).await.unwrap(), "body");
    }
}
