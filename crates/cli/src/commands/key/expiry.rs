//! `--expires-in` and `--expires-at`: when a key is to end.

use std::time::Duration;

use jiff::Timestamp;

use crate::exit::Failure;

const DAY_S: u64 = 24 * 3600;

/// When a key ends; without these it does not.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct ExpiryArgs {
    /// The new key ends after this long, as 90d, 12h or 30m
    #[arg(long, value_name = "DURATION", value_parser = days, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,
    /// The new key ends then, as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
}

impl ExpiryArgs {
    /// The end, by this machine's clock.
    pub(super) fn end(self) -> Result<Option<Timestamp>, Failure> {
        let Some(term) = self.expires_in else { return Ok(self.expires_at) };
        let end = Timestamp::now().checked_add(term);
        Ok(Some(end.map_err(|_| Failure::usage("--expires-in is too long"))?))
    }
}

/// `90d`, `12h`, `1h 30m`.
pub(super) fn days(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    if let Some(days) = number {
        let seconds = days.checked_mul(DAY_S).ok_or("takes no so long duration")?;
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "takes a duration such as 90d, 12h or 30m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "takes no negative duration".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_days() {
        let rows = [
            ("90d", Some(90 * DAY_S)),
            ("1d", Some(DAY_S)),
            ("12h", Some(12 * 3600)),
            ("1h 30m", Some(5400)),
            ("0s", Some(0)),
            ("-1h", None),
            ("-1d", None),
            ("99999999999999999999d", None),
            ("999999999999999999d", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(days(text).ok().map(|it| it.as_secs()), expected, "{text}");
        }
    }
}
