//! `tidelock bucket delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete an empty bucket
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    bucket: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete bucket {}", self.bucket)) {
            return Ok(());
        }
        Ok(session.client.delete_bucket(&self.bucket).await?)
    }
}
