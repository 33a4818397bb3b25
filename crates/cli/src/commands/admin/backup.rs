//! `tidelock admin backup`

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use tidelock_server::Surroundings;
use tidelock_server::admin::backup::{BackupReport, BackupRequest, backup};
use tidelock_server::config::{BlobLocation, DATA_DEFAULT};

use crate::exit::{self, Failure, shown};
use crate::output::{self, Format, printable};

/// Back up the store of a running or stopped server on this machine
///
/// Copies what of the commit log and of large bodies is not in TARGET yet; the first time, all. The server need not
/// stop, is not asked and does not wait. All that was acknowledged before the backup began is in it. TARGET is a
/// directory, or s3://BUCKET/PREFIX with credentials and endpoint in the environment as `serve --blobs` takes them.
/// The keyring is never in a backup: without it, nobody reads one. Keep a copy of it elsewhere.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where backups are kept: a directory, s3://BUCKET/PREFIX, gs://... or az://...
    #[arg(value_name = "TARGET")]
    target: String,
    /// The data directory of the server
    #[arg(long, value_name = "DIR", env = "TIDELOCK_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// Where its bodies are, as `serve --blobs` has it
    #[arg(long, value_name = "ENGINE", env = "TIDELOCK_BLOBS", default_value = "local")]
    blobs: String,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let request = BackupRequest {
            data: self.data,
            blobs: BlobLocation::parse(&self.blobs)?,
            target: self.target,
            variables: tidelock_server::object_store_variables(),
        };
        let Surroundings { clock, .. } = Surroundings::of_machine();
        let report = tokio::select! {
            report = backup(request, clock) => report?,
            () = exit::interrupted() => return Err(Failure::interrupted()),
        };
        shown(output::text_or(format, &text(&report), &report))?;
        eprintln!("tidelock: the keyring is not in the backup: keep a copy of it elsewhere");
        if !report.has_blobs {
            eprintln!("tidelock: bodies are kept in {}, and are to be backed up there", self.blobs);
        }
        if report.lost.is_empty() {
            return Ok(());
        }
        Err(Failure::other(
            &"bodies are missing in the store: `tidelock admin verify` tells of which objects",
        ))
    }
}

fn text(report: &BackupReport) -> String {
    let BackupReport { log_bytes, blobs, blob_bytes, .. } = *report;
    let copied = format!(
        "time:   {}\nlog:    {} copied\nbodies: {}, {} copied\n",
        report.time,
        HumanBytes(log_bytes),
        HumanCount(blobs),
        HumanBytes(blob_bytes)
    );
    let lost = |id: &String| format!("MISSING blob {}\n", printable(id));
    copied + &report.lost.iter().map(lost).collect::<String>()
}
