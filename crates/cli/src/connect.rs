//! From the command line and the environment to a client, and to a yes or a no.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use tidelock_client::settings::Overrides;
use tidelock_client::{Client, Now, Settings};
use tidelock_server::backend_block::EndpointKind;

use crate::exit::Failure;
use crate::output::{Format, printable};

/// Flags of every command that talks to an endpoint.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    endpoint: Endpoint,
    /// How data is printed
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t, global = true)]
    output: Format,
}

/// Flags that say which endpoint, and as whom.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Endpoint {
    /// URL of the endpoint; wins over `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` and the profile
    #[arg(long, value_name = "URL", global = true)]
    endpoint: Option<String>,
    /// Region; wins over `AWS_REGION` and the profile
    #[arg(long, value_name = "REGION", global = true)]
    region: Option<String>,
    /// Profile of the AWS credentials and config files; wins over `AWS_PROFILE`
    #[arg(long, value_name = "NAME", global = true)]
    profile: Option<String>,
    /// PEM file with certificates to trust as well; wins over `AWS_CA_BUNDLE`
    #[arg(long, value_name = "FILE", global = true)]
    ca_bundle: Option<PathBuf>,
}

/// Flags of every command that changes something.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct ChangeArgs {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// An endpoint to talk to, and how to print what it says.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) format: Format,
}

impl ClientArgs {
    /// Settles the settings; connects to nothing yet.
    pub(crate) fn open(self) -> Result<Session, Failure> {
        self.endpoint.open(self.output)
    }
}

impl Endpoint {
    /// The same, for a command that has a flag for the format elsewhere.
    pub(crate) fn open(self, format: Format) -> Result<Session, Failure> {
        let overrides = Overrides {
            endpoint: self.endpoint,
            region: self.region,
            profile: self.profile,
            ca_bundle: self.ca_bundle,
        };
        let settings = Settings::resolve(overrides, &|name| std::env::var(name).ok())?;
        let client = Client::new(settings, Now::new(jiff::Timestamp::now))?;
        Ok(Session { client, format })
    }
}

impl ChangeArgs {
    /// Whether there is nothing to ask: the answer was given, or nothing will happen.
    pub(crate) fn is_settled(self) -> bool {
        self.yes || self.dry_run
    }

    /// Whether to go on; with `--dry-run` says what would be done instead.
    pub(crate) fn is_real(self, deed: &str) -> bool {
        if self.dry_run {
            eprintln!("tidelock: would {deed}");
        }
        !self.dry_run
    }
    /// Goes on only with a yes, unless `--yes` or `--dry-run` has answered; without a terminal to ask
    /// at, that is a usage error. `declined` says what a no means.
    pub(crate) fn confirm(self, deed: &str, declined: &str) -> Result<(), Failure> {
        if self.is_settled() {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::usage(format!("to {deed}, give --yes")));
        }
        eprint!("tidelock: {}? [y/N] ", printable(deed));
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::declined(declined)),
        }
    }
}

/// What answers at the endpoint.
pub(crate) async fn endpoint_kind(client: &Client) -> Result<EndpointKind, Failure> {
    let tidelock = client.is_tidelock().await?;
    Ok(match (tidelock, client.is_aws()) {
        (true, _) => EndpointKind::Tidelock,
        (false, true) => EndpointKind::Aws,
        (false, false) => EndpointKind::OtherS3,
    })
}

/// Goes on only where Tidelock answers; `reason` says what no other endpoint does.
pub(crate) async fn require_tidelock(session: &Session, reason: &str) -> Result<(), Failure> {
    if session.client.is_tidelock().await? { Ok(()) } else { Err(Failure::usage(reason)) }
}
