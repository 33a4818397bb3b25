//! `tidelock admin restore`

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use tidelock_server::Surroundings;
use tidelock_server::admin::backup::{RestoreReport, RestoreRequest, restore};

use crate::exit::{self, Failure, shown};
use crate::output::{self, Format, printable};

/// Make a new data directory of a backup, as the store was at a time
///
/// All that is read is checked. `tidelock admin backups` lists the times that can be restored; between two backups
/// it is the last commit by then that counts. A large body that was removed before the next backup was taken is
/// lost; such objects are named, and the exit code is 1. Put the keyring into the new directory, look at it with
/// `tidelock admin verify`, and serve it. It has a history of its own from then on: its backups need a new place.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where backups are kept: a directory, s3://BUCKET/PREFIX, gs://... or az://...
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The new data directory, empty or missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The moment whose state is wanted, as 2026-11-21T20:35:06Z [default: that of the last backup]
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let request = RestoreRequest {
            source: self.source,
            variables: tidelock_server::object_store_variables(),
            data: self.data.clone(),
            at: self.at.map(jiff::Timestamp::as_millisecond),
        };
        let Surroundings { clock, entropy, .. } = Surroundings::of_machine();
        let report = tokio::select! {
            report = restore(request, clock, entropy) => report?,
            () = exit::interrupted() => return Err(Failure::interrupted()),
        };
        shown(output::text_or(format, &text(&report), &report))?;
        let data = self.data.display();
        eprintln!("tidelock: put the keyring at {data}/keyring, then serve it with --data {data}");
        if !report.has_blobs {
            eprintln!("tidelock: bodies are where they were: serve it with the same --blobs");
        }
        if report.lost.is_empty() {
            return Ok(());
        }
        Err(Failure::other(
            &"some objects have lost their bodies, which are in no backup or damaged there",
        ))
    }
}

fn text(report: &RestoreReport) -> String {
    let RestoreReport { segments, log_bytes, rows, blobs, blob_bytes, .. } = *report;
    let restored = format!(
        "time:   {}\nlog:    {segments} segments, {}\nrows:   {}\nbodies: {}, {}\n",
        report.last_commit,
        HumanBytes(log_bytes),
        HumanCount(rows),
        HumanCount(blobs),
        HumanBytes(blob_bytes)
    );
    let lost = |name: &String| format!("LOST {}\n", printable(name));
    restored + &report.lost.iter().map(lost).collect::<String>()
}
