//! `tidelock state ...`

mod allow;
mod diff;
mod list;
mod pull;
mod push;
mod refused;
mod resources;
mod rollback;
mod search;
mod show;
mod versions;

use clap::Subcommand;
use tidelock_client::state::{Show, StateError};

use crate::address::ObjectAddress;
use crate::connect::ClientArgs;
use crate::exit::Failure;

/// The word of a lock under which a state is put in the place of another.
const PUSH_OPERATION: &str = "state-push";

/// Why `refused` and `allow` are for Tidelock only.
const ONLY_TIDELOCK: &str = "only Tidelock refuses states, and keeps what it has refused";

/// List, read, compare and put Terraform and OpenTofu states, of any S3 endpoint
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
    Show(show::Args),
    Versions(versions::Args),
    Diff(diff::Args),
    Pull(pull::Args),
    Push(push::Args),
    Rollback(rollback::Args),
    Refused(refused::Args),
    Allow(allow::Args),
    Resources(resources::Args),
    Search(search::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Show(args) => args.run(&session).await,
            Action::Versions(args) => args.run(&session).await,
            Action::Diff(args) => args.run(&session).await,
            Action::Pull(args) => args.run(&session).await,
            Action::Push(args) => args.run(&session).await,
            Action::Rollback(args) => args.run(&session).await,
            Action::Refused(args) => args.run(&session).await,
            Action::Allow(args) => args.run(&session).await,
            Action::Resources(args) => args.run(&session).await,
            Action::Search(args) => args.run(&session).await,
        }
    }
}

/// Whether values may be shown.
#[derive(clap::Args, Clone, Copy, Debug)]
struct RevealArgs {
    /// Show sensitive values too
    #[arg(long)]
    reveal: bool,
}

impl RevealArgs {
    /// Says so before a secret is printed.
    fn show(self) -> Show {
        if !self.reveal {
            return Show::Masked;
        }
        eprintln!("tidelock: sensitive values are shown");
        Show::Revealed
    }
}

/// A state that was asked for by name cannot be read.
fn unreadable(ObjectAddress { bucket, key }: &ObjectAddress, error: StateError) -> Failure {
    match error {
        StateError::Client(error) => error.into(),
        StateError::NotAState(_)
        | StateError::NotWritten
        | StateError::TooLarge { .. }
        | StateError::Document(_) => Failure::other(&format!("{bucket}/{key}: {error}")),
    }
}
