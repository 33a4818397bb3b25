//! `tidelock role delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete a role; its sessions end at once
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete role {}", self.name)) {
            return Ok(());
        }
        Ok(session.client.delete_role(&self.name).await?)
    }
}
