//! `tidelock audit export`

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use super::PAGE_ENTRIES;
use super::filter::FilterArgs;
use crate::connect::Session;
use crate::exit::Failure;

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
        let mut after: Option<String> = None;
        let mut file = None;
        let mut written = 0;
        loop {
            let page = session.client.audit_page(&filter, after.as_deref(), PAGE_ENTRIES).await?;
            // Only once there is something to write: a refusal leaves no file behind.
            let file = match &mut file {
                Some(file) => file,
                None => file.insert(self.create()?),
            };
            for entry in &page.entries {
                let line = serde_json::to_string(entry).map_err(|error| Failure::other(&error))?;
                writeln!(file, "{line}")?;
                written += 1;
            }
            if page.complete {
                break;
            }
            after = Some(page.next);
        }
        if let Some(file) = file {
            file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        }
        eprintln!("tidelock: {written} entries in {}", self.to.display());
        Ok(())
    }

    fn create(&self) -> Result<BufWriter<std::fs::File>, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).open(&self.to);
        match opened {
            Ok(file) => Ok(BufWriter::new(file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::exists(&self.to.display().to_string()))
            }
            Err(error) => Err(Failure::other(&format!("{}: {error}", self.to.display()))),
        }
    }
}
