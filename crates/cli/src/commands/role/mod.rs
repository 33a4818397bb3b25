//! `tidelock role ...`

mod create;
mod delete;
mod get;
mod list;

use clap::Subcommand;
use tidelock_client::role::Role;

use crate::connect::ClientArgs;
use crate::exit::Failure;
use crate::output::Row;

/// List, make and delete roles, which CI runs assume without keys (Tidelock only)
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
    Delete(delete::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Get(args) => args.run(&session).await,
            Action::Create(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
        }
    }
}

impl Row for Role {
    const COLUMNS: &'static [&'static str] = &["name", "arn", "policies", "session", "created"];

    fn cells(&self) -> Vec<String> {
        let names: Vec<&str> = self.policies.iter().map(|policy| policy.name.as_str()).collect();
        vec![
            self.name.clone(),
            self.arn.clone(),
            names.join(" "),
            format!("{} s", self.session_max_seconds),
            self.created.clone(),
        ]
    }
}
