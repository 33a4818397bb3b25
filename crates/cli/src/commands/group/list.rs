//! `tidelock group list`

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// List all groups
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.list_groups().await?)?;
        list.finish()
    }
}
