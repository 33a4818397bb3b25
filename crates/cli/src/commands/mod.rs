//! The command tree; one file per subcommand.

mod admin;
mod audit;
mod bench;
mod bootstrap;
mod bucket;
mod completions;
mod doctor;
mod group;
mod key;
mod lock;
mod man;
mod migrate;
mod object;
mod policy;
mod policy_args;
mod role;
mod serve;
mod state;
mod user;
mod webhook;

use std::path::Path;

use clap::{Parser, Subcommand};

use crate::exit::{self, Failure};

/// An S3-compatible object store made to be the home of Terraform and OpenTofu state.
#[derive(Debug, Parser)]
#[command(name = "tidelock", version, after_help = exit::HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Bootstrap(bootstrap::Args),
    Bucket(bucket::Args),
    Object(object::Args),
    State(state::Args),
    Lock(lock::Args),
    Migrate(Box<migrate::Args>),
    User(user::Args),
    Group(group::Args),
    Key(key::Args),
    Role(role::Args),
    Policy(policy::Args),
    Audit(audit::Args),
    Webhook(webhook::Args),
    Doctor(doctor::Args),
    Bench(bench::Args),
    Admin(admin::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Runs the command that was given.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => args.run().await,
            Command::Bootstrap(args) => args.run().await,
            Command::Bucket(args) => args.run().await,
            Command::Object(args) => args.run().await,
            Command::State(args) => args.run().await,
            Command::Lock(args) => args.run().await,
            Command::Migrate(args) => args.run().await,
            Command::User(args) => args.run().await,
            Command::Group(args) => args.run().await,
            Command::Key(args) => args.run().await,
            Command::Role(args) => args.run().await,
            Command::Policy(args) => args.run(),
            Command::Audit(args) => args.run().await,
            Command::Webhook(args) => args.run().await,
            Command::Doctor(args) => args.run().await,
            Command::Bench(args) => args.run().await,
            Command::Admin(args) => args.run().await,
            Command::Completions(args) => args.run(),
            Command::Man(args) => args.run(),
        }
    }
}

/// A file that a flag names, as text.
fn read(file: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(file);
    read.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }
}
