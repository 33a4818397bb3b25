//! A bar on stderr while bytes move; nothing where stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Shown with a known length.
const BAR: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// A bar for a transfer called `name`; of unknown length until it is set.
pub(crate) fn bar(name: &str, length: Option<u64>) -> ProgressBar {
    // Draws on stderr, hides where that is no terminal, and follows NO_COLOR.
    let bar = match length {
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::no_length(),
    };
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar
}
