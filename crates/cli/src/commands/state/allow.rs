//! `tidelock state allow`

use std::time::Duration;

use super::ONLY_TIDELOCK;
use crate::address::ObjectAddress;
use crate::commands::lock::duration;
use crate::connect::{ChangeArgs, Session, require_tidelock};
use crate::exit::Failure;
use crate::output::{self, Row};

/// Let the next write of a state through that the guard would refuse (Tidelock only)
///
/// One write, whatever it is and whoever sends it: it needs no lock. Prints until when it waits.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// How long the permission waits for the write; a day at most
    #[arg(long = "for", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    term: Duration,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        require_tidelock(session, ONLY_TIDELOCK).await?;
        if !self.change.is_real(&format!("let the next write of {bucket}/{key} through")) {
            return Ok(());
        }
        let allowed = session.client.allow_state(bucket, key, self.term.as_secs()).await?;
        output::one(session.format, &allowed)
    }
}

impl Row for tidelock_client::guard::StateAllowance {
    const COLUMNS: &'static [&'static str] = &["key", "expires"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.expires.clone()]
    }
}
