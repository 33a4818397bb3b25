//! `tidelock group ...`

mod add;
mod create;
mod delete;
mod list;
mod policy;
mod remove;
mod show;

use clap::Subcommand;
use tidelock_client::group::Group;

use crate::connect::ClientArgs;
use crate::exit::Failure;
use crate::output::Row;

/// List, make and delete groups of users, and say who is in them (Tidelock only)
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
    Add(add::Args),
    Remove(remove::Args),
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
            Action::Add(args) => args.run(&session).await,
            Action::Remove(args) => args.run(&session).await,
            Action::Policy(args) => args.run(&session).await,
        }
    }
}

impl Row for Group {
    const COLUMNS: &'static [&'static str] = &["name", "arn", "policies", "members", "created"];

    fn cells(&self) -> Vec<String> {
        let names: Vec<&str> = self.policies.iter().map(|policy| policy.name.as_str()).collect();
        vec![
            self.name.clone(),
            self.arn.clone(),
            names.join(" "),
            self.members.join(" "),
            self.created.clone(),
        ]
    }
}
