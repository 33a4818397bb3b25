//! `tidelock webhook redeliver`

use tidelock_client::webhook::Redelivery;

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Send the dead letters of a webhook again, oldest first, until one is not taken
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its id
    id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        if !self.change.is_real(&format!("send the dead letters of {} again", self.id)) {
            return Ok(());
        }
        let mut delivered = 0;
        loop {
            // As many as one request sends.
            let batch = client.redeliver(&self.id).await?;
            delivered += batch.delivered;
            if let Some(error) = &batch.error {
                let what =
                    format!("{delivered} delivered, {} dead letters are left: {error}", batch.left);
                return Err(Failure::other(&what));
            }
            if batch.left == 0 || batch.delivered == 0 {
                let text = format!("{delivered} delivered, {} left\n", batch.left);
                let all = Redelivery { delivered, ..batch };
                return output::text_or(session.format, &text, &all);
            }
        }
    }
}
