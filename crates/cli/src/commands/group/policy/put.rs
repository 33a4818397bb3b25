//! `tidelock group policy put`

use std::path::PathBuf;

use crate::commands::policy_args::PresetArgs;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Give a group a policy, or replace the one of that name: a file, or a preset
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The group
    group: String,
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
        if !self.change.is_real(&format!("give group {} the policy {}", self.group, self.name)) {
            return Ok(());
        }
        let document = self.preset.document(self.file.as_ref())?;
        Ok(session.client.put_group_policy(&self.group, &self.name, &document).await?)
    }
}
