//! Which entries of the audit log: the flags of `tail`, `query` and `export`.

use tidelock_client::audit::AuditFilter;

use crate::exit::Failure;

/// Which entries.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct FilterArgs {
    /// Only entries about this bucket; whoever is not root must name one of its own
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Only entries about keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only entries of this action, e.g. PutObject or LockBroken
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only entries by this principal: its ARN, its user name, or anonymous
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Only entries from this time on: 2026-11-21T20:35:06Z, or an age like 90s, 15m, 24h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl FilterArgs {
    /// As the server is asked.
    pub(super) fn filter(&self) -> Result<AuditFilter, Failure> {
        let now = jiff::Timestamp::now();
        let time = |text: &Option<String>| text.as_deref().map(|it| time(it, now)).transpose();
        Ok(AuditFilter {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            action: self.action.clone(),
            principal: self.principal.clone(),
            since: time(&self.since)?,
            until: time(&self.until)?,
        })
    }
}

fn time(text: &str, now: jiff::Timestamp) -> Result<String, Failure> {
    let wrong = || Failure::usage(format!("'{text}' is neither a time nor an age like 24h"));
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.to_string());
    }
    let unit_s = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        Some(_) | None => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let age = jiff::SignedDuration::from_secs(count.checked_mul(unit_s).ok_or_else(wrong)?);
    now.checked_sub(age).map(|time| time.to_string()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_times_or_ages() {
        let now: jiff::Timestamp = "2026-11-21T20:35:06Z".parse().unwrap();
        let rows = [
            ("2026-11-20T00:00:00Z", Some("2026-11-20T00:00:00Z")),
            ("2026-11-20T01:00:00+01:00", Some("2026-11-20T00:00:00Z")),
            ("6s", Some("2026-11-21T20:35:00Z")),
            ("35m", Some("2026-11-21T20:00:06Z")),
            ("1h", Some("2026-11-21T19:35:06Z")),
            ("7d", Some("2026-11-14T20:35:06Z")),
            ("yesterday", None),
            ("", None),
            ("h", None),
            ("99999999999999999d", None),
        ];
        for (text, expected) in rows {
            assert_eq!(time(text, now).ok().as_deref(), expected, "{text}");
        }
    }
}
