//! `tidelock object version list`

use tidelock_client::ObjectVersion;

use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List versions and delete markers, newest first for each key
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    /// What the keys begin with, after what stands behind the bucket
    #[arg(long)]
    prefix: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        print(session, &self.place.under(self.prefix.as_deref())).await
    }
}

/// Prints the versions under `place`.
pub(in crate::commands::object) async fn print(
    session: &Session,
    place: &BucketPrefix,
) -> Result<(), Failure> {
    let mut pages = session.client.list_versions(&place.bucket, &place.prefix);
    let mut list = List::new(session.format);
    while let Some(page) = pages.next().await? {
        list.extend(page)?;
    }
    list.finish()
}

impl Row for ObjectVersion {
    const COLUMNS: &'static [&'static str] =
        &["key", "version_id", "size", "last_modified", "state"];

    fn cells(&self) -> Vec<String> {
        let state = match (self.is_latest, self.delete_marker) {
            (true, true) => "deleted",
            (true, false) => "latest",
            (false, true) => "delete marker",
            (false, false) => "",
        };
        vec![
            self.key.clone(),
            self.version_id.clone(),
            self.size.to_string(),
            self.last_modified.clone(),
            state.to_owned(),
        ]
    }
}
