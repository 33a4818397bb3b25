//! `tidelock admin backups`

use tidelock_server::admin::backup::{KeptBackup, backups};

use crate::exit::Failure;
use crate::output::{Format, List, Row};

/// List the backups in a place, and the times that can be restored
///
/// Every moment from COMPLETE_FROM to TIME can be restored, not those of backups alone.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where backups are kept: a directory, s3://BUCKET/PREFIX, gs://... or az://...
    #[arg(value_name = "SOURCE")]
    source: String,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let variables = tidelock_server::object_store_variables();
        let mut list = List::new(format);
        list.extend(backups(&self.source, &variables).await?)?;
        list.finish()
    }
}

impl Row for KeptBackup {
    const COLUMNS: &'static [&'static str] =
        &["time", "complete_from", "log_bytes", "blobs", "blob_bytes"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.time.clone(),
            self.complete_from.clone(),
            self.log_bytes.to_string(),
            self.blobs.to_string(),
            self.blob_bytes.to_string(),
        ]
    }
}
