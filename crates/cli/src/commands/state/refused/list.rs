//! `tidelock state refused list`

use tidelock_client::guard::RefusedState;

use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List refused states, oldest first, with who sent them and why they were refused
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys of the states begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let refused = session.client.list_refused(bucket, prefix).await?;
        let mut list = List::new(session.format);
        list.extend(refused)?;
        list.finish()
    }
}

impl Row for RefusedState {
    const COLUMNS: &'static [&'static str] =
        &["key", "id", "refused", "code", "principal", "address", "size", "expires"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.id.clone(),
            self.refused.clone(),
            self.code.clone(),
            self.principal.clone(),
            self.address.clone(),
            self.size.to_string(),
            self.expires.clone(),
        ]
    }
}
