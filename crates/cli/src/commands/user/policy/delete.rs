//! `tidelock user policy delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Take a policy from a user
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user
    user: String,
    /// Name of the policy
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("take the policy {} from user {}", self.name, self.user)) {
            return Ok(());
        }
        Ok(session.client.delete_user_policy(&self.user, &self.name).await?)
    }
}
