//! `tidelock audit tail`

use std::time::Duration;

use tidelock_client::audit::{AuditEntry, AuditFilter, PAGE_ENTRIES_MAX};

use super::filter::FilterArgs;
use crate::connect::Session;
use crate::exit::{Failure, interrupted};
use crate::output::{Format, List};

/// Pause between two looks for new entries.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// What a look for new entries is in the log.
const OWN_ACTION: &str = "QueryAuditLog";

/// Show the last entries, and with --follow those that come, until Ctrl-C; looking for them is not shown
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many of the last entries, 1000 at most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20, value_parser = lines)]
    lines: usize,
    /// Go on with entries as they come, one JSON object a line
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let filter = self.filter.filter()?;
        if self.follow && !matches!(session.format, Format::Table | Format::Jsonl) {
            return Err(Failure::usage("--follow has no end: it goes with -o jsonl only"));
        }
        let page = session.client.latest_audit_page(&filter, self.lines).await?;
        let format = if self.follow { Format::Jsonl } else { session.format };
        let mut list = List::new(format);
        // A page has at least one.
        if self.lines > 0 {
            list.extend(page.entries)?;
        }
        if !page.complete {
            eprintln!(
                "tidelock: only the end of the log was looked through; `tidelock audit query` looks \
                 through all of it"
            );
        }
        if !self.follow {
            return list.finish();
        }
        tokio::select! {
            () = interrupted() => Err(Failure::interrupted()),
            failed = follow(session, &filter, page.next) => failed,
        }
    }
}

fn lines(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= PAGE_ENTRIES_MAX);
    count.ok_or_else(|| format!("takes a number up to {PAGE_ENTRIES_MAX}"))
}

/// Whether an entry is not of the command's own looks for new ones, which are entries too.
fn is_news(entry: &AuditEntry, session: &Session) -> bool {
    let own_key = session.client.settings().credentials.access_key_id.as_str();
    entry.action != OWN_ACTION || entry.access_key_id.as_deref() != Some(own_key)
}

async fn follow(session: &Session, filter: &AuditFilter, from: String) -> Result<(), Failure> {
    let mut list = List::new(Format::Jsonl);
    let mut after = from;
    loop {
        let page = session.client.audit_page(filter, Some(&after), PAGE_ENTRIES_MAX).await?;
        list.extend(page.entries.into_iter().filter(|it| is_news(it, session)).collect())?;
        after = page.next;
        if page.complete {
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }
}
