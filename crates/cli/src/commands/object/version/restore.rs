//! `tidelock object version restore`

use tidelock_client::Restored;

use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Put a deleted object, or an old version of one, in front again
///
/// Without --version-id the delete markers above the newest version are taken away. With it the version is
/// copied onto its key: it becomes the newest, and none is lost.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    object: ObjectAddress,
    /// This version
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.object;
        let version = self.version_id.as_deref();
        let id = version.map(|id| format!(" as version {id} has it")).unwrap_or_default();
        if !self.change.is_real(&format!("restore {bucket}/{key}{id}")) {
            return Ok(());
        }
        match session.client.restore_object(bucket, key, version).await? {
            Restored::Copied | Restored::Undeleted(_) => Ok(()),
            Restored::Current => {
                eprintln!("tidelock: {bucket}/{key} is not deleted; --version-id takes an old one");
                Ok(())
            }
            Restored::Nothing => {
                Err(Failure::not_found(&format!("{bucket}/{key} has no version to restore")))
            }
        }
    }
}
