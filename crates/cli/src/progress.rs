//! A bar or a line on stderr while bytes move; nothing where stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Shown with a known length.
const BAR: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
/// Shown without.
const COUNT: &str = "{msg} {bytes} {bytes_per_sec}";
/// Shown of work in steps.
const STEPS: &str = "{spinner} {msg}";

/// A bar for a transfer called `name`; a count until its length is known.
pub(crate) fn bar(name: &str, length: Option<u64>) -> ProgressBar {
    // Draws on stderr, hides where that is no terminal, and follows NO_COLOR.
    let bar = ProgressBar::no_length().with_message(name.to_owned());
    style(&bar, COUNT);
    if let Some(length) = length {
        lengthen(&bar, length);
    }
    bar
}

/// A line for work in steps, which says what it does in its message.
pub(crate) fn steps() -> ProgressBar {
    let bar = ProgressBar::no_length();
    style(&bar, STEPS);
    bar
}

/// The length is known now.
pub(crate) fn lengthen(bar: &ProgressBar, length: u64) {
    bar.set_length(length);
    style(bar, BAR);
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
