//! `tidelock admin backup`, `backups` and `restore`: copies of a store on this machine, taken while a server has
//! it, and stores made of them.
//!
//! ```text
//! manifest.rs  what an archive of backups holds
//! take.rs      a backup: what of the log and of the blobs is new, copied to an archive
//! needed.rs    which blobs the rows of a log cannot be without
//! restore.rs   a data directory, as the store was at a time
//! check.rs     whether an archive is what was written
//! failure.rs   why not
//! ```
//!
//! A backup is a run of the log up to a place between two groups, and the blobs that its rows name: what a
//! server would find after a power cut there. No server is asked, and none waits. The keyring
//! is never in a backup.

mod check;
mod failure;
mod manifest;
pub(super) mod needed;
mod restore;
mod take;

use std::path::PathBuf;

use serde::Serialize;
use tidelock_blob::object_store::archive::Archive;
use tidelock_s3::iso8601;

pub use check::{CheckReport, check};
pub use failure::BackupError;
pub use restore::{RestoreReport, RestoreRequest, restore};
pub use take::{BackupReport, backup};

use crate::config::{BlobLocation, ObjectStoreVariables};
use manifest::Manifest;

/// In the data directory: which history of the store it is. Written by a restore, for what comes after one does not
/// go on from the backups before.
const HISTORY_FILE: &str = "history";

/// What to back up, and where to.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// The data directory, of a running or a stopped server.
    pub data: PathBuf,
    /// Where bodies are, as `serve --blobs` has it.
    pub blobs: BlobLocation,
    /// A directory or the URL of a place for backups.
    pub target: String,
    /// What the environment says about object stores.
    pub variables: ObjectStoreVariables,
}

/// A backup in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptBackup {
    /// When it was taken.
    pub time: String,
    /// From this time on every moment up to this backup can be restored.
    pub complete_from: String,
    /// What it has added to the log in the archive.
    pub log_bytes: u64,
    /// Blobs that it has added.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// The backups at `source`, oldest first.
///
/// # Errors
///
/// [`BackupError`]
pub async fn backups(
    source: &str,
    variables: &ObjectStoreVariables,
) -> Result<Vec<KeptBackup>, BackupError> {
    let archive = Archive::open(source, variables.expose())?;
    let manifest = open(&archive).await?;
    let kept = manifest.chains.iter().flat_map(|chain| {
        chain.backups.iter().map(|backup| KeptBackup {
            time: shown(backup.time_ms),
            complete_from: shown(chain.complete_from_ms),
            log_bytes: backup.log_bytes,
            blobs: backup.blobs,
            blob_bytes: backup.blob_bytes,
        })
    });
    Ok(kept.collect())
}

async fn open(archive: &Archive) -> Result<Manifest, BackupError> {
    let (manifest, _) = Manifest::read(archive).await?;
    manifest.ok_or_else(|| BackupError::NoBackup(archive.to_string()))
}

/// `2026-11-21T20:35:06.667Z`
fn shown(unix_ms: u64) -> String {
    iso8601(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}
