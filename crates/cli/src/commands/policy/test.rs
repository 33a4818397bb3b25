//! `tidelock policy test`

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use tidelock_client::policy::{
    Access, ConditionKeys, Decision, Policies, Policy, PolicyKind, Request, Requester, Source,
    decide,
};

use crate::exit::Failure;
use crate::output::{self, Format, Row, text};

const ACCOUNT: &str = "000000000000";
const BUCKET_ARN: &str = "arn:aws:s3:::";

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
    #[arg(long = "key", value_name = "KEY=VALUE")]
    keys: Vec<KeyValue>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t, env = "TIDELOCK_OUTPUT")]
    output: Format,
}

/// An ARN of S3's.
#[derive(Clone, Debug)]
struct Resource {
    arn: String,
    bucket: String,
}

#[derive(Clone, Debug)]
struct KeyValue {
    key: String,
    value: String,
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

impl FromStr for Resource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix(BUCKET_ARN).unwrap_or(text);
        let bucket = path.split_once('/').map_or(path, |(bucket, _)| bucket);
        if bucket.is_empty() || bucket.contains(':') {
            return Err(format!("takes BUCKET, BUCKET/KEY or {BUCKET_ARN}..."));
        }
        Ok(Self { arn: format!("{BUCKET_ARN}{path}"), bucket: bucket.to_owned() })
    }
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => Err("takes KEY=VALUE".to_owned()),
        }
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let of_bucket = PolicyKind::Bucket { bucket: &self.resource.bucket };
        let bucket = self.bucket_policy.as_deref().map(|file| read(file, of_bucket)).transpose()?;
        let identity = read_all(&self.identity)?;
        let session = read_all(&self.session_policy)?;
        let (identity, session) = (references(&identity), references(&session));
        let arn = self.principal.as_deref().map(arn_of);
        let role = arn.as_deref().and_then(role_of);
        let requester = arn.as_deref().map_or(Requester::Anonymous, |arn| Requester::Known {
            account: arn.split(':').nth(4).unwrap_or_default(),
            arn,
            role: role.as_deref(),
            canonical_id: "",
        });
        let keys = self.condition_keys(role.as_deref().or(arn.as_deref()));
        let policies = Policies {
            is_owner: self.owner,
            identity: &identity,
            bucket: bucket.as_ref(),
            session: (!session.is_empty()).then_some(session.as_slice()),
        };
        let (action, resource) = (self.action.as_str(), self.resource.arn.as_str());
        let decision = decide(&policies, &Request { requester, action, resource, keys: &keys });
        output::one(self.output, &self.explained(&decision))?;
        if decision.is_allowed() { Ok(()) } else { Err(Failure::denied()) }
    }

    fn condition_keys(&self, arn: Option<&str>) -> ConditionKeys {
        let given = self.keys.iter().map(|KeyValue { key, value }| (key.as_str(), value.as_str()));
        let mut keys: ConditionKeys = given.collect();
        let user = arn.and_then(|arn| arn.split_once(":user/")).map(|(_, name)| name);
        for (key, value) in [("aws:PrincipalArn", arn), ("aws:username", user)] {
            if let Some(value) = value
                && keys.values(key).is_empty()
            {
                keys.add(key, value);
            }
        }
        keys
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

fn references(policies: &[Policy]) -> Vec<&Policy> {
    policies.iter().collect()
}

/// The role that a session has taken on.
fn role_of(arn: &str) -> Option<String> {
    let (before, session) = arn.split_once(":assumed-role/")?;
    let account = before.strip_prefix("arn:aws:sts::")?;
    let (role, _) = session.split_once('/')?;
    Some(format!("arn:aws:iam::{account}:role/{role}"))
}

fn arn_of(principal: &str) -> String {
    match principal {
        "root" => format!("arn:aws:iam::{ACCOUNT}:root"),
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
    }
}
