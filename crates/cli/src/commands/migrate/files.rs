//! `tidelock migrate files`

use std::path::PathBuf;

use tidelock_client::migrate::{FileSource, FolderKeys, Source};

use super::Target;
use crate::connect::Session;
use crate::exit::Failure;

/// Move the states in local files: `terraform.tfstate`, its workspaces, and all other `*.tfstate`
///
/// A file keeps its path below DIR as its key. `terraform.tfstate.d/WORKSPACE/terraform.tfstate` becomes
/// `env:/WORKSPACE/` and the key of the default workspace. Links are not followed, and directories that
/// begin with a dot are not entered.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    target: Target,
}

impl Args {
    pub(crate) async fn run(self, session: Session) -> Result<(), Failure> {
        let keys = FolderKeys::of(&self.target.destination.prefix);
        let source = Source::Files(FileSource::open(&self.directory, keys)?);
        self.target.migrate(&session, &source).await
    }
}
