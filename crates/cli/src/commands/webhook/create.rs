//! `tidelock webhook create`

use std::path::PathBuf;

use tidelock_client::webhook::NewWebhook;

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Make a webhook that is told of what happens from now on; its secret is shown this once
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where events are posted, `https://...`
    url: String,
    /// A kind of event, may be repeated: lock.acquired, lock.conflict, lock.quiet, lock.released,
    /// lock.broken, state.written, state.refused, state.rolled_back, state.deleted, or audit for
    /// every entry of the audit log
    #[arg(long = "event", value_name = "KIND", required = true)]
    events: Vec<String>,
    /// Only what happens in this bucket
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// File with the secret that signs events; without one the server makes one
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Tries of an event before it is a dead letter, 1 to 20 [default: 8]
    #[arg(long, value_name = "COUNT")]
    attempts: Option<u32>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make a webhook to {}", self.url)) {
            return Ok(());
        }
        let secret = self.secret_file.map(|path| {
            let read = std::fs::read_to_string(&path);
            read.map(|secret| secret.trim_end().to_owned())
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        });
        let new = NewWebhook {
            url: self.url,
            events: self.events,
            bucket: self.bucket,
            secret: secret.transpose()?,
            attempts_max: self.attempts,
        };
        output::one(session.format, &session.client.create_webhook(&new).await?)
    }
}
