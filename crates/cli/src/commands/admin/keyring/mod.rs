//! `tidelock admin keyring ...`

mod rewrap;

use clap::Subcommand;

use crate::connect::Endpoint;
use crate::exit::Failure;
use crate::output::Format;

/// The keyring of a running server (Tidelock only)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Rewrap(rewrap::Args),
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let session = self.endpoint.open(format)?;
        match self.action {
            Action::Rewrap(args) => args.run(&session).await,
        }
    }
}
