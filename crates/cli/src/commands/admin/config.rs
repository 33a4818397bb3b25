//! `tidelock admin config check`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Subcommand;
use serde::Serialize;
use tidelock_server::ServeArgs;
use tidelock_server::admin::check::{Check, CheckStatus, check};

use crate::exit::Failure;
use crate::output::{self, Format};

/// The configuration of a server
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings `serve` would have, and look whether it would start with them
    ///
    /// Takes the flags, variables and file of `serve`, and changes nothing. Exits with 2 if a check
    /// fails.
    Check(Box<CheckArgs>),
}

#[derive(clap::Args, Debug)]
struct CheckArgs {
    #[command(flatten)]
    settings: ServeArgs,
}

/// What was found, for `-o json` and its like.
#[derive(Serialize)]
struct Checked<'a> {
    settings: BTreeMap<&'a str, &'a str>,
    checks: &'a [Check],
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        let Command::Check(args) = self.command;
        let config = tidelock_server::resolve(args.settings)?;
        let checks = check(&config).await;
        let settings = config.settings();
        let settings = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let text = text(&config.to_string(), &checks);
        output::text_or(format, &text, &Checked { settings, checks: &checks })?;
        let failed = checks.iter().filter(|check| check.status == CheckStatus::Fail).count();
        match failed {
            0 => Ok(()),
            failed => Err(Failure::usage(format!("{failed} of {} checks failed", checks.len()))),
        }
    }
}

fn text(settings: &str, checks: &[Check]) -> String {
    let mut text = format!("{settings}\n");
    for Check { check, status, detail } in checks {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{:<4}  {check:<7}  {detail}", status.as_str());
    }
    text
}
