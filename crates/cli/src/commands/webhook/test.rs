//! `tidelock webhook test`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output;

/// Send a webhook an event that nothing has caused; exit status 1 if its receiver does not take it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its id
    id: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let tested = session.client.test_webhook(&self.id).await?;
        match &tested.error {
            Some(error) => Err(Failure::other(&format!("the webhook does not work: {error}"))),
            None => output::text_or(session.format, "delivered\n", &tested),
        }
    }
}
