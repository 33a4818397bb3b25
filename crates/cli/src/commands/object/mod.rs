//! `tidelock object ...`

mod copy;
mod delete;
mod get;
mod list;
mod presign;
mod put;
mod version;

use clap::Subcommand;

use crate::connect::ClientArgs;
use crate::exit::Failure;

/// List, read, write, copy, share and delete objects
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
    Get(get::Args),
    Put(put::Args),
    Copy(copy::Args),
    Delete(delete::Args),
    Presign(presign::Args),
    Version(version::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::List(args) => args.run(&session).await,
            Action::Get(args) => args.run(&session).await,
            Action::Put(args) => args.run(&session).await,
            Action::Copy(args) => args.run(&session).await,
            Action::Delete(args) => args.run(&session).await,
            Action::Presign(args) => args.run(&session),
            Action::Version(args) => args.run(&session).await,
        }
    }
}
