//! `tidelock user policy list`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// List the policies of a user
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user
    user: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.list_user_policies(&self.user).await?)?;
        list.finish()
    }
}
