//! `tidelock object list`

use tidelock_client::Object;

use super::version;
use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List the objects of a bucket
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    /// What the keys begin with, after what stands behind the bucket
    #[arg(long)]
    prefix: Option<String>,
    /// Versions and delete markers too
    #[arg(long)]
    with_versions: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let place = self.place.under(self.prefix.as_deref());
        if self.with_versions {
            return version::list::print(session, &place).await;
        }
        let mut pages = session.client.list_objects(&place.bucket, &place.prefix);
        let mut list = List::new(session.format);
        while let Some(page) = pages.next().await? {
            list.extend(page)?;
        }
        list.finish()
    }
}

impl Row for Object {
    const COLUMNS: &'static [&'static str] = &["key", "size"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.size.to_string()]
    }
}
