//! `tidelock user policy put`

use std::path::PathBuf;

use crate::commands::policy_args::PresetArgs;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Give a user a policy, or replace the one of that name: a file, or a preset
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user
    user: String,
    /// Name of the policy
    name: String,
    /// File with the policy, in AWS's language
    #[arg(required_unless_present = "preset", conflicts_with = "preset")]
    file: Option<PathBuf>,
    #[command(flatten)]
    preset: PresetArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("give user {} the policy {}", self.user, self.name)) {
            return Ok(());
        }
        let document = self.preset.document(self.file.as_ref())?;
        Ok(session.client.put_user_policy(&self.user, &self.name, &document).await?)
    }
}
