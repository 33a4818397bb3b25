//! `tidelock admin config check` and `show`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Subcommand;
use serde::Serialize;
use tidelock_server::ServeArgs;
use tidelock_server::admin::check::{Check, CheckStatus, check};
use tidelock_server::config::{EffectiveSetting, SettingSource};

use crate::exit::{Failure, shown};
use crate::output::{self, Format, List, Row};

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
    /// Print the settings `serve` would have, and where each comes from: flag, variable, file, default
    ///
    /// Takes the flags, variables and file of `serve`, and opens nothing. Secrets show as (set).
    Show(Box<ShowArgs>),
}

#[derive(clap::Args, Debug)]
struct CheckArgs {
    #[command(flatten)]
    settings: ServeArgs,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    /// All settings, those that nobody has given included
    #[arg(long)]
    effective: bool,
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
        match self.command {
            Command::Check(args) => args.run(format).await,
            Command::Show(args) => args.run(format),
        }
    }
}

impl ShowArgs {
    fn run(self, format: Format) -> Result<(), Failure> {
        let mut settings = tidelock_server::effective(self.settings)?;
        settings.retain(|it| self.effective || it.source != SettingSource::Default);
        let mut list = List::new(format);
        list.extend(settings)?;
        list.finish()
    }
}

impl Row for EffectiveSetting {
    const COLUMNS: &'static [&'static str] = &["key", "value", "source", "name"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            output::text(self.value.as_ref()),
            self.source.to_string(),
            output::text(self.name.as_ref()),
        ]
    }
}

impl CheckArgs {
    async fn run(self, format: Format) -> Result<(), Failure> {
        let config = tidelock_server::resolve(self.settings)?;
        let checks = check(&config).await;
        let settings = config.settings();
        let settings = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let text = text(&config.to_string(), &checks);
        shown(output::text_or(format, &text, &Checked { settings, checks: &checks }))?;
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
