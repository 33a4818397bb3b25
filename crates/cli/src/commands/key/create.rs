//! `tidelock key create`

use tidelock_client::api::NewAccessKey;

use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;
use crate::output::{self, Row};

/// Make an access key; its secret is shown this once
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user it is for
    #[arg(long, value_name = "NAME")]
    user: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make a key for {}", self.user)) {
            return Ok(());
        }
        output::one(session.format, &session.client.create_key(&self.user).await?)
    }
}

impl Row for NewAccessKey {
    const COLUMNS: &'static [&'static str] = &["access_key_id", "secret_access_key", "user"];

    fn cells(&self) -> Vec<String> {
        vec![self.access_key_id.clone(), self.secret_access_key.clone(), self.user.clone()]
    }
}
