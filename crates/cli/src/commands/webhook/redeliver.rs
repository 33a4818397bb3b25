//! `tidelock webhook redeliver`

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
        loop {
            let sent = client.redeliver(&self.id).await?;
            if let Some(error) = &sent.error {
                let what = format!("{} dead letters are left: {error}", sent.left);
                return Err(Failure::other(&what));
            }
            if sent.left == 0 || sent.delivered == 0 {
                let text = format!("{} delivered, {} left\n", sent.delivered, sent.left);
                return output::text_or(session.format, &text, &sent);
            }
        }
    }
}
