//! `tidelock user create`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output;

/// Make a user; `key create` gives it a key
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make user {}", self.name)) {
            return Ok(());
        }
        output::one(session.format, &session.client.create_user(&self.name).await?)
    }
}
