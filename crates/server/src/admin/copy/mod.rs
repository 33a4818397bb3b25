//! `tidelock admin copy`: a stopped store, moved whole into another engine.
//!
//! ```text
//! end.rs       the two stores: opened, found stopped, found empty
//! rows.rs      all rows but leases, page by page; then read again and compared
//! bodies.rs    bodies too large for a commit, one by one; each read again and compared; and whether all are there
//!              that rows name
//! failure.rs   why a store was not copied
//! ```
//!
//! The destination is marked before its first row and unmarked after its last check: nobody serves
//! a half. A copy that was interrupted is started over by running it again. The source is read only.

mod bodies;
mod end;
mod failure;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tidelock_meta::Clock;
use tidelock_store::Entropy;

pub use failure::CopyError;

use super::backup::needed::Needed;
use crate::config::{BlobLocation, ObjectStoreVariables, StoreLocation};
use end::{Destination, Source};

/// One of the two stores of a copy.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its rows; in a data directory, also its bodies.
    pub store: StoreLocation,
    /// Its bodies, where they are elsewhere than with the rows.
    pub blobs: Option<BlobLocation>,
}

/// What to copy where.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The stopped store.
    pub from: Place,
    /// The empty one.
    pub to: Place,
    /// Keyring of the source, for one that no server of this version has opened yet [default: that
    /// of the data directory].
    pub keyring: Option<PathBuf>,
    /// Whether to copy into a PostgreSQL whose replication can lose acknowledged writes.
    pub accept_unsafe_replication: bool,
    /// What the environment says about object stores.
    pub variables: ObjectStoreVariables,
    /// Whether anything is written.
    pub mode: CopyMode,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// Only look, and count what would be copied.
    DryRun,
    /// Copy.
    Real,
}

/// What was copied and found equal on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Rows: all but leases and the rows that bodies are made of.
    pub rows: u64,
    /// Their keys and values.
    pub row_bytes: u64,
    /// SHA-256 over length and bytes of each key and value, in key order; lengths are 8 bytes,
    /// big-endian. Lowercase hex.
    pub rows_sha256: String,
    /// Bodies too large for a commit; none are counted where both stores use the same.
    pub blobs: u64,
    /// Their bytes, as sealed.
    pub blob_bytes: u64,
    /// SHA-256 over id (16 bytes), length (8) and SHA-256 of each body, in the order of ids.
    pub blobs_sha256: String,
    /// Name of the key that seals the store: servers of the copy need the same keyring.
    pub key: String,
}

/// Hears how far a copy is.
pub trait CopyObserver: Send + Sync {
    /// So many rows and bodies are done, and so many bytes of both.
    fn advanced(&self, step: CopyStep, count: u64, bytes: u64);
}

/// What a copy does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Removes what an interrupted copy has left.
    Clearing,
    /// Copies rows.
    Rows,
    /// Reads them again.
    CheckingRows,
    /// Copies bodies and reads each again.
    Blobs,
}

/// Copies, and answers once everything was read again from the destination and found equal.
///
/// # Errors
/// [`CopyError`]; the destination stays marked then, and is served by nobody.
pub async fn copy(
    request: CopyRequest,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: &dyn CopyObserver,
) -> Result<CopyReport, CopyError> {
    let (from, to) = (&request.from, &request.to);
    if from.store == to.store {
        return Err(CopyError::Same);
    }
    let source = Source::open(&request, clock.clone(), entropy.clone()).await?;
    let result = match request.mode {
        CopyMode::DryRun => look(&request, &source, clock, entropy, observer).await,
        CopyMode::Real => fill(&request, &source, clock, entropy, observer).await,
    };
    source.close().await;
    result
}

async fn look(
    request: &CopyRequest,
    source: &Source,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: &dyn CopyObserver,
) -> Result<CopyReport, CopyError> {
    if let Some(destination) = Destination::look(request, clock, entropy).await? {
        let found = destination.require_room_for(source).await;
        destination.close().await;
        found?;
    }
    let rows = rows::digest(source.meta(), CopyStep::Rows, observer).await?;
    let blobs = match source.bodies_move(request) {
        true => bodies::count(source.blobs()).await?,
        false => 0,
    };
    Ok(CopyReport { blobs, key: source.key_name().to_owned(), ..rows.report() })
}

async fn fill(
    request: &CopyRequest,
    source: &Source,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: &dyn CopyObserver,
) -> Result<CopyReport, CopyError> {
    let destination = Destination::open(request, clock, entropy).await?;
    let filled = fill_opened(request, source, &destination, observer).await;
    destination.close().await;
    filled
}

async fn fill_opened(
    request: &CopyRequest,
    source: &Source,
    destination: &Destination,
    observer: &dyn CopyObserver,
) -> Result<CopyReport, CopyError> {
    destination.require_room_for(source).await?;
    let mark = destination.mark(source).await?;
    rows::clear(destination.meta(), mark, observer).await?;
    let (from, to, mut needed) = (source.meta(), destination.meta(), Needed::of_all());
    let copied = rows::copy(from, to, mark, &mut needed, observer).await?;
    let found = rows::digest(destination.meta(), CopyStep::CheckingRows, observer).await?;
    if copied != found {
        return Err(CopyError::RowsDiffer { copied: copied.count, found: found.count });
    }
    let blobs = match source.bodies_move(request) {
        true => bodies::copy(source.blobs(), destination.blobs(), observer).await?,
        false => bodies::BodyDigest::default(),
    };
    // The source may not have them, or have them elsewhere than where they were looked for.
    let missing = bodies::missing(destination.blobs(), needed.named()).await?;
    let lost = needed.lost(&missing);
    if !lost.is_empty() {
        return Err(CopyError::BodiesMissing(lost.iter().map(ToString::to_string).collect()));
    }
    // Somebody may have started a server in the meantime, and written behind the copy's back.
    source.require_stopped().await?;
    destination.unmark(mark).await?;
    Ok(CopyReport {
        blobs: blobs.count,
        blob_bytes: blobs.bytes,
        blobs_sha256: blobs.sha256(),
        key: source.key_name().to_owned(),
        ..copied.report()
    })
}

#[cfg(test)]
mod tests;
