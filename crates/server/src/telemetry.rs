//! Where log lines go: stderr, as text or as JSON, filtered by level.
//!
//! Fields and their names are in docs/logging.md.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Installs the subscriber of this process.
///
/// # Errors
/// The filter is malformed, or the process has a subscriber already.
pub(crate) fn install(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| TelemetryError::Filter { reason: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && no_color_is_unset();
            builder.with_ansi(colour).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    installed.map_err(|error| TelemetryError::Installed { reason: error.to_string() })
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither a level nor a list of directives.
    #[error("log-level: {reason}")]
    Filter {
        /// What the parser said.
        reason: String,
    },
    /// The process has a subscriber already.
    #[error("logging: {reason}")]
    Installed {
        /// What tracing said.
        reason: String,
    },
}

/// <https://no-color.org>: set to anything but the empty string means no colour.
fn no_color_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
