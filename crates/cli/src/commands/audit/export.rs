//! `tidelock audit export`

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use tidelock_client::audit::{AuditEntry, AuditPages};

use super::filter::FilterArgs;
use crate::connect::Session;
use crate::exit::{Failure, interrupted};

/// Write entries to a file, one JSON object a line, oldest first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// The file; it must not exist yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let filter = self.filter.filter()?;
        let mut pages = session.client.audit_pages(&filter, usize::MAX);
        // Only once there is something to write: a refusal leaves no file behind.
        let first = pages.next().await?.unwrap_or_default();
        let file = self.create()?;
        let written = tokio::select! {
            written = write(file, first, pages) => written,
            () = interrupted() => Err(Failure::interrupted()),
        };
        if written.is_err() {
            // Half of a log looks like one. The first failure is the one to tell.
            let _unreported = std::fs::remove_file(&self.to);
        }
        eprintln!("tidelock: {} entries in {}", written?, self.to.display());
        Ok(())
    }

    fn create(&self) -> Result<File, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).open(&self.to);
        opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::exists(&self.to.display().to_string()),
            _ => Failure::other(&format!("{}: {error}", self.to.display())),
        })
    }
}

/// Writes the first page and those that follow; how many entries they have.
async fn write(
    file: File,
    first: Vec<AuditEntry>,
    mut pages: AuditPages<'_>,
) -> Result<usize, Failure> {
    let mut file = BufWriter::new(file);
    let (mut written, mut next) = (0, Some(first));
    while let Some(entries) = next {
        for entry in &entries {
            let line = serde_json::to_string(entry).map_err(|error| Failure::other(&error))?;
            writeln!(file, "{line}")?;
        }
        written += entries.len();
        next = pages.next().await?;
    }
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    Ok(written)
}
