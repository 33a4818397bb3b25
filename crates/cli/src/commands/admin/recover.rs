//! `tidelock admin recover`

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use tidelock_server::admin::recover::{RecoverReport, recover};

use super::verify;
use crate::exit::Failure;
use crate::output::{self, Format};

/// Save what is whole of a damaged store into a new data directory
///
/// Reads the commit log around what is damaged, and copies bodies, keyring and credentials. No index and no server is
/// needed, and the damaged directory stays as it is. What was changed in a damaged part is lost: rows are mostly as they were
/// before, one that stood only there is gone, and one that was deleted there is back. So look at the states with `tidelock state versions` before anybody applies. Then serve the new directory.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory of the stopped server
    #[arg(long, value_name = "DIR", env = "TIDELOCK_DATA")]
    data: PathBuf,
    /// The new data directory, empty or missing
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let into = self.into.clone();
        let report = recover(self.data, self.into).await?;
        output::text_or(format, &text(&report), &report)?;
        eprintln!("tidelock: serve it with --data {}", into.display());
        Ok(())
    }
}

fn text(report: &RecoverReport) -> String {
    let RecoverReport { rows, row_bytes, files, file_bytes, .. } = *report;
    let saved = format!(
        "rows:   {}, {}\nfiles:  {}, {}\n",
        HumanCount(rows),
        HumanBytes(row_bytes),
        HumanCount(files),
        HumanBytes(file_bytes)
    );
    saved + &verify::damage(&report.damage)
}
