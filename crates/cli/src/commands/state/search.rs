//! `tidelock state search`

use tidelock_client::state::ResourceQuery;

use super::resources::{QueryArgs, ResourceRow, wanted};
use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// Search all states for resources
///
/// From what Tidelock has derived where the bucket is guarded; elsewhere reads every object that may be
/// a state, as `state resources` does.
#[derive(clap::Args, Debug)]
#[command(group(
    clap::ArgGroup::new("wanted")
        .args(["type_name", "name", "address", "provider"])
        .required(true)
        .multiple(true)
))]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    #[command(flatten)]
    query: QueryArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let query = ResourceQuery::from(self.query);
        let mut list = List::new(session.format);
        let Some(findings) = session.client.search_states(bucket, prefix, &query).await? else {
            let mut states = session.client.list_states(bucket, prefix).await?;
            while let Some(listed) = states.next().await? {
                list.extend(wanted(bucket, &listed, &query))?;
            }
            return list.finish();
        };
        let mut rows: Vec<ResourceRow> =
            findings.found.into_iter().map(ResourceRow::from).collect();
        let mut states = session.client.read_states(bucket, findings.unindexed);
        while let Some(listed) = states.next().await? {
            rows.extend(wanted(bucket, &listed, &query));
        }
        // Instances of one state stay in its own order.
        rows.sort_by(|one, other| one.key().cmp(other.key()));
        list.extend(rows)?;
        list.finish()
    }
}
