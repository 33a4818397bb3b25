//! `tidelock man`

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Cli;
use crate::exit::Failure;

/// Write the man pages, one for each command, into a directory
///
/// `man ./DIR/tidelock-lock-run.1` shows one; /usr/local/share/man/man1 is where `man` finds them.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The directory; it is made if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let failed = |error| Failure::other(&format!("{}: {error}", self.directory.display()));
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(failed)
    }
}
