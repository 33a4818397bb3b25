//! `tidelock admin verify`

use std::fmt::Write as _;
use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use tidelock_server::Surroundings;
use tidelock_server::admin::backup::{CheckReport, check};
use tidelock_server::admin::verify::{Damaged, VerifyReport, VerifyRequest, verify};
use tidelock_server::config::{BlobLocation, DATA_DEFAULT};

use crate::exit::{Failure, shown};
use crate::output::{self, Format};

/// Read and check every byte of a stopped store
///
/// The commit log group by group, the index against the log, and the body of every version of every object, opened with
/// the keyring. Damage is named by file and byte, or by object and version; the exit code is 1 then. Bodies are read
/// only when the rest is sound. What only a client's key opens (SSE-C) is counted and not opened. With --backup, every
/// file of the backups in a place instead.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory of the stopped server
    #[arg(long, value_name = "DIR", env = "TIDELOCK_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// The backups in this place instead: a directory, s3://BUCKET/PREFIX, gs://... or az://...
    #[arg(long, value_name = "SOURCE")]
    backup: Option<String>,
    /// The keyring [default: that of the data directory]
    #[arg(long, value_name = "FILE", env = "TIDELOCK_KEYRING")]
    keyring: Option<PathBuf>,
    /// Where its bodies are, as `serve --blobs` has it
    #[arg(long, value_name = "ENGINE", env = "TIDELOCK_BLOBS", default_value = "local")]
    blobs: String,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        if let Some(source) = self.backup {
            return verify_backup(&source, format).await;
        }
        let request = VerifyRequest {
            data: self.data,
            keyring: self.keyring,
            blobs: BlobLocation::parse(&self.blobs)?,
            variables: tidelock_server::object_store_variables(),
        };
        let Surroundings { clock, entropy, .. } = Surroundings::of_machine();
        let report = verify(request, clock, entropy).await?;
        shown(output::text_or(format, &text(&report), &report))?;
        if report.is_sound() {
            return Ok(());
        }
        Err(Failure::other(&"the store is damaged: `tidelock admin recover` saves the rest"))
    }
}

async fn verify_backup(source: &str, format: Format) -> Result<(), Failure> {
    let report = check(source, &tidelock_server::object_store_variables()).await?;
    let CheckReport { backups, segments, log_bytes, blobs, blob_bytes, .. } = report;
    let text = format!(
        "backups: {backups}\nlog:     {segments} segments, {}\nbodies:  {}, {}\n{}",
        HumanBytes(log_bytes),
        HumanCount(blobs),
        HumanBytes(blob_bytes),
        damage(&report.damage)
    );
    shown(output::text_or(format, &text, &report))?;
    if report.damage.is_empty() {
        return Ok(());
    }
    Err(Failure::other(
        &"the backup is damaged: take a new one in another place, while the store is there",
    ))
}

fn text(report: &VerifyReport) -> String {
    let VerifyReport { segments, groups, records, record_bytes, rows, .. } = *report;
    let VerifyReport { bodies, body_bytes, not_opened, index_differences, .. } = *report;
    let mut text = format!(
        "log:    {segments} segments, {} groups, {} records, {}\n",
        HumanCount(groups),
        HumanCount(records),
        HumanBytes(record_bytes)
    );
    let index = match (report.index_is_lost, index_differences) {
        (true, _) => "missing or not readable: the next start makes it again".to_owned(),
        (false, 0) => "as the log".to_owned(),
        (false, rows) => format!("{} rows are not as the log has them", HumanCount(rows)),
    };
    // Writing to a string does not fail.
    let _infallible = writeln!(text, "index:  {index}, {} rows", HumanCount(rows));
    if report.is_sound() {
        let (bodies, bytes) = (HumanCount(bodies), HumanBytes(body_bytes));
        let _infallible =
            writeln!(text, "bodies: {bodies} versions, {bytes}, {not_opened} not opened (SSE-C)");
    }
    text.push_str(&damage(&report.damage));
    text
}

/// A line for each place.
pub(super) fn damage(damage: &[Damaged]) -> String {
    let line = |damaged: &Damaged| {
        let (place, what) = (output::printable(&damaged.place), output::printable(&damaged.what));
        format!("DAMAGED {place}: {what}\n")
    };
    damage.iter().map(line).collect()
}
