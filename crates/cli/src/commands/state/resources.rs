//! `tidelock state resources`

use serde::Serialize;
use tidelock_client::state::{
    FoundInstance, Index, Instance, ListedState, Mode, Resource, ResourceQuery, Summary, workspace,
};

use super::list::may_be_state;
use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{List, Row};

/// List the resources of all states, one line for each instance
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket, and what the keys begin with
    #[arg(value_name = "BUCKET[/PREFIX]")]
    place: BucketPrefix,
    #[command(flatten)]
    query: QueryArgs,
}

/// Which instances are wanted.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct QueryArgs {
    /// Only resources of this type, as `aws_instance`
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// Only resources of this name in the configuration
    #[arg(long)]
    name: Option<String>,
    /// Only this instance, or all of this resource or module
    #[arg(long)]
    address: Option<String>,
    /// Only of this provider: its address, or the end of it, as `hashicorp/aws`
    #[arg(long)]
    provider: Option<String>,
}

/// One instance, or one object of it that waits to be destroyed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InstanceRow {
    pub(super) address: String,
    module: Option<String>,
    mode: Mode,
    #[serde(rename = "type")]
    type_name: String,
    name: String,
    index: Index,
    provider: String,
    pub(super) deposed: Option<String>,
    pub(super) tainted: bool,
}

/// One instance of one state.
#[derive(Debug, Serialize)]
pub(super) struct ResourceRow {
    key: String,
    workspace: String,
    #[serde(flatten)]
    instance: InstanceRow,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let query = ResourceQuery::from(self.query);
        let mut states = session.client.list_states(bucket, prefix).await?;
        let mut list = List::new(session.format);
        while let Some(listed) = states.next().await? {
            list.extend(wanted(bucket, &listed, &query))?;
        }
        list.finish()
    }
}

impl From<QueryArgs> for ResourceQuery {
    fn from(args: QueryArgs) -> Self {
        let QueryArgs { type_name, name, address, provider } = args;
        Self { type_name, name, address, provider }
    }
}

/// What is wanted of a state that was read; says so where it cannot be looked into.
pub(super) fn wanted(
    bucket: &str,
    listed: &ListedState,
    query: &ResourceQuery,
) -> Vec<ResourceRow> {
    let key = &listed.object.key;
    if let Some(error) = listed.unread.as_ref().filter(|_| may_be_state(listed)) {
        eprintln!("tidelock: {bucket}/{} is left out: {error}", key.escape_default());
    }
    let instances = listed.summary.as_ref().map(instances).unwrap_or_default();
    let found = instances.into_iter().filter(|instance| {
        let InstanceRow { type_name, name, provider, address, .. } = instance;
        query.wants_block(type_name, name, provider) && query.wants_address(|| address.clone())
    });
    found.map(|instance| ResourceRow::new(key, instance)).collect()
}

impl ResourceRow {
    pub(super) fn new(key: &str, instance: InstanceRow) -> Self {
        Self { key: key.to_owned(), workspace: workspace(key).to_owned(), instance }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl From<FoundInstance> for ResourceRow {
    fn from(found: FoundInstance) -> Self {
        let FoundInstance { key, address, module, mode, type_name, name, .. } = found;
        let FoundInstance { index, provider, deposed, tainted, .. } = found;
        let instance = InstanceRow {
            address,
            module,
            mode,
            type_name,
            name,
            index,
            provider,
            deposed,
            tainted,
        };
        Self::new(&key, instance)
    }
}

/// Every instance of a state, in the order of the body.
pub(super) fn instances(summary: &Summary) -> Vec<InstanceRow> {
    let resources = summary.resources.iter();
    let rows = resources.flat_map(|resource| {
        resource.instances.iter().map(move |instance| row(resource, instance))
    });
    rows.collect()
}

fn row(resource: &Resource, instance: &Instance) -> InstanceRow {
    InstanceRow {
        address: resource.instance_address(instance),
        module: resource.module.clone(),
        mode: resource.mode.clone(),
        type_name: resource.type_name.clone(),
        name: resource.name.clone(),
        index: instance.index.clone(),
        provider: resource.provider.clone(),
        deposed: instance.deposed.clone(),
        tainted: instance.tainted,
    }
}

impl InstanceRow {
    /// What is not as usual.
    pub(super) fn remark(&self) -> String {
        let deposed = self.deposed.iter().map(|key| format!("deposed {key}"));
        let tainted = self.tainted.then(|| "tainted".to_owned());
        deposed.chain(tainted).collect::<Vec<_>>().join(", ")
    }
}

impl Row for ResourceRow {
    const COLUMNS: &'static [&'static str] = &["key", "workspace", "address", "remark"];

    fn cells(&self) -> Vec<String> {
        let address = self.instance.address.clone();
        vec![self.key.clone(), self.workspace.clone(), address, self.instance.remark()]
    }
}
