//! `tidelock webhook delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete a webhook and its dead letters
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its id
    id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete webhook {}", self.id)) {
            return Ok(());
        }
        Ok(session.client.delete_webhook(&self.id).await?)
    }
}
