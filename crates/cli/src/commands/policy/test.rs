//! `tidelock policy test`

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tidelock_client::policy::{
    self, Access, Decision, Policy, PolicyKind, Resource, Source, Trial,
};

use crate::exit::{Failure, shown};
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
    /// A policy of the requester's user or role; several may be given
    #[arg(long = "policy", value_name = "FILE", requires = "principal")]
    identity: Vec<PathBuf>,
    /// A policy of a group that the requester is in; several may be given
    #[arg(long, value_name = "GROUP=FILE", value_parser = group_file, requires = "principal")]
    group_policy: Vec<(String, String)>,
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
    source: Option<String>,
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
            identity: read_all(&self.identity_files())?,
            bucket,
            session: read_all(&self.session_policy)?,
            keys: self.keys.clone(),
        };
        let decision = trial.decide();
        shown(output::one(self.output, &self.explained(&decision)))?;
        if decision.is_allowed() { Ok(()) } else { Err(Failure::denied()) }
    }

    /// Files with policies of the requester, and after them those of their groups.
    fn identity_files(&self) -> Vec<PathBuf> {
        let of_groups = self.group_policy.iter().map(|(_, file)| PathBuf::from(file));
        self.identity.iter().cloned().chain(of_groups).collect()
    }

    /// The policy that a decision rests on, in words, and the file that it is in.
    fn place(&self, source: Source, policy: usize) -> (String, Option<PathBuf>) {
        match source {
            Source::Identity => {
                let group = policy.checked_sub(self.identity.len());
                let group = group.and_then(|index| self.group_policy.get(index));
                let words = group.map(|(name, _)| format!("group {name} policy"));
                let words = words.unwrap_or_else(|| "policy".to_owned());
                (words, self.identity_files().get(policy).cloned())
            }
            Source::Bucket => ("bucket policy".to_owned(), self.bucket_policy.clone()),
            Source::Session => {
                ("session policy".to_owned(), self.session_policy.get(policy).cloned())
            }
        }
    }

    fn explained(&self, decision: &Decision) -> Explained {
        let by = decision.by.as_ref();
        let (source, file) = by.map(|by| self.place(by.source, by.policy)).unzip();
        Explained {
            decision: match decision.access {
                Access::Allowed => "allowed",
                Access::ImplicitlyDenied => "not allowed",
                Access::ExplicitlyDenied => "denied",
            },
            source,
            file: file.flatten().map(|file| file.display().to_string()),
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
            text(self.source.as_ref()),
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

fn group_file(text: &str) -> Result<(String, String), String> {
    policy::key_value(text).ok_or_else(|| "takes GROUP=FILE".to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    policy::key_value(text).ok_or_else(|| "takes KEY=VALUE".to_owned())
}
