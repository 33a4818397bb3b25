//! `tidelock object copy`

use tidelock_client::CopySource;

use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Copy an object within the endpoint, with its metadata and tags: up to 5 GiB
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    source: ObjectAddress,
    /// The copy
    #[arg(value_name = "BUCKET/KEY")]
    target: ObjectAddress,
    /// This version instead of the latest
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (source, target) = (&self.source, &self.target);
        let deed =
            format!("copy {}/{} to {}/{}", source.bucket, source.key, target.bucket, target.key);
        if !self.change.is_real(&deed) {
            return Ok(());
        }
        let version = self.version_id.as_deref();
        let source = CopySource { bucket: &source.bucket, key: &source.key, version };
        Ok(session.client.copy_object(&source, &target.bucket, &target.key).await?)
    }
}
