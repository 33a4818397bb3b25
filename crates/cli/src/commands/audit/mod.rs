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
use crate::output::{Row, text};

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
        vec![
            self.time.clone(),
            principal_name(&self.principal),
            text(self.address.as_ref()),
            self.action.clone(),
            target(self),
            self.code.clone(),
            text(self.message.as_ref()),
        ]
    }
}

/// The end of an ARN: the account is everybody's.
pub(crate) fn principal_name(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or_default().to_owned()
}

/// What an entry is about.
pub(crate) fn target(entry: &AuditEntry) -> String {
    match (&entry.bucket, &entry.key) {
        (Some(bucket), Some(key)) => format!("{bucket}/{key}"),
        (Some(bucket), None) => bucket.clone(),
        (None, _) => text(entry.subject.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_about_what_it_names() {
        let rows = [
            (json!({ "bucket": "b", "key": "env:/dev/k" }), "b/env:/dev/k"),
            (json!({ "bucket": "b" }), "b"),
            (json!({ "subject": "ann" }), "ann"),
            (json!({}), ""),
        ];
        for (named, expected) in rows {
            let mut entry = json!({
                "position": "1-0", "id": "00", "time": "now", "action": "CreateUser", "code": "OK",
                "principal": "arn:aws:iam::000000000000:user/ann", "protocol": "api",
            });
            entry.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
            let entry: AuditEntry = serde_json::from_value(entry).unwrap();
            assert_eq!(target(&entry), expected);
            assert_eq!(principal_name(&entry.principal), "user/ann");
        }
    }
}
