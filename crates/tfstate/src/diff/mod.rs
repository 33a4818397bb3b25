//! What changed from one state to another: instances, their attributes, outputs.
//!
//! Instances are the same if their address and deposed key are. Values are masked unless revealed;
//! one that is sensitive in either state is masked in both.

pub(crate) mod leaves;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::document::Document;
use crate::json::{SyntaxError, compact, same};
use crate::mask::Mask;
use crate::summary::{Index, Instance, Mode, Output, Resource};
use leaves::Leaves;

pub use leaves::{LEAVES_MAX, PATH_BYTES_MAX, PATH_STEPS_MAX};

/// Longest value that is shown; of a longer one only its length.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// Most changed attributes and outputs that are listed.
pub const CHANGES_MAX: usize = 100_000;

/// Most bytes of paths and values that are listed; the last one may go over.
pub const CHANGES_BYTES_MAX: usize = 64 << 20;

/// What changed from one state to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Instances that only the new state has, by address.
    pub added: Vec<InstanceAddress>,
    /// Instances that only the old state has, by address.
    pub removed: Vec<InstanceAddress>,
    /// Instances that both have, with something else in them, by address.
    pub changed: Vec<InstanceChange>,
    /// Outputs that are not the same, by name.
    pub outputs: Vec<OutputChange>,
    /// More changed than [`CHANGES_MAX`] or [`CHANGES_BYTES_MAX`]; the rest is not listed.
    pub is_cut: bool,
}

/// Names an instance or one of its deposed objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceAddress {
    /// `module.net["eu"].aws_subnet.a[0]`
    pub address: String,
    /// The key of an object that waits to be destroyed.
    pub deposed: Option<String>,
}

/// What changed in one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceChange {
    /// Which instance.
    #[serde(flatten)]
    pub address: InstanceAddress,
    /// Whether it was and is marked to be replaced, if that changed.
    pub tainted: Option<(bool, bool)>,
    /// Old and new provider, if they differ.
    pub provider: Option<(String, String)>,
    /// By path.
    pub attributes: Vec<AttributeChange>,
}

/// One value that changed. Paths are those of the JSON: an attribute of dynamic type has its `value`
/// and its `type` inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttributeChange {
    /// `rule[0].port`; empty for all attributes at once.
    pub path: String,
    /// None where the path is new.
    pub old: Option<Value>,
    /// None where the path is gone.
    pub new: Option<Value>,
}

/// An output that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// None where it is new.
    pub old: Option<Value>,
    /// None where it is gone.
    pub new: Option<Value>,
}

/// A value as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Sensitive.
    Masked,
    /// JSON without white space.
    Json(String),
    /// Longer than [`VALUE_BYTES_MAX`].
    Long {
        /// Its length.
        bytes: usize,
    },
}

/// What may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// No sensitive value.
    #[default]
    Masked,
    /// Everything. The caller answers for it: a reveal belongs in the audit log.
    Revealed,
}

impl Diff {
    /// What changed from `old` to `new`.
    pub fn of(old: &Document<'_>, new: &Document<'_>, show: Show) -> Self {
        let old = Side::new(old, show);
        let new = Side::new(new, show);
        let mut diff = Self::default();
        let mut room = Room { changes: CHANGES_MAX, bytes: CHANGES_BYTES_MAX, is_cut: false };
        for (key, before) in &old.instances {
            match new.instances.get(key) {
                None => diff.removed.push(before.address()),
                Some(after) => {
                    let change = instance(&old, before, &new, after, &mut room);
                    diff.changed.extend(change);
                }
            }
        }
        let added = new.instances.iter().filter(|(key, _)| !old.instances.contains_key(key));
        diff.added = added.map(|(_, after)| after.address()).collect();
        diff.outputs = outputs(&old, &new, &mut room);
        diff.is_cut = room.is_cut;
        diff
    }

    /// Whether nothing changed that a diff tells; serial and version may have.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.outputs.is_empty()
            && !self.is_cut
    }
}

/// What may still be listed.
struct Room {
    changes: usize,
    bytes: usize,
    /// Something was not listed.
    is_cut: bool,
}

type InstanceKey<'a> = (Option<&'a str>, &'a Mode, &'a str, &'a str, &'a Index, Option<&'a str>);

/// One of the two states, ready to be compared.
struct Side<'a> {
    document: &'a Document<'a>,
    mask: Option<Mask>,
    instances: BTreeMap<InstanceKey<'a>, Found<'a>>,
    outputs: BTreeMap<&'a str, &'a Output>,
}

#[derive(Clone, Copy)]
struct Found<'a> {
    resource: &'a Resource,
    instance: &'a Instance,
}

impl Found<'_> {
    fn address(&self) -> InstanceAddress {
        let address = self.resource.instance_address(self.instance);
        InstanceAddress { address, deposed: self.instance.deposed.clone() }
    }
}

