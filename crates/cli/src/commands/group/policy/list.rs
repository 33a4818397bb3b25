//! `tidelock group policy list`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// List the policies of a group
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The group
    group: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.list_group_policies(&self.group).await?)?;
        list.finish()
    }
}
