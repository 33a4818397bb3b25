//! `sensitive_attributes` of format 4: paths into the attributes of an instance, as a tree.
//!
//! Each path is an array of steps, `{"type":"get_attr","value":"password"}` or
//! `{"type":"index","value":{"value":0,"type":"number"}}` (Terraform, `statefile/version4.go`).

use std::collections::HashMap;
use std::ops::Range;

use crate::json::{Container, Kind, Reader, SyntaxError, Token, decode, is_field};

/// Most steps of all the paths of one instance; with more, all its attributes are masked.
pub(super) const STEPS_MAX: usize = 100_000;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// An attribute, or a key of a map: in JSON both are members.
    Member(String),
    /// An element of a list.
    Element(u64),
}

/// All paths of one instance. Node 0 is the root.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    children: HashMap<Step, usize>,
    /// A path ends here: all below is sensitive.
    pub(super) is_sensitive: bool,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// One more path, of this attribute.
    pub(super) fn add_attribute(&mut self, name: &str) {
        let sensitive = self.nodes.len();
        let Some(root) = self.nodes.first_mut() else { return };
        let step = Step::Member(name.to_owned());
        let child = *root.children.entry(step).or_insert(sensitive);
        if child == sensitive {
            self.nodes.push(Node::default());
        }
        if let Some(node) = self.nodes.get_mut(child) {
            node.is_sensitive = true;
        }
    }

    /// The paths at `span`; none if one of them cannot be understood, so that nobody can say what
    /// is sensitive.
    pub(super) fn parse(body: &[u8], span: &Range<usize>) -> Option<Self> {
        let mut paths = Self::new();
        let mut reader = Reader::of(body, span);
        let first = reader.value().ok()?;
        if first.kind == Kind::Null {
            return Some(paths);
        }
        (first.kind == Kind::Open(Container::Array)).then_some(())?;
        while let Some(path) = reader.element().ok()? {
            paths.add(&mut reader, path)?;
        }
        Some(paths)
    }

    pub(super) fn node(&self, node: usize) -> Option<&Node> {
        self.nodes.get(node)
    }

    fn add(&mut self, reader: &mut Reader<'_>, first: Token) -> Option<()> {
        (first.kind == Kind::Open(Container::Array)).then_some(())?;
        let mut at = 0;
        while let Some(step) = reader.element().ok()? {
            let step = parse_step(reader, step)?;
            if self.nodes.len() > STEPS_MAX {
                return None;
            }
            let next = self.nodes.len();
            let child = *self.nodes.get_mut(at)?.children.entry(step).or_insert(next);
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child;
        }
        self.nodes.get_mut(at)?.is_sensitive = true;
        Some(())
    }
}

impl Node {
    pub(super) fn child(&self, step: &Step) -> Option<usize> {
        self.children.get(step).copied()
    }

    pub(super) fn children(&self) -> usize {
        self.children.len()
    }
}

fn parse_step(reader: &mut Reader<'_>, first: Token) -> Option<Step> {
    (first.kind == Kind::Open(Container::Object)).then_some(())?;
    let (mut kind, mut step) = (None, None);
    while let Some(key) = reader.key().ok()? {
        let value = reader.value().ok()?;
        if is_field(&key, "type") && kind.is_none() && value.kind == Kind::String {
            kind = Some(decode(reader.raw(value)).into_owned());
        } else if is_field(&key, "value") && step.is_none() {
            step = Some(step_value(reader, value).ok()??);
        } else {
            return None;
        }
    }
    match (kind?.as_str(), step?) {
        ("get_attr", step @ Step::Member(_)) | ("index", step) => Some(step),
        _ => None,
    }
}

/// `"name"`, or the key with its type: `{"value":0,"type":"number"}`.
fn step_value(reader: &mut Reader<'_>, value: Token) -> Result<Option<Step>, SyntaxError> {
    if value.kind != Kind::Open(Container::Object) {
        return Ok(scalar(reader, value));
    }
    let mut step = None;
    while let Some(key) = reader.key()? {
        let inner = reader.value()?;
        if key == "value" {
            step = scalar(reader, inner);
        }
        reader.skip(inner)?;
    }
    Ok(step)
}

fn scalar(reader: &Reader<'_>, value: Token) -> Option<Step> {
    let raw = reader.raw(value);
    match value.kind {
        Kind::String => Some(Step::Member(decode(raw).into_owned())),
        Kind::Number => std::str::from_utf8(raw).ok()?.parse().ok().map(Step::Element),
        _ => None,
    }
}
