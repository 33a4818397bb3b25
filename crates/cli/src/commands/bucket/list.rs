//! `tidelock bucket list`

use tidelock_client::Bucket;

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List your buckets
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only buckets whose names begin with this
    #[arg(long, default_value = "")]
    prefix: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut buckets = session.client.list_buckets().await?;
        buckets.retain(|bucket| bucket.name.starts_with(&self.prefix));
        let mut list = List::new(session.format);
        list.extend(buckets)?;
        list.finish()
    }
}

impl Row for Bucket {
    const COLUMNS: &'static [&'static str] = &["name", "created"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.created.clone()]
    }
}
