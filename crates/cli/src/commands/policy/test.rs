//! `tidelock policy test`

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tidelock_client::policy::{
    self, Access, Decision, Policy, PolicyKind, Resource, Source, Trial,
};

use crate::exit::Failure;
use crate::output::{self, Format, Row, text};

/// What `--help` says at its end.
const HELP: &str = "\
Exit status:
  0  the request is allowed
  2  a policy or the command line is wrong
  4  the request is denied";

/// Say whether policies allow a request, and which statement decides
///
/// Evaluates the documents in these files as AWS does, on this machine: nobody is asked. The requester
/// and the bucket are of one account. Condition keys have the values that --key gives them, and
/// aws:PrincipalArn and aws:username that of --principal.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// What is asked for, such as s3:GetObject
    #[arg(long)]
    action: String,
    /// What it is asked for: a bucket, a bucket and a key, or an ARN
    #[arg(long, value_name = "BUCKET[/KEY]|ARN")]
    resource: Resource,
    /// Who asks: a user's name, or the ARN of a user or a session; nobody in particular without it
    #[arg(long, value_name = "USER|ARN")]
    principal: Option<String>,
    /// The requester owns the bucket: allowed what nothing denies
    #[arg(long, requires = "principal")]
    owner: bool,
    /// A policy of the requester's user, group or role; several may be given
    #[arg(long = "policy", value_name = "FILE", requires = "principal")]
    identity: Vec<PathBuf>,
    /// The policy of the bucket
    #[arg(long, value_name = "FILE")]
    bucket_policy: Option<PathBuf>,
    /// A policy that the requester's session was given; several may be given
    #[arg(long, value_name = "FILE", requires = "principal")]
    session_policy: Vec<PathBuf>,
    /// A condition key of the request with its value; again for a key with several
    #[arg(long = "key", value_name = "KEY=VALUE", value_parser = key_value)]
    keys: Vec<(String, String)>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t, env = "TIDELOCK_OUTPUT")]
    output: Format,
}

/// The decision as it is shown.
#[derive(Serialize)]
struct Explained {
    /// `allowed`, `denied`, or `not allowed`
    decision: &'static str,
    /// Where the statement stands that decides.
    source: Option<&'static str>,
    /// The file it stands in.
    file: Option<String>,
    /// Which of its statements, from 1.
    statement: Option<usize>,
    sid: Option<String>,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let of_bucket = PolicyKind::Bucket { bucket: self.resource.bucket() };
        let bucket = self.bucket_policy.as_deref().map(|file| read(file, of_bucket)).transpose()?;
        let trial = Trial {
            action: self.action.clone(),
            resource: self.resource.clone(),
            principal: self.principal.clone(),
            is_owner: self.owner,
            identity: read_all(&self.identity)?,
            bucket,
            session: read_all(&self.session_policy)?,
            keys: self.keys.clone(),
        };
        let decision = trial.decide();
        output::one(self.output, &self.explained(&decision))?;
        if decision.is_allowed() { Ok(()) } else { Err(Failure::denied()) }
    }

    fn explained(&self, decision: &Decision) -> Explained {
        let by = decision.by.as_ref();
        let file = by.and_then(|by| match by.source {
            Source::Identity => self.identity.get(by.policy),
            Source::Bucket => self.bucket_policy.as_ref(),
            Source::Session => self.session_policy.get(by.policy),
        });
        Explained {
            decision: match decision.access {
                Access::Allowed => "allowed",
                Access::ImplicitlyDenied => "not allowed",
                Access::ExplicitlyDenied => "denied",
            },
            source: by.map(|by| match by.source {
                Source::Identity => "policy",
                Source::Bucket => "bucket policy",
                Source::Session => "session policy",
            }),
            file: file.map(|file| file.display().to_string()),
            statement: by.map(|by| by.statement + 1),
            sid: by.and_then(|by| by.sid.clone()),
        }
    }
}

impl Row for Explained {
    const COLUMNS: &'static [&'static str] = &["decision", "source", "file", "statement", "sid"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.decision.to_owned(),
            text(self.source),
            text(self.file.as_ref()),
            text(self.statement),
            text(self.sid.as_ref()),
        ]
    }
}

fn read(file: &Path, kind: PolicyKind<'_>) -> Result<Policy, Failure> {
    let of_file = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| Failure::usage(of_file(&error)))?;
    Policy::parse(text.trim(), kind).map_err(|error| Failure::usage(of_file(&error)))
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Policy>, Failure> {
    files.iter().map(|file| read(file, PolicyKind::Identity)).collect()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    policy::key_value(text).ok_or_else(|| "takes KEY=VALUE".to_owned())
}
