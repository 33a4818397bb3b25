//! The environment and the TOML file, read as if they were flags.
//!
//! One parser (the flags') decides what a value means, so the three spellings of a setting cannot
//! drift apart. This file does not know which layer wins.

use clap::{Args as _, FromArgMatches as _};

use super::ConfigError;
use crate::args::ServeArgs;

/// Prefix of every variable.
const PREFIX: &str = "TIDELOCK_";
/// Flags that may be repeated: commas in a variable, an array in the file.
const LISTS: [&str; 3] = ["domain", "oidc-issuer", "trusted-proxy"];

/// The settings found in the environment; an empty variable counts as not set.
pub(super) fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<ServeArgs, ConfigError> {
    let mut flags = Vec::new();
    for flag in flag_names() {
        let Some(value) = env(&variable(&flag)).filter(|value| !value.is_empty()) else { continue };
        if LISTS.contains(&flag.as_str()) {
            flags.extend(value.split(',').map(|part| format!("--{flag}={}", part.trim())));
        } else {
            flags.push(format!("--{flag}={value}"));
        }
    }
    parse(&flags).map_err(|reason| ConfigError::Environment { reason })
}

/// The settings of a TOML document: a flat table with the names of the flags, `_` for `-`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn from_toml(text: &str) -> Result<ServeArgs, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let known = flag_names();
    let mut flags = Vec::new();
    for (key, value) in &table {
        let flag = key.replace('_', "-");
        if !known.contains(&flag) || flag == "config" {
            return Err(format!("unknown key '{key}'"));
        }
        for value in scalars(key, value)? {
            flags.push(format!("--{flag}={value}"));
        }
    }
    parse(&flags)
}

fn scalars(key: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    match value {
        toml::Value::String(text) => Ok(vec![text.clone()]),
        toml::Value::Integer(number) => Ok(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Ok(vec![flag.to_string()]),
        toml::Value::Array(values) if LISTS.contains(&key.replace('_', "-").as_str()) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("'{key}' takes an array of strings")),
        toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => Err(format!("'{key}' takes one plain value")),
    }
}

fn command() -> clap::Command {
    ServeArgs::augment_args(clap::Command::new("serve").no_binary_name(true))
}

/// The variable of a flag, or of a key of the file.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('-', "_").to_ascii_uppercase())
}

/// All flags, in the order of the help.
pub(super) fn flag_names() -> Vec<String> {
    command().get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
}

fn parse(flags: &[String]) -> Result<ServeArgs, String> {
    let matches = command().try_get_matches_from(flags).map_err(first_line)?;
    ServeArgs::from_arg_matches(&matches).map_err(first_line)
}

fn first_line(error: clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
