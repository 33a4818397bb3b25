//! `tidelock admin`

mod config;
mod copy;
mod keyring;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Format;

/// Look after a store: its engine and its settings on its own machine, its keyring through a server
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// How data is printed
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t, global = true)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Config(config::Args),
    Copy(Box<copy::Args>),
    Keyring(keyring::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Config(args) => args.run(self.output).await,
            Command::Copy(args) => args.run(self.output).await,
            Command::Keyring(args) => args.run(self.output).await,
        }
    }
}
