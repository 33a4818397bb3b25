//! `tidelock object version ...`

mod delete;
pub(super) mod list;
mod restore;

use clap::Subcommand;

use crate::connect::Session;
use crate::exit::Failure;

/// List, restore and delete the versions of objects
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
    Restore(restore::Args),
    Delete(delete::Args),
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.action {
            Action::List(args) => args.run(session).await,
            Action::Restore(args) => args.run(session).await,
            Action::Delete(args) => args.run(session).await,
        }
    }
}
