//! `tidelock bucket create`

use tidelock_client::ErrorKind;

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
        // In us-east-1 S3 answers a second CreateBucket with success; asking first tells the user.
        match session.client.has_bucket(&self.bucket).await {
            Ok(true) => return Err(Failure::exists(&format!("bucket {}", self.bucket))),
            Ok(false) => {}
            // Somebody else's, or not for our eyes: creating it tells more.
            Err(error) if error.kind() == ErrorKind::Denied => {}
            Err(error) => return Err(error.into()),
        }
        session.client.create_bucket(&self.bucket).await?;
        if self.versioning {
            session.client.enable_versioning(&self.bucket).await?;
        }
        Ok(())
    }
}
