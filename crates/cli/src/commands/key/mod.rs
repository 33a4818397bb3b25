//! `tidelock key ...`

mod create;
mod delete;
mod expiry;
mod list;
mod rotate;

use clap::Subcommand;

use crate::connect::ClientArgs;
use crate::exit::Failure;

/// List, make, rotate and delete access keys (Tidelock only)
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
    Create(create::Args),
    Rotate(rotate::Args),
    Delete(delete::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Create(args) => args.run(&session).await,
            Action::Rotate(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
        }
    }
}
