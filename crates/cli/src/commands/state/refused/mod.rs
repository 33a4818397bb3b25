//! `tidelock state refused ...`

mod discard;
mod get;
mod list;

use clap::Subcommand;

use super::ONLY_TIDELOCK;
use crate::connect::{Session, require_tidelock};
use crate::exit::Failure;

/// List, download and drop states that the guard has refused and kept (Tidelock only)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
    Get(get::Args),
    Discard(discard::Args),
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        require_tidelock(session, ONLY_TIDELOCK).await?;
        match self.action {
            Action::List(args) => args.run(session).await,
            Action::Get(args) => args.run(session).await,
            Action::Discard(args) => args.run(session).await,
        }
    }
}
