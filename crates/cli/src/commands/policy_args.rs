//! What a user, a group or a role may do, on the command line: a file, or a preset.

use std::path::PathBuf;

use tidelock_client::preset::{self, Preset};
use tidelock_client::role::NamedPolicy;

use crate::commands;
use crate::exit::Failure;

/// A preset, with the states that it is for.
#[derive(clap::Args, Debug)]
pub(crate) struct PresetArgs {
    /// What it allows with the states of a bucket
    #[arg(long, value_enum, requires = "bucket")]
    preset: Option<PresetName>,
    /// The bucket of the preset
    #[arg(long, value_name = "BUCKET", requires = "preset")]
    bucket: Option<String>,
    /// Only states whose keys begin like this
    #[arg(long, value_name = "PREFIX", default_value = "", requires = "preset")]
    prefix: String,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum PresetName {
    /// Read states and their versions
    StateReader,
    /// Read states, take and give back locks, never write a state
    Planner,
    /// Read and write states, under locks
    Applier,
}

impl PresetName {
    fn preset(self) -> (&'static str, Preset) {
        match self {
            Self::StateReader => ("state-reader", Preset::StateReader),
            Self::Planner => ("planner", Preset::Planner),
            Self::Applier => ("applier", Preset::Applier),
        }
    }
}

impl PresetArgs {
    /// The policy of the preset, under its name; none where there is no preset.
    pub(crate) fn policy(&self) -> Option<NamedPolicy> {
        let (Some(name), Some(bucket)) = (self.preset, &self.bucket) else { return None };
        let (name, preset) = name.preset();
        let document = preset::policy(preset, bucket, &self.prefix);
        Some(NamedPolicy { name: name.to_owned(), document })
    }

    /// The policy in `file`, under the name `policy`, and that of the preset.
    pub(crate) fn policies(&self, file: Option<&PathBuf>) -> Result<Vec<NamedPolicy>, Failure> {
        let mut policies = Vec::new();
        if let Some(file) = file {
            policies
                .push(NamedPolicy { name: "policy".to_owned(), document: commands::read(file)? });
        }
        policies.extend(self.policy());
        Ok(policies)
    }

    /// The document in `file`, or that of the preset.
    pub(crate) fn document(&self, file: Option<&PathBuf>) -> Result<String, Failure> {
        match (file, self.policy()) {
            (Some(file), _) => commands::read(file),
            (None, Some(policy)) => Ok(policy.document),
            (None, None) => Err(Failure::usage("give a file or --preset")),
        }
    }
}