impl<'a> Side<'a> {
    fn new(document: &'a Document<'a>, show: Show) -> Self {
        let mut instances = BTreeMap::new();
        for resource in &document.summary().resources {
            for instance in &resource.instances {
                let key = (
                    resource.module.as_deref(),
                    &resource.mode,
                    resource.type_name.as_str(),
                    resource.name.as_str(),
                    &instance.index,
                    instance.deposed.as_deref(),
                );
                instances.insert(key, Found { resource, instance });
            }
        }
        let outputs = document.summary().outputs.iter();
        Self {
            document,
            mask: (show == Show::Masked).then(|| Mask::of(document)),
            instances,
            outputs: outputs.map(|output| (output.name.as_str(), output)).collect(),
        }
    }

    fn is_masked(&self, span: &Range<usize>) -> bool {
        self.mask.as_ref().is_some_and(|mask| mask.touches(span))
    }

    fn show(&self, span: &Range<usize>, is_masked: bool, room: &mut Room) -> Value {
        if is_masked {
            return Value::Masked;
        }
        if span.len() > VALUE_BYTES_MAX {
            return Value::Long { bytes: span.len() };
        }
        let json = compact(self.document.bytes(span));
        room.bytes = room.bytes.saturating_sub(json.len());
        Value::Json(json)
    }
}

fn instance(
    old: &Side<'_>,
    before: &Found<'_>,
    new: &Side<'_>,
    after: &Found<'_>,
    room: &mut Room,
) -> Option<InstanceChange> {
    let tainted = (before.instance.tainted, after.instance.tainted);
    let providers = (&before.resource.provider, &after.resource.provider);
    let change = InstanceChange {
        address: after.address(),
        tainted: (tainted.0 != tainted.1).then_some(tainted),
        provider: (providers.0 != providers.1).then(|| (providers.0.clone(), providers.1.clone())),
        attributes: attributes(old, before.instance, new, after.instance, room).unwrap_or_default(),
    };
    let is_change =
        change.tainted.is_some() || change.provider.is_some() || !change.attributes.is_empty();
    is_change.then_some(change)
}

/// No error comes from a body that was read before.
fn attributes(
    old: &Side<'_>,
    before: &Instance,
    new: &Side<'_>,
    after: &Instance,
    room: &mut Room,
) -> Result<Vec<AttributeChange>, SyntaxError> {
    let before_bytes = before.attributes.as_ref().map(|span| old.document.bytes(span));
    if before_bytes == after.attributes.as_ref().map(|span| new.document.bytes(span)) {
        return Ok(Vec::new());
    }
    let mut olds = leaves_of(old, before)?;
    let mut news = leaves_of(new, after)?;
    let is_whole = |leaves: &Leaves| leaves.contains_key("");
    if is_whole(&olds) || is_whole(&news) {
        olds = whole(before);
        news = whole(after);
    }
    let mut paths: Vec<&String> = olds.keys().chain(news.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut changes = Vec::new();
    for path in paths {
        let before = olds.get(path).map(Vec::as_slice).unwrap_or_default();
        let after = news.get(path).map(Vec::as_slice).unwrap_or_default();
        if let Some((old, new)) = value_change((old, before), (new, after), room) {
            room.bytes = room.bytes.saturating_sub(path.len());
            changes.push(AttributeChange { path: path.clone(), old, new });
        }
    }
    Ok(changes)
}

fn leaves_of(side: &Side<'_>, instance: &Instance) -> Result<Leaves, SyntaxError> {
    match &instance.attributes {
        Some(span) => leaves::leaves(side.document.body, span),
        None => Ok(Leaves::new()),
    }
}

/// All attributes as one value.
fn whole(instance: &Instance) -> Leaves {
    let span = instance.attributes.iter();
    span.map(|span| (String::new(), std::iter::once(span.clone()).collect())).collect()
}

fn outputs(old: &Side<'_>, new: &Side<'_>, room: &mut Room) -> Vec<OutputChange> {
    let mut names: Vec<&str> = old.outputs.keys().chain(new.outputs.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let value = |side: &Side<'_>| {
            let output = side.outputs.get(name);
            output.and_then(|output| output.value.clone()).into_iter().collect::<Vec<_>>()
        };
        let (before, after) = (value(old), value(new));
        if let Some((old, new)) = value_change((old, &before), (new, &after), room) {
            changes.push(OutputChange { name: name.to_owned(), old, new });
        }
    }
    changes
}

/// Both values if they differ and there is room. Of a name that stands there twice the last counts,
/// and a mask of either hides it.
fn value_change(
    old: (&Side<'_>, &[Range<usize>]),
    new: (&Side<'_>, &[Range<usize>]),
    room: &mut Room,
) -> Option<(Option<Value>, Option<Value>)> {
    let (before, after) = (old.1.last(), new.1.last());
    let is_same = match (before, after) {
        (Some(before), Some(after)) => {
            same(old.0.document.bytes(before), new.0.document.bytes(after))
        }
        (None, None) => true,
        _ => false,
    };
    if is_same {
        return None;
    }
    room.is_cut |= room.changes == 0 || room.bytes == 0;
    if room.is_cut {
        return None;
    }
    room.changes -= 1;
    let is_masked = old.1.iter().any(|span| old.0.is_masked(span))
        || new.1.iter().any(|span| new.0.is_masked(span));
    Some((
        before.map(|span| old.0.show(span, is_masked, room)),
        after.map(|span| new.0.show(span, is_masked, room)),
    ))
}
