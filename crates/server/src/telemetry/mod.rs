//! Where log lines go: stderr, as text or as JSON, filtered by level.
//!
//! ```text
//! text.rs    an event as one line of text
//! stderr.rs  lines on their way
//! ```
//!
//! Fields and their names are in docs/logging.md.

mod stderr;
mod text;

use std::io::IsTerminal as _;

use stderr::{Flush, Lines};
use text::Text;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::LogFormat;

/// Installs the subscriber of this process. What is logged is written by the time the result is dropped.
///
/// # Errors
/// The filter is malformed, or the process has a subscriber already.
pub(crate) fn install(format: LogFormat, level: &str) -> Result<Log, TelemetryError> {
    let filter = filter(level)?;
    let lines = Lines::to_stderr();
    let log = Log { lines: lines.clone(), _flush: lines.flush_at_end() };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let is_coloured = std::io::stderr().is_terminal() && no_color_is_unset();
    let installed = match format {
        LogFormat::Text if is_coloured => builder.with_ansi(true).with_target(false).try_init(),
        LogFormat::Text => builder.with_ansi(false).event_format(Text).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    installed.map_err(|error| TelemetryError::Installed { reason: error.to_string() })?;
    Ok(log)
}

/// The log of this process, as long as it serves.
pub(crate) struct Log {
    lines: Lines,
    _flush: Flush,
}

impl Log {
    /// Writes what waits to be written: something else goes to stderr next.
    pub(crate) fn flush(&self) {
        self.lines.flush();
    }
}

/// A word without `=` would pass for the name of a module whose every line is wanted.
fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refused = |reason: String| TelemetryError::Filter { reason };
    if level.parse::<LevelFilter>().is_err() && !level.contains('=') {
        return Err(refused(format!("'{level}' is none of off, error, warn, info, debug, trace")));
    }
    EnvFilter::try_new(level).map_err(|error| refused(error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (level, is_legal) in [
            ("info", true),
            ("OFF", true),
            ("tidelock_s3=debug,info", true),
            ("loud", false),
            ("info=loud", false),
        ] {
            assert_eq!(filter(level).is_ok(), is_legal, "{level}");
        }
    }
}
