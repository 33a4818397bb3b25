//! `tidelock admin`

mod config;
mod copy;
mod status;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Format;

/// Look after a server and its store; all but `status` on its own machine, without asking it
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
    Status(status::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Config(args) => args.run(self.output).await,
            Command::Copy(args) => args.run(self.output).await,
            Command::Status(args) => args.run().await,
        }
    }
}
