//! `tidelock group create`

use std::path::PathBuf;

use crate::commands::policy_args::PresetArgs;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Make a group: what its members may do as a preset or as a policy, or both, or neither yet
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    preset: PresetArgs,
    /// File with a policy in AWS's language, instead of a preset or besides
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make group {}", self.name)) {
            return Ok(());
        }
        let policies = self.preset.policies(self.policy.as_ref())?;
        output::one(session.format, &session.client.create_group(&self.name, &policies).await?)
    }
}
