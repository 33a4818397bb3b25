//! `tidelock key create`

use tidelock_client::api::NewAccessKey;

use super::expiry::ExpiryArgs;
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
    expiry: ExpiryArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.change.is_real(&format!("make a key for {}", self.user)) {
            return Ok(());
        }
        let expires = self.expiry.end()?;
        output::one(session.format, &session.client.create_key(&self.user, expires).await?)
    }
}

impl Row for NewAccessKey {
    const COLUMNS: &'static [&'static str] =
        &["access_key_id", "secret_access_key", "user", "expires"];

    fn cells(&self) -> Vec<String> {
        let (id, secret) = (self.access_key_id.clone(), self.secret_access_key.clone());
        vec![id, secret, self.user.clone(), output::text(self.expires.as_ref())]
    }
}
