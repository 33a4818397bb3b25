//! What an archive of backups holds: `manifest.json`, written last and whole. What it does not name is no part of
//! any backup.
//!
//! ```text
//! manifest.json                                    this
//! log/<segment>/<epoch>-<start>-<end>              bytes of a segment, from one place between groups to another
//! catalog/<first 16 hex of its SHA-256>.jsonl      the blobs that a backup has added: id, bytes, sha256
//! blobs/<2 hex>/<30 hex>                           blobs, as in a data directory
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tidelock_blob::BlobId;
use tidelock_blob::object_store::archive::{Archive, Seen};
use tidelock_meta::local::{Cursor, Piece, Position};

use super::BackupError;

/// Name of the file.
const NAME: &str = "manifest.json";

/// The newest format this version writes and reads.
const FORMAT: u32 = 1;

/// All that an archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Id of the store whose backups these are, lowercase hex.
    pub(super) store: String,
    /// The history of it that is backed up: empty, or what a restore has written to the data directory.
    pub(super) history: String,
    /// Whether blobs are in the archive: false of one that no backup has put any into.
    pub(super) has_blobs: bool,
    /// Runs of the log without a gap, oldest first.
    pub(super) chains: Vec<Chain>,
    pub(super) catalogs: Vec<Catalog>,
    /// Of the manifest as it is with an empty string here.
    pub(super) sha256: String,
}

/// A run of the log without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chain {
    /// From this time on, in milliseconds since 1970, it is a whole store.
    pub(super) complete_from_ms: u64,
    /// Time of its last group.
    pub(super) last_group_ms: u64,
    pub(super) segments: Vec<Segment>,
    pub(super) backups: Vec<Backup>,
    /// Where it ends.
    pub(super) offset: u32,
    pub(super) sequence: u64,
}

/// What is there of a segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// 16 hex digits.
    pub(super) epoch: String,
    /// Where its groups end: what pieces have behind that does not count.
    pub(super) end: u32,
    pub(super) pieces: Vec<PieceFile>,
}

/// A file with a part of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PieceFile {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) sha256: String,
}

/// One run of `tidelock admin backup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Backup {
    /// When, in milliseconds since 1970: what was acknowledged by then is in it.
    pub(super) time_ms: u64,
    /// Where the log ended then.
    pub(super) segment: u64,
    pub(super) offset: u32,
    pub(super) sequence: u64,
    /// What it has added to the archive.
    pub(super) log_bytes: u64,
    pub(super) blobs: u64,
    pub(super) blob_bytes: u64,
    /// Ids of blobs that rows named then and that were not there: the next backup looks for them again. Not written
    /// where there is none, nor is the next: the manifests of before have neither, and their SHA-256 holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lost: Vec<String>,
    /// Whether it has left blobs to others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) without_blobs: bool,
}

/// A file that lists blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Catalog {
    pub(super) name: String,
    pub(super) sha256: String,
}

/// A blob in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    id: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The blobs in an archive.
pub(super) type Blobs = BTreeMap<BlobId, Kept>;

impl Manifest {
    /// The manifest of `archive`; none where there is no backup yet.
    pub(super) async fn read(archive: &Archive) -> Result<(Option<Self>, Seen), BackupError> {
        let (bytes, seen) = archive.look(NAME).await?;
        let Some(bytes) = bytes else { return Ok((None, seen)) };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = || BackupError::Damaged(NAME.to_owned());
        let Format { format } = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if format > FORMAT {
            return Err(BackupError::TooNew { found: format, known: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if manifest.sha256 != manifest.digest() {
            return Err(damaged());
        }
        Ok((Some(manifest), seen))
    }

    /// Puts it in the place of the one that was `seen`.
    pub(super) async fn write(mut self, archive: &Archive, seen: &Seen) -> Result<(), BackupError> {
        self.format = FORMAT;
        self.sha256 = self.digest();
        Ok(archive.replace(NAME, seen, Bytes::from(text(&self))).await?)
    }

    fn digest(&self) -> String {
        sha256(&text(&Self { sha256: String::new(), ..self.clone() }))
    }

    /// The blobs that the archive has.
    pub(super) async fn blobs(&self, archive: &Archive) -> Result<Blobs, BackupError> {
        let mut blobs = Blobs::new();
        for catalog in &self.catalogs {
            let damaged = || BackupError::Damaged(catalog.name.clone());
            let bytes = read_checked(archive, &catalog.name, &catalog.sha256).await?;
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let kept: Kept = serde_json::from_slice(line).map_err(|_| damaged())?;
                blobs.insert(kept.id.parse().map_err(|_| damaged())?, kept);
            }
        }
        Ok(blobs)
    }

    /// Writes down which blobs were added.
    pub(super) async fn add_blobs(
        &mut self,
        archive: &Archive,
        added: &[Kept],
    ) -> Result<(), BackupError> {
        if added.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for kept in added {
            lines.extend(line(kept));
        }
        let sha256 = sha256(&lines);
        let name = format!("catalog/{}.jsonl", &sha256[..16]);
        archive.put(&name, Bytes::from(lines)).await?;
        self.catalogs.push(Catalog { name, sha256 });
        Ok(())
    }
}

impl Chain {
    /// Where it ends; none if it has nothing.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        let last = self.segments.last()?;
        let epoch = u64::from_str_radix(&last.epoch, 16).ok()?;
        let at = Position { segment: last.number, offset: self.offset, sequence: self.sequence };
        Some(Cursor { at, epoch })
    }

    /// Up to which time it tells what the store was.
    pub(super) fn complete_to_ms(&self) -> u64 {
        self.backups.last().map_or(0, |backup| backup.time_ms)
    }

    /// Whether the blobs that its rows name up to the last backup are in the archive, as far as they were there.
    pub(super) fn has_all_blobs(&self) -> bool {
        self.backups.last().is_some_and(|last| last.lost.is_empty() && !last.without_blobs)
    }

    /// The backup that tells of the time `at`; the last one without a time.
    pub(super) fn backup_of(&self, at: Option<u64>) -> Option<&Backup> {
        match at {
            Some(at) => self.backups.iter().find(|backup| backup.time_ms >= at),
            None => self.backups.last(),
        }
    }

    /// As the last backup has left it: what was copied behind that belongs to none.
    pub(super) fn until_last_backup(mut self) -> Self {
        let Some(last) = self.backups.last() else { return self };
        (self.offset, self.sequence) = (last.offset, last.sequence);
        let (number, end) = (last.segment, last.offset);
        self.segments.retain(|segment| segment.number <= number);
        if let Some(segment) = self.segments.last_mut().filter(|last| last.number == number) {
            segment.end = segment.end.min(end);
            segment.pieces.retain(|piece| piece.start < end);
        }
        self.last_group_ms = self.last_group_ms.min(self.complete_to_ms());
        self
    }

    /// Adds what is now in the archive.
    pub(super) fn add(&mut self, piece: &Piece, file: PieceFile, cursor: Cursor) {
        (self.offset, self.sequence) = (cursor.at.offset, cursor.at.sequence);
        let end = file.end;
        match self.segments.last_mut().filter(|last| last.number == piece.segment) {
            Some(last) => {
                last.pieces.push(file);
                last.end = end;
            }
            None => {
                let epoch = format!("{:016x}", piece.epoch);
                let (number, pieces) = (piece.segment, vec![file]);
                self.segments.push(Segment { number, epoch, end, pieces });
            }
        }
    }

    /// The last segment ends before what was taken for its last group.
    pub(super) fn cut(&mut self, cursor: Cursor) {
        (self.offset, self.sequence) = (cursor.at.offset, cursor.at.sequence);
        let Some(last) = self.segments.last_mut() else { return };
        last.end = cursor.at.offset;
    }
}

impl Segment {
    /// The name of a file with a part of it.
    pub(super) fn name(&self, piece: &PieceFile) -> String {
        piece_name(self.number, &self.epoch, piece.start, piece.end)
    }

