//! `tidelock group policy delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Take a policy from a group
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The group
    group: String,
    /// Name of the policy
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("take the policy {} from group {}", self.name, self.group))
        {
            return Ok(());
        }
        Ok(session.client.delete_group_policy(&self.group, &self.name).await?)
    }
}
