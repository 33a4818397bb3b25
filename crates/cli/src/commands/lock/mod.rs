//! `tidelock lock ...`

mod acquire;
mod history;
mod line;
mod list;
mod release;
mod run;
mod show;
mod take;

use clap::Subcommand;

use crate::connect::ClientArgs;
use crate::exit::Failure;

pub(crate) use line::line as lock_line;
pub(crate) use take::{LockFailure, Taker, WaitArgs, duration, report, who};

/// List, take and release the locks of Terraform and OpenTofu states, of any S3 endpoint
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
    History(history::Args),
    Acquire(acquire::Args),
    Release(release::Args),
    Run(run::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Show(args) => args.run(&session).await,
            Action::History(args) => args.run(&session).await,
            Action::Acquire(args) => args.run(&session).await,
            Action::Release(args) => args.run(&session).await,
            Action::Run(args) => args.run(&session).await,
        }
    }
}
