//! `tidelock group delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete a group that nobody is in any more
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete group {}", self.name)) {
            return Ok(());
        }
        Ok(session.client.delete_group(&self.name).await?)
    }
}
