//! `tidelock audit ...`

mod export;
mod filter;
mod query;
mod tail;
mod verify;

use clap::Subcommand;
use tidelock_client::audit::AuditEntry;

use crate::connect::ClientArgs;
use crate::exit::Failure;
use crate::output::Row;

/// Entries of one request.
const PAGE_ENTRIES: usize = 1000;

/// Read the audit log: who did what, and whether the log is whole (Tidelock only)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Tail(tail::Args),
    Query(query::Args),
    Verify(verify::Args),
    Export(export::Args),
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.action {
            Action::Tail(args) => args.run(&session).await,
            Action::Query(args) => args.run(&session).await,
            Action::Verify(args) => args.run(&session).await,
            Action::Export(args) => args.run(&session).await,
        }
    }
}

impl Row for AuditEntry {
    const COLUMNS: &'static [&'static str] =
        &["time", "principal", "address", "action", "target", "code", "message"];

    fn cells(&self) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let target = match (&self.bucket, &self.key) {
            (Some(bucket), Some(key)) => format!("{bucket}/{key}"),
            (Some(bucket), None) => bucket.clone(),
            (None, _) => text(&self.subject),
        };
        // The account is everybody's.
        let principal = self.principal.rsplit(':').next().unwrap_or_default().to_owned();
        let (address, message) = (text(&self.address), text(&self.message));
        vec![
            self.time.clone(),
            principal,
            address,
            self.action.clone(),
            target,
            self.code.clone(),
            message,
        ]
    }
}
