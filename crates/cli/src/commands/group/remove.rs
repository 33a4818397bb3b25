//! `tidelock group remove`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Take a user out of a group
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The group
    group: String,
    /// The user
    user: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("take user {} out of group {}", self.user, self.group)) {
            return Ok(());
        }
        Ok(session.client.remove_user_from_group(&self.group, &self.user).await?)
    }
}
