//! `tidelock policy ...`

mod test;

use clap::Subcommand;

use crate::exit::Failure;

/// Try out policies in AWS's policy language
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Test(Box<test::Args>),
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Test(args) => args.run(),
        }
    }
}
