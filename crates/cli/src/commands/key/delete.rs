//! `tidelock key delete`

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete an access key; what is signed with it is refused from then on
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its access key id
    id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("delete key {}", self.id)) {
            return Ok(());
        }
        Ok(session.client.delete_key(&self.id).await?)
    }
}
