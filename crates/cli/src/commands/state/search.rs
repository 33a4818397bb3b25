//! `tidelock state search`

use std::str::FromStr;

use tidelock_client::state::{AttributeQuery, ResourceQuery};

use super::RevealArgs;
use super::resources::{QueryArgs, ResourceRow, wanted};
use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// Search all states for resources
///
/// From what Tidelock has derived where the bucket is guarded; elsewhere, and by the value of an
/// attribute, reads every object that may be a state, as `state resources` does.
#[derive(clap::Args, Debug)]
#[command(group(
    clap::ArgGroup::new("wanted")
        .args(["type_name", "name", "address", "provider", "attribute"])
        .required(true)
        .multiple(true)
))]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    #[command(flatten)]
    query: QueryArgs,
    /// Only with this value of an attribute, as `tags.Name=web`; sensitive ones need `--reveal`
    #[arg(long, value_name = "PATH=VALUE")]
    attribute: Option<Attribute>,
    #[command(flatten)]
    reveal: RevealArgs,
}

/// A path as `state diff` shows it, and a value.
#[derive(Clone)]
struct Attribute {
    path: String,
    value: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let query = ResourceQuery::from(self.query);
        let attribute = self.attribute.map(|Attribute { path, value }| AttributeQuery {
            path,
            value,
            show: self.reveal.show(),
        });
        let mut list = List::new(session.format);
        let findings = match attribute {
            Some(_) => None,
            None => session.client.search_states(bucket, prefix, &query).await?,
        };
        let Some(findings) = findings else {
            let mut states = session.client.list_states_where(bucket, prefix, attribute).await?;
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

impl FromStr for Attribute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((path, value)) if !path.is_empty() => {
                Ok(Self { path: path.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => Err("expected PATH=VALUE"),
        }
    }
}

impl std::fmt::Debug for Attribute {
    /// Without the value, which may be a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Attribute").field("path", &self.path).finish_non_exhaustive()
    }
}
