//! Every setting with its value and where it comes from, for `tidelock admin config show`.
//!
//! Values are those of [`Config::settings`]; this file only adds what a checked configuration no
//! longer knows: what was not given, and which layer said the rest. It shows no secret.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{Config, ConfigError, layer};
use crate::args::ServeArgs;

/// What a key's name has behind that of the setting whose value is in a file.
const FILE_SUFFIX: &str = "_file";

/// One setting that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveSetting {
    /// Its key in the TOML file.
    pub key: String,
    /// In the form of the TOML file; `(set)` for a secret, nothing where it has no value.
    pub value: Option<String>,
    /// Which layer said so.
    pub source: SettingSource,
    /// What said so: the flag, the variable, or the path of the file.
    pub name: Option<String>,
}

/// The layers, the first one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The TOML file.
    File,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for SettingSource {
    /// As JSON has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

impl EffectiveSetting {
    /// All of them, in the order of `serve --help`.
    ///
    /// # Errors
    /// [`ConfigError`] of the same settings by [`Config::resolve`].
    pub fn all(
        flags: ServeArgs,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Self>, ConfigError> {
        let variables = layer::from_env(env)?;
        let file = Config::file_layer(flags.config.as_ref().or(variables.config.as_ref()))?;
        let layers = [
            (SettingSource::Flag, flags.clone()),
            (SettingSource::Variable, variables.clone()),
            (SettingSource::File, file.clone()),
        ];
        let merged = flags.or(variables).or(file);
        let settings = Config::from_layers(merged.clone(), env)?.settings();
        let one = |flag: String| {
            let key = flag.replace('-', "_");
            let value = settings.iter().find(|(known, _)| **known == key);
            let value = value.map(|(_, value)| value.clone()).or_else(|| rest(&merged, &key));
            let (source, name) = origin(&merged, &layers, &key);
            Self { key, value, source, name }
        };
        Ok(layer::flag_names().into_iter().map(one).collect())
    }
}

/// The values of what is no part of a checked configuration.
fn rest(args: &ServeArgs, key: &str) -> Option<String> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| format!("{path:?}"));
    match key {
        "config" => path(&args.config),
        "meta_file" => path(&args.meta_file),
        "root_access_key_file" => path(&args.root_access_key_file),
        "root_secret_key_file" => path(&args.root_secret_key_file),
        "metrics_token_file" => path(&args.metrics_token_file),
        "allow_plain_http" => Some(args.allow_plain_http.unwrap_or(false).to_string()),
        "accept_unsafe_replication" => Some(false.to_string()),
        "oidc_issuer" | "trusted_proxy" => Some("[]".to_owned()),
        _ => None,
    }
}

/// Which layer the value in force is from. A setting whose file is in force is from where its file
/// is from.
fn origin(
    merged: &ServeArgs,
    layers: &[(SettingSource, ServeArgs)],
    key: &str,
) -> (SettingSource, Option<String>) {
    let file_key = format!("{key}{FILE_SUFFIX}");
    let in_force = merged.given();
    let Some(said) = [key, &file_key].into_iter().find(|key| in_force.contains(key)) else {
        return (SettingSource::Default, None);
    };
    let layer = layers.iter().find(|(_, layer)| layer.given().contains(&said));
    let source = layer.map_or(SettingSource::Default, |(source, _)| *source);
    let name = match source {
        SettingSource::Flag => Some(format!("--{}", said.replace('_', "-"))),
        SettingSource::Variable => Some(layer::variable(said)),
        SettingSource::File => merged.config.as_ref().map(|path| path.display().to_string()),
        SettingSource::Default => None,
    };
    (source, name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn args(flags: &[String]) -> Result<ServeArgs, clap::Error> {
        let command = ServeArgs::augment_args(clap::Command::new("serve").no_binary_name(true));
        ServeArgs::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    #[test]
    fn every_flag_is_known_to_be_given() {
        for flag in layer::flag_names() {
            let values = ["1", "127.0.0.1:1", "text", "true"];
            let mut parsed = values.iter().map(|value| args(&[format!("--{flag}={value}")]));
            let parsed = parsed.find_map(Result::ok).unwrap();
            assert_eq!(parsed.given(), [flag.replace('-', "_")]);
        }
    }

    #[test]
    fn each_value_has_its_origin_and_secrets_are_hidden() {
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        secret.write_all(b"correct horse battery\n").unwrap();
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(b"region = \"eu\"\nlisten = \"127.0.0.1:3\"\nmetrics_token = \"horse\"\n")
            .unwrap();
        let config = file.path().to_str().unwrap();
        let secret = secret.path().to_str().unwrap();
        let env = |name: &str| match name {
            "TIDELOCK_CONFIG" => Some(config.to_owned()),
            "TIDELOCK_LISTEN" => Some("127.0.0.1:2".to_owned()),
            "TIDELOCK_ROOT_ACCESS_KEY" => Some("root".to_owned()),
            "TIDELOCK_ROOT_SECRET_KEY_FILE" => Some(secret.to_owned()),
            _ => None,
        };
        let flags = args(&["--data=d".to_owned(), "--enable-acls".to_owned()]).unwrap();
        let all = EffectiveSetting::all(flags, &env).unwrap();
        let rows: &[(&str, Option<&str>, SettingSource, Option<&str>)] = &[
            ("data", Some("\"d\""), SettingSource::Flag, Some("--data")),
            ("enable_acls", Some("true"), SettingSource::Flag, Some("--enable-acls")),
            ("listen", Some("\"127.0.0.1:2\""), SettingSource::Variable, Some("TIDELOCK_LISTEN")),
            ("region", Some("\"eu\""), SettingSource::File, Some(config)),
            ("metrics_token", Some("(set)"), SettingSource::File, Some(config)),
            (
                "root_secret_key",
                Some("(set)"),
                SettingSource::Variable,
                Some("TIDELOCK_ROOT_SECRET_KEY_FILE"),
            ),
            ("keyring", Some("\"d/keyring\""), SettingSource::Default, None),
            ("tls_cert", None, SettingSource::Default, None),
            ("trusted_proxy", Some("[]"), SettingSource::Default, None),
        ];
        for (key, value, source, name) in rows {
            let found = all.iter().find(|setting| setting.key == *key).unwrap();
            let seen = (found.value.as_deref(), found.source, found.name.as_deref());
            assert_eq!(seen, (*value, *source, *name), "{key}");
        }
        assert_eq!(all.len(), layer::flag_names().len());
        assert!(!format!("{all:?}").contains("horse"));
    }
}
