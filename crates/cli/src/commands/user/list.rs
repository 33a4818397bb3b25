//! `tidelock user list`

use tidelock_client::api::User;

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List all users
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.list_users().await?)?;
        list.finish()
    }
}

impl Row for User {
    const COLUMNS: &'static [&'static str] = &["name", "arn", "groups", "created"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.arn.clone(), self.groups.join(" "), self.created.clone()]
    }
}
