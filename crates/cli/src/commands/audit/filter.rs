//! Which entries of the audit log: the flags of `tail`, `query` and `export`.

use tidelock_client::audit::{self, AuditFilter};

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
    audit::time(text, now)
        .ok_or_else(|| Failure::usage(format!("'{text}' is neither a time nor an age like 24h")))
}
