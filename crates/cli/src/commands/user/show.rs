//! `tidelock user show`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output;

/// Show a user with the groups that they are in
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Their name
    name: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        output::one(session.format, &session.client.get_user(&self.name).await?)
    }
}
