//! `tidelock group show`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output;

/// Show a group with its members; `-o json` has its policies
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        output::one(session.format, &session.client.get_group(&self.name).await?)
    }
}
