//! Whether an archive of backups is what was written: every file by its SHA-256.

use ring::digest::{Context, SHA256};
use serde::Serialize;
use tidelock_blob::object_store::archive::Archive;
use tidelock_blob::{BlobError, BlobReader, BlobStore};

use super::manifest::Kept;
use super::{BackupError, open};
use crate::admin::verify::Damaged;
use crate::config::ObjectStoreVariables;

/// Bytes of a blob that are read at once.
const PIECE_BYTES: usize = 1 << 20;

/// What was read of an archive, and what of it is not what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Backups.
    pub backups: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// What is damaged or missing.
    pub damage: Vec<Damaged>,
}

/// Reads every file of the archive at `source`.
///
/// # Errors
///
/// [`BackupError`] when it cannot be read, or the manifest is damaged. Other damage is in the report.
pub async fn check(
    source: &str,
    variables: &ObjectStoreVariables,
) -> Result<CheckReport, BackupError> {
    let archive = Archive::open(source, variables.expose())?;
    let manifest = open(&archive).await?;
    let mut report = CheckReport::default();
    for chain in &manifest.chains {
        report.backups += chain.backups.len() as u64;
        for segment in &chain.segments {
            report.segments += 1;
            match segment.read(&archive).await {
                Ok(bytes) => report.log_bytes += bytes.len() as u64,
                Err(error) => report.note(error)?,
            }
        }
    }
    let blobs = archive.blobs_to_read();
    for (id, kept) in manifest.blobs(&archive).await? {
        match is_sound(&*blobs, id, &kept).await {
            Ok(true) => {
                report.blobs += 1;
                report.blob_bytes += kept.bytes;
            }
            Ok(false) => report.note(BackupError::Damaged(format!("blob {id}")))?,
            Err(BlobError::NotFound) => report.note(BackupError::Missing(format!("blob {id}")))?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(report)
}

impl CheckReport {
    /// Writes down damage; passes on what is none.
    fn note(&mut self, error: BackupError) -> Result<(), BackupError> {
        let (place, what) = match error {
            BackupError::Damaged(place) => (place, "not what was written"),
            BackupError::Missing(place) => (place, "missing"),
            other => return Err(other),
        };
        self.damage.push(Damaged { place, what: what.to_owned() });
        Ok(())
    }
}

async fn is_sound(
    blobs: &dyn BlobStore,
    id: tidelock_blob::BlobId,
    kept: &Kept,
) -> Result<bool, BlobError> {
    let (length, sha256) = digest_of(&*blobs.open(id).await?).await?;
    Ok(length == kept.bytes && sha256 == kept.sha256)
}

/// Length and SHA-256 of a blob.
pub(super) async fn digest_of(reader: &dyn BlobReader) -> Result<(u64, String), BlobError> {
    let (mut context, mut length) = (Context::new(&SHA256), 0);
    while length < reader.len() {
        let piece = reader.read_at(length, PIECE_BYTES).await?;
        context.update(&piece);
        length += piece.len() as u64;
    }
    Ok((length, hex::encode(context.finish())))
}
