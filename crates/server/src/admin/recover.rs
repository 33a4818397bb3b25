//! `tidelock admin recover`: what can be saved of a damaged data directory, written to a new one. The
//! damaged one is left as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tidelock_meta::{Clock, local};
use tidelock_store::{Entropy, SystemEntropy};

use super::verify::{Damaged, unreadable};
use crate::engine::DataDirectory;
use crate::error::ServeError;
use crate::private_file;

/// What is copied as it is, if it is there.
const FILES: &[&str] = &["keyring", "root-credentials"];
const DIRECTORIES: &[&str] = &["blobs", "bootstrap"];

/// What a file is called while it is written: what has its own name is whole.
const UNFINISHED_SUFFIX: &str = ".new";

/// What was saved, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Rows that were saved.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub row_bytes: u64,
    /// Other files that were copied: bodies, keyring, credentials.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Parts of the log that are damaged. What was changed there is lost: rows are as they were before.
    pub damage: Vec<Damaged>,
}

/// Saves what `data` has into `into`, which must be empty or missing.
///
/// # Errors
///
/// [`ServeError`] when there is no store, a server has it, or `into` is not empty or cannot be written; what was
/// written to it by then is of no use.
pub async fn recover(
    data: PathBuf,
    into: PathBuf,
    clock: Arc<dyn Clock>,
) -> Result<RecoverReport, ServeError> {
    let recovering = tokio::task::spawn_blocking(move || recover_all(&data, &into, clock));
    recovering.await.map_err(io::Error::other)?
}

fn recover_all(
    data: &Path,
    into: &Path,
    clock: Arc<dyn Clock>,
) -> Result<RecoverReport, ServeError> {
    let (source, target) = (DataDirectory::new(data), DataDirectory::new(into));
    if into.exists() && fs::read_dir(into)?.next().is_some() {
        return Err(ServeError::Data(format!("{} is not empty", into.display())));
    }
    target.begin()?;
    let mut log_tag = [0; 8];
    SystemEntropy::new().fill(&mut log_tag);
    let log_tag = u64::from_be_bytes(log_tag);
    let recovered = local::recover(&source.meta(), &target.meta(), log_tag, clock);
    let recovered = recovered.map_err(|error| {
        // Nothing was begun, as where a server has the store: the next try finds it empty.
        if !target.meta().exists()
            && let Err(error) = target.finish()
        {
            return error.into();
        }
        unreadable(data, error)
    })?;
    let mut report = RecoverReport {
        rows: recovered.rows,
        row_bytes: recovered.bytes,
        damage: recovered.damage.iter().map(Damaged::of_log).collect(),
        ..RecoverReport::default()
    };
    for name in FILES.iter().chain(DIRECTORIES) {
        copy(&data.join(name), &into.join(name), &mut report)?;
    }
    target.finish()?;
    Ok(report)
}

/// Copies a file or a directory with all in it, if it is there, and syncs what was copied.
fn copy(from: &Path, to: &Path, report: &mut RecoverReport) -> Result<(), ServeError> {
    let kind = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if kind.is_dir() {
        private_file::create_directory(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name), report)?;
        }
        fs::File::open(to)?.sync_all()?;
        return Ok(());
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(UNFINISHED_SUFFIX);
    // Modes go along.
    report.file_bytes += fs::copy(from, &unfinished)?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, to)?;
    report.files += 1;
    Ok(())
}
