//! `tidelock state refused discard`

use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Drop a refused state before its time, for good
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// Which of its refused versions
    id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let deed = format!("drop the refused version {} of {bucket}/{key}, for good", self.id);
        self.change.confirm(&deed, "nothing was dropped")?;
        if !self.change.is_real(&deed) {
            return Ok(());
        }
        Ok(session.client.discard_refused((bucket, key), &self.id).await?)
    }
}
