//! `tidelock admin copy`

use std::path::{Path, PathBuf};

use indicatif::{HumanBytes, HumanCount, ProgressBar};
use tidelock_server::Surroundings;
use tidelock_server::admin::copy::{
    CopyMode, CopyObserver, CopyReport, CopyRequest, CopyStep, Place, copy,
};
use tidelock_server::config::{BlobLocation, StoreLocation};

use crate::exit::{self, Failure};
use crate::output::{self, Format, Row};
use crate::progress;

/// Move a stopped store into another engine
///
/// A STORE is the data directory of a server, or the URL of a PostgreSQL. No server may run on
/// either; the destination must be empty. Everything is read again from the destination and compared
/// before it may be served. A copy that was interrupted starts over when it is run again. The source
/// stays as it is. A server on the copy needs the same keyring.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The stopped store: a data directory, or postgres://...
    #[arg(long, value_name = "STORE", required_unless_present = "from_file")]
    from: Option<String>,
    /// File that holds the value of --from: a URL with a password shows in process lists otherwise
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    from_file: Option<PathBuf>,
    /// Where its bodies are, as `serve --blobs` has it [default: with the rows]
    #[arg(long, value_name = "ENGINE")]
    from_blobs: Option<String>,
    /// The empty store: a data directory, or postgres://...
    #[arg(long, value_name = "STORE", required_unless_present = "to_file")]
    to: Option<String>,
    /// File that holds the value of --to
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    /// Where its bodies go, as `serve --blobs` has it [default: with the rows]
    #[arg(long, value_name = "ENGINE")]
    to_blobs: Option<String>,
    /// Keyring of a source that no server of this version has opened yet [default: that of the data
    /// directory]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Copy into a PostgreSQL whose replication may lose acknowledged writes in a fail-over
    #[arg(long)]
    accept_unsafe_replication: bool,
    /// Only look, and count what would be copied
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let mode = if self.dry_run { CopyMode::DryRun } else { CopyMode::Real };
        let request = CopyRequest {
            from: place(self.from, self.from_file.as_deref(), self.from_blobs.as_deref())?,
            to: place(self.to, self.to_file.as_deref(), self.to_blobs.as_deref())?,
            keyring: self.keyring,
            accept_unsafe_replication: self.accept_unsafe_replication,
            variables: tidelock_server::object_store_variables(),
            mode,
        };
        let destination = request.to.store.to_string();
        let Surroundings { clock, entropy, .. } = Surroundings::of_machine();
        let shown = Shown::new();
        let copied = tokio::select! {
            copied = copy(request, clock, entropy, &shown) => copied,
            () = exit::interrupted() => return Err(Failure::interrupted()),
        };
        shown.finish();
        let report = copied?;
        exit::shown(output::one(format, &report))?;
        match mode {
            CopyMode::DryRun => eprintln!("tidelock: would copy this to {destination}"),
            CopyMode::Real => eprintln!(
                "tidelock: {destination} is whole. Its servers need the same keyring (key '{}'): \
                 copy the file to each of them. The source is as it was: never serve both.",
                report.key
            ),
        }
        Ok(())
    }
}

fn place(
    store: Option<String>,
    file: Option<&Path>,
    blobs: Option<&str>,
) -> Result<Place, Failure> {
    let text = match (store, file) {
        (Some(text), _) => text,
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
            .trim_end()
            .to_owned(),
        (None, None) => return Err(Failure::usage("a store is missing")),
    };
    let store = StoreLocation::parse(&text)?;
    Ok(Place { store, blobs: blobs.map(BlobLocation::parse).transpose()? })
}

/// How far the copy is, on stderr if that is a terminal.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new() -> Self {
        Self { bar: progress::steps() }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl CopyObserver for Shown {
    fn advanced(&self, step: CopyStep, count: u64, bytes: u64) {
        let (what, unit) = match step {
            CopyStep::Clearing => ("removing an unfinished copy", "rows"),
            CopyStep::Rows => ("copying rows", "rows"),
            CopyStep::CheckingRows => ("reading the rows again", "rows"),
            CopyStep::Blobs => ("copying bodies", "bodies"),
        };
        self.bar.set_message(format!(
            "{what}: {} {unit}, {}",
            HumanCount(count),
            HumanBytes(bytes)
        ));
        self.bar.tick();
    }
}

impl Row for CopyReport {
    const COLUMNS: &'static [&'static str] =
        &["rows", "row_bytes", "rows_sha256", "blobs", "blob_bytes", "blobs_sha256", "key"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.rows.to_string(),
            self.row_bytes.to_string(),
            self.rows_sha256.clone(),
            self.blobs.to_string(),
            self.blob_bytes.to_string(),
            self.blobs_sha256.clone(),
            self.key.clone(),
        ]
    }
}
