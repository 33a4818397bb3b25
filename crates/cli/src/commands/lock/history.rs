//! `tidelock lock history`

use std::collections::VecDeque;

use serde::Serialize;
use tidelock_client::audit::{AuditEntry, AuditFilter};

use crate::address::ObjectAddress;
use crate::commands::audit::principal_name;
use crate::connect::{Session, require_tidelock};
use crate::exit::Failure;
use crate::output::{List, Row, text};

/// Rows that are shown if nothing else is asked.
const ROWS_DEFAULT: usize = 1000;

/// Show who took, was refused, gave back or broke the lock of a state, oldest first (Tidelock only)
///
/// Read from the audit log, as far back as that is kept.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// At most COUNT rows, the latest ones
    #[arg(long, value_name = "COUNT", default_value_t = ROWS_DEFAULT)]
    limit: usize,
}

/// What happened to a lock.
#[derive(Debug, Serialize)]
struct HistoryRow {
    time: String,
    event: &'static str,
    id: Option<String>,
    operation: Option<String>,
    who: Option<String>,
    principal: String,
    address: Option<String>,
    reason: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        require_tidelock(session, "only Tidelock keeps the history of a lock").await?;
        let filter = AuditFilter {
            bucket: Some(bucket.clone()),
            prefix: Some(key.clone()),
            ..AuditFilter::default()
        };
        let mut rows = VecDeque::new();
        let mut pages = session.client.audit_pages(&filter, usize::MAX);
        while let Some(page) = pages.next().await? {
            let of_state = page.into_iter().filter(|it| it.key.as_ref() == Some(key));
            for row in of_state.filter_map(HistoryRow::of) {
                rows.push_back(row);
                if rows.len() > self.limit {
                    rows.pop_front();
                }
            }
        }
        let mut list = List::new(session.format);
        list.extend(rows.into())?;
        list.finish()
    }
}

impl HistoryRow {
    /// None of an entry about something else.
    fn of(entry: AuditEntry) -> Option<Self> {
        let event = match entry.action.as_str() {
            "LockAcquired" => "acquired",
            "LockRefused" => "refused",
            "LockQuiet" => "quiet",
            "LockReleased" => "released",
            "LockBroken" => "broken",
            _ => return None,
        };
        Some(Self {
            time: entry.time,
            event,
            id: entry.lock_id,
            operation: entry.lock_operation,
            who: entry.lock_who,
            principal: entry.principal,
            address: entry.address,
            reason: entry.reason,
        })
    }
}

impl Row for HistoryRow {
    const COLUMNS: &'static [&'static str] =
        &["time", "event", "id", "operation", "who", "principal", "address", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.time.clone(),
            self.event.to_owned(),
            text(self.id.as_ref()),
            text(self.operation.as_ref()),
            text(self.who.as_ref()),
            principal_name(&self.principal),
            text(self.address.as_ref()),
            text(self.reason.as_ref()),
        ]
    }
}
