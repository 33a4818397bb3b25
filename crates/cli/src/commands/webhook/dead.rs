//! `tidelock webhook dead`

use tidelock_client::webhook::DeadLetter;

use crate::commands::audit::target;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List the events that a webhook's receiver did not take, oldest first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its id
    id: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.dead_letters(&self.id).await?)?;
        list.finish()
    }
}

impl Row for DeadLetter {
    const COLUMNS: &'static [&'static str] =
        &["event", "time", "target", "failed", "attempts", "error"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.event.clone(),
            self.entry.time.clone(),
            target(&self.entry),
            self.failed.clone(),
            self.attempts.to_string(),
            self.error.clone(),
        ]
    }
}
