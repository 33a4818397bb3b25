//! `tidelock state resources`

use serde::Serialize;
use tidelock_client::state::{Index, Instance, Mode, Resource, Summary, workspace};

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
    /// Only resources of this type, as `aws_instance`
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// Only resources of this name in the configuration
    #[arg(long)]
    name: Option<String>,
    /// Only this instance, or all of this resource or module
    #[arg(long)]
    address: Option<String>,
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
struct ResourceRow {
    key: String,
    workspace: String,
    #[serde(flatten)]
    instance: InstanceRow,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let BucketPrefix { bucket, prefix } = &self.place;
        let mut states = session.client.list_states(bucket, prefix).await?;
        let mut list = List::new(session.format);
        while let Some(listed) = states.next().await? {
            let key = &listed.object.key;
            if let Some(error) = listed.unread.as_ref().filter(|_| may_be_state(&listed)) {
                eprintln!("tidelock: {bucket}/{} is left out: {error}", key.escape_default());
            }
            let Some(summary) = &listed.summary else { continue };
            let found = instances(summary).into_iter().filter(|instance| self.wants(instance));
            let row = |instance| ResourceRow {
                key: key.clone(),
                workspace: workspace(key).to_owned(),
                instance,
            };
            list.extend(found.map(row).collect())?;
        }
        list.finish()
    }

    fn wants(&self, instance: &InstanceRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.type_name, &instance.type_name)
            && is(&self.name, &instance.name)
            && self.address.as_ref().is_none_or(|wanted| is_within(&instance.address, wanted))
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

/// Whether `address` is `wanted` or inside it, as `terraform state list ADDRESS` has it.
fn is_within(address: &str, wanted: &str) -> bool {
    let rest = address.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_in_what_is_inside() {
        let rows = [
            ("a.b[0]", "a.b[0]", true),
            ("a.b[0]", "a.b", true),
            ("a.bc", "a.b", false),
            ("module.m[\"x\"].a.b", "module.m", true),
            ("module.m[\"x\"].a.b", "module.m[\"x\"]", true),
            ("module.mm.a.b", "module.m", false),
            ("a.b", "a.b[0]", false),
        ];
        for (address, wanted, expected) in rows {
            assert_eq!(is_within(address, wanted), expected, "{address} {wanted}");
        }
    }
}
