//! `tidelock key rotate`

use std::time::Duration;

use super::expiry::{ExpiryArgs, days};
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Make another access key for the user of one, and have the old one end; the secret is shown this once
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Access key id of the old one
    id: String,
    /// How long both are taken, as 24h or 7d; 90d at most
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = days)]
    overlap: Duration,
    #[command(flatten)]
    expiry: ExpiryArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make a key in place of {}", self.id)) {
            return Ok(());
        }
        let expires = self.expiry.end()?;
        let made = session.client.rotate_key(&self.id, self.overlap, expires).await?;
        output::one(session.format, &made)
    }
}
