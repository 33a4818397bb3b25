//! `tidelock bucket ...`

mod create;
mod delete;
mod edit;
mod get;
mod list;

use clap::Subcommand;

use crate::connect::ClientArgs;
use crate::exit::Failure;

/// List, make, look at, change and delete buckets
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
    #[command(visible_alias = "show")]
    Get(get::Args),
    Create(create::Args),
    Edit(edit::Args),
    Delete(delete::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Get(args) => args.run(&session).await,
            Action::Create(args) => args.run(&session).await,
            Action::Edit(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
        }
    }
}
