//! `tidelock admin`

mod backup;
mod backups;
mod config;
mod copy;
mod keyring;
mod recover;
mod restore;
mod status;
mod verify;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Format;

/// Look after a store and its server: `keyring` and `status` by asking it, the others on its own machine
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
    Backup(backup::Args),
    Backups(backups::Args),
    Config(config::Args),
    Copy(Box<copy::Args>),
    Keyring(keyring::Args),
    Recover(recover::Args),
    Restore(restore::Args),
    Status(status::Args),
    Verify(verify::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Backup(args) => args.run(self.output).await,
            Command::Backups(args) => args.run(self.output).await,
            Command::Config(args) => args.run(self.output).await,
            Command::Copy(args) => args.run(self.output).await,
            Command::Keyring(args) => args.run(self.output).await,
            Command::Recover(args) => args.run(self.output).await,
            Command::Restore(args) => args.run(self.output).await,
            Command::Status(args) => args.run(self.output).await,
            Command::Verify(args) => args.run(self.output).await,
        }
    }
}
