//! `tidelock group policy ...`

mod delete;
mod list;
mod put;

use clap::Subcommand;

use crate::connect::Session;
use crate::exit::Failure;

/// List, give and take policies of a group
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
    Put(put::Args),
    Delete(delete::Args),
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.action {
            Action::List(args) => args.run(session).await,
            Action::Put(args) => args.run(session).await,
            Action::Delete(args) => args.run(session).await,
        }
    }
}
