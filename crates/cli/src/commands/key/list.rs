//! `tidelock key list`

use tidelock_client::api::AccessKey;

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row, text};

/// List access keys, without their secrets
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only keys of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut list = List::new(session.format);
        list.extend(session.client.list_keys(self.user.as_deref()).await?)?;
        list.finish()
    }
}

impl Row for AccessKey {
    const COLUMNS: &'static [&'static str] =
        &["access_key_id", "user", "created", "expires", "last_used"];

    fn cells(&self) -> Vec<String> {
        let (expires, last_used) = (text(self.expires.as_ref()), text(self.last_used.as_ref()));
        let (id, user) = (self.access_key_id.clone(), self.user.clone());
        vec![id, user, self.created.clone(), expires, last_used]
    }
}
