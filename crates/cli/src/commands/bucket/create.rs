//! `tidelock bucket create`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Make a bucket
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    bucket: String,
    /// Keep old versions of its objects
    #[arg(long)]
    versioning: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make bucket {}", self.bucket)) {
            return Ok(());
        }
        session.client.create_bucket(&self.bucket).await?;
        if self.versioning {
            session.client.enable_versioning(&self.bucket).await?;
        }
        Ok(())
    }
}
