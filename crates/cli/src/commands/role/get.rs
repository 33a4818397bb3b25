//! `tidelock role get`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output;

/// Show a role; `-o json` has its trust policy and its policies
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        output::one(session.format, &session.client.get_role(&self.name).await?)
    }
}
