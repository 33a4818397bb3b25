//! `tidelock user delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete a user that has neither buckets nor keys any more; their groups lose them
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete user {}", self.name)) {
            return Ok(());
        }
        Ok(session.client.delete_user(&self.name).await?)
    }
}
