//! `tidelock role create`

use std::path::PathBuf;

use tidelock_client::preset;
use tidelock_client::role::NewRole;

use crate::commands;
use crate::commands::policy_args::PresetArgs;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Make a role: what it may do as a preset or as a policy, and who may assume it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    preset: PresetArgs,
    /// File with a policy in AWS's language, instead of a preset or besides
    #[arg(long, value_name = "FILE", required_unless_present = "preset")]
    policy: Option<PathBuf>,
    /// Who may assume it: github:OWNER/REPOSITORY, gitlab:GROUP/PROJECT, both with what the
    /// token's subject must end with after another colon, issuer=URL,sub=PATTERN[,CLAIM=PATTERN...],
    /// or user:NAME
    #[arg(long, value_name = "WHO", required_unless_present = "trust_policy")]
    trust: Option<String>,
    /// File with a trust policy in AWS's language
    #[arg(long, value_name = "FILE", conflicts_with = "trust")]
    trust_policy: Option<PathBuf>,
    /// The longest session, seconds, 3600 to 43200 [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    session_max_s: Option<u32>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make role {}", self.name)) {
            return Ok(());
        }
        let policies = self.preset.policies(self.policy.as_ref())?;
        let trust_policy = match (&self.trust, &self.trust_policy) {
            (Some(who), _) => {
                preset::trust(who).map_err(|error| Failure::usage(error.to_string()))?
            }
            (None, Some(file)) => commands::read(file)?,
            (None, None) => return Err(Failure::usage("give --trust or --trust-policy")),
        };
        let session_max_seconds = self.session_max_s;
        let new = NewRole { name: self.name, trust_policy, policies, session_max_seconds };
        output::one(session.format, &session.client.create_role(&new).await?)
    }
}