    /// Its bytes up to the end of its groups, checked.
    pub(super) async fn read(&self, archive: &Archive) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::with_capacity(self.end as usize);
        for piece in &self.pieces {
            let name = self.name(piece);
            // A piece that was written behind a cut begins where that was.
            bytes.truncate(piece.start as usize);
            let read = read_checked(archive, &name, &piece.sha256).await?;
            if bytes.len() != piece.start as usize
                || read.len() != (piece.end - piece.start) as usize
            {
                return Err(BackupError::Damaged(name));
            }
            bytes.extend_from_slice(&read);
        }
        bytes.truncate(self.end as usize);
        Ok(bytes)
    }
}

impl Kept {
    pub(super) fn new(id: BlobId, bytes: u64, sha256: String) -> Self {
        Self { id: id.to_string(), bytes, sha256 }
    }
}

/// The name of the file of a piece.
pub(super) fn piece_name(number: u64, epoch: &str, start: u32, end: u32) -> String {
    format!("log/{number:016x}/{epoch}-{start:08x}-{end:08x}")
}

/// SHA-256 in lowercase hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

async fn read_checked(archive: &Archive, name: &str, expected: &str) -> Result<Bytes, BackupError> {
    match archive.get(name).await? {
        Some(bytes) if sha256(&bytes) == expected => Ok(bytes),
        Some(_) => Err(BackupError::Damaged(name.to_owned())),
        None => Err(BackupError::Missing(name.to_owned())),
    }
}

fn text(manifest: &Manifest) -> Vec<u8> {
    // Nothing in it can fail to be written as JSON.
    serde_json::to_vec_pretty(manifest).unwrap_or_default()
}

fn line(kept: &Kept) -> Vec<u8> {
    let mut line = serde_json::to_vec(kept).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As versions have written them that knew nothing of what is lost.
    #[tokio::test]
    async fn manifests_of_before_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::open(directory.path().to_str().unwrap(), []).unwrap();
        let mut before = Manifest { format: FORMAT, store: "aa".into(), ..Manifest::default() };
        let backup = Backup {
            time_ms: 1,
            segment: 1,
            offset: 4096,
            sequence: 1,
            log_bytes: 1,
            blobs: 0,
            blob_bytes: 0,
            lost: Vec::new(),
            without_blobs: false,
        };
        before.chains.push(Chain { backups: vec![backup], ..Chain::default() });
        before.sha256 = before.digest();
        let written = text(&before);
        let shown = String::from_utf8(written.clone()).unwrap();
        assert!(!shown.contains("lost") && !shown.contains("without_blobs"), "{shown}");
        archive.put(NAME, Bytes::from(written)).await.unwrap();
        assert_eq!(Manifest::read(&archive).await.unwrap().0, Some(before.clone()));
        let last = before.chains[0].backups.last_mut().unwrap();
        (last.lost, last.without_blobs) = (vec!["ab".into()], true);
        before.sha256 = before.digest();
        before.clone().write(&archive, &Seen::default()).await.unwrap();
        assert_eq!(Manifest::read(&archive).await.unwrap().0, Some(before));
    }
}
