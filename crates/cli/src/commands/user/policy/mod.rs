//! `tidelock user policy ...`

mod delete;
mod list;
mod put;

use clap::Subcommand;
use tidelock_client::role::NamedPolicy;

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::Row;

/// List, give and take policies of a user
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

impl Row for NamedPolicy {
    const COLUMNS: &'static [&'static str] = &["name", "document"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.document.clone()]
    }
}
