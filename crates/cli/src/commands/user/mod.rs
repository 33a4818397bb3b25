//! `tidelock user ...`

mod create;
mod delete;
mod list;
mod policy;
mod show;

use clap::Subcommand;

use crate::connect::ClientArgs;
use crate::exit::Failure;

/// List, make and delete users (Tidelock only)
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
    #[command(visible_alias = "get")]
    Show(show::Args),
    Create(create::Args),
    Delete(delete::Args),
    Policy(policy::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Show(args) => args.run(&session).await,
            Action::Create(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
            Action::Policy(args) => args.run(&session).await,
        }
    }
}
