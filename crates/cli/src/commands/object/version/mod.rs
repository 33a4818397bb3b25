//! `tidelock object version ...`

pub(super) mod list;

use clap::Subcommand;

use crate::connect::Session;
use crate::exit::Failure;

/// List the versions of objects
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.action {
            Action::List(args) => args.run(session).await,
        }
    }
}
