//! `tidelock group add`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Put a user into a group
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
        if !self.change.is_real(&format!("put user {} into group {}", self.user, self.group)) {
            return Ok(());
        }
        Ok(session.client.add_user_to_group(&self.group, &self.user).await?)
    }
}
