//! A string that does not print itself.

use std::fmt;
use std::path::Path;

use super::ConfigError;

/// A secret setting: shown as `(set)`, wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `secret`.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, to be handed to what uses it and to nothing that prints.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// From a value or the file that holds it (without the line end), whichever is given.
    pub(super) fn read(
        name: &'static str,
        value: Option<String>,
        file: Option<&Path>,
    ) -> Result<Option<Self>, ConfigError> {
        match (value, file) {
            (Some(_), Some(_)) => Err(ConfigError::Both { first: name, second: "its file" }),
            (Some(value), None) => Ok(Some(Self(value))),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                if text.is_empty() {
                    return Err(ConfigError::Empty { name, path: path.to_owned() });
                }
                Ok(Some(Self(text)))
            }
            (None, None) => Ok(None),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}
