//! `tidelock webhook ...`

mod create;
mod dead;
mod delete;
mod list;
mod redeliver;
mod test;

use clap::Subcommand;
use tidelock_client::webhook::Webhook;

use crate::connect::ClientArgs;
use crate::exit::Failure;
use crate::output::Row;

/// Tell other services of locks and states: list, make, test and delete webhooks (Tidelock only)
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
    Delete(delete::Args),
    Test(test::Args),
    Dead(dead::Args),
    Redeliver(redeliver::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Create(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
            Action::Test(args) => args.run(&session).await,
            Action::Dead(args) => args.run(&session).await,
            Action::Redeliver(args) => args.run(&session).await,
        }
    }
}

impl Row for Webhook {
    const COLUMNS: &'static [&'static str] =
        &["id", "url", "events", "bucket", "attempts", "secret"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.url.clone(),
            self.events.join(" "),
            self.bucket.clone().unwrap_or_default(),
            self.attempts_max.to_string(),
            self.secret.clone().unwrap_or_default(),
        ]
    }
}
