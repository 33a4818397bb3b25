//! Which bytes of the attributes of one instance are sensitive.
//!
//! When in doubt, more is masked: a path that leads nowhere masks the container in which it was lost.
//! An attribute of dynamic type stands as `{"value":…,"type":…}` in the body, and paths do not name
//! this wrapper; so a path that does not go on at such an object goes on at its `value`.

use std::ops::Range;

use super::paths::{Paths, Step};
use crate::json::{Container, Kind, Reader, SyntaxError, Token};

/// Words in the name of an attribute that make it sensitive although no path says so: states written
/// before Terraform 1.10 do not list what the provider's schema calls sensitive.
const SENSITIVE_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "private_key",
    "access_key",
    "api_key",
    "credential",
];

/// The words of a type (`ctyjson`).
pub(super) const TYPE_WORDS: [&str; 9] =
    ["string", "number", "bool", "dynamic", "object", "tuple", "list", "set", "map"];

/// A container that is open, on the way along the paths.
struct Frame {
    start: usize,
    container: Container,
    /// Where in the tree of paths; none where no path leads.
    node: Option<usize>,
    /// The children of `node` that were found.
    met: Vec<usize>,
    /// An object's `value` was tried in the place of the object, and met all paths.
    met_in_value: bool,
    /// This container is the `value` of its parent and was tried in its place.
    is_inner_value: bool,
    next_element: u64,
    members: usize,
    has_type: bool,
    has_value: bool,
    /// Ranges found before this container.
    ranges_before: usize,
}

/// Adds the sensitive ranges of the attributes at `span` to `ranges`.
pub(super) fn find(
    body: &[u8],
    span: &Range<usize>,
    paths: &Paths,
    ranges: &mut Vec<Range<usize>>,
) -> Result<(), SyntaxError> {
    let reader = Reader::of(body, span);
    let mut walk = Walk { body, reader, paths, open: Vec::new(), ranges };
    let first = walk.reader.value()?;
    walk.enter(first, Some(0), false)?;
    while !walk.open.is_empty() {
        walk.step()?;
    }
    Ok(())
}

struct Walk<'a, 'b> {
    body: &'a [u8],
    reader: Reader<'a>,
    paths: &'b Paths,
    open: Vec<Frame>,
    ranges: &'b mut Vec<Range<usize>>,
}

impl Walk<'_, '_> {
    /// One member or element of the innermost container, or its end.
    fn step(&mut self) -> Result<(), SyntaxError> {
        let token = self.reader.value()?;
        match token.kind {
            Kind::Close(_) => {
                self.close(token);
                Ok(())
            }
            Kind::Key => {
                let key = crate::json::decode(self.reader.raw(token)).into_owned();
                let value = self.reader.value()?;
                self.member(key, value)
            }
            _ => self.element(token),
        }
    }

    fn member(&mut self, key: String, value: Token) -> Result<(), SyntaxError> {
        let Some(frame) = self.open.last_mut() else { return Ok(()) };
        frame.members += 1;
        frame.has_type |= key == "type";
        frame.has_value |= key == "value";
        let is_value = key == "value";
        if is_sensitive_name(&key) && value.kind != Kind::Null && !is_type(self.body, value) {
            if let Some(child) = self.paths_child(&Step::Member(key)) {
                self.meet(child);
            }
            return self.mask(value);
        }
        match self.paths_child(&Step::Member(key)) {
            Some(child) => {
                self.meet(child);
                self.enter(value, Some(child), false)
            }
            None => {
                let node = self.open.last().and_then(|frame| frame.node).filter(|_| is_value);
                self.enter(value, node, node.is_some())
            }
        }
    }

    fn element(&mut self, value: Token) -> Result<(), SyntaxError> {
        let Some(frame) = self.open.last_mut() else { return Ok(()) };
        let step = Step::Element(frame.next_element);
        frame.next_element += 1;
        let child = self.paths_child(&step);
        if let Some(child) = child {
            self.meet(child);
        }
        self.enter(value, child, false)
    }

    /// Begins a value to which the paths below `node` apply.
    fn enter(
        &mut self,
        value: Token,
        node: Option<usize>,
        is_inner_value: bool,
    ) -> Result<(), SyntaxError> {
        let here = node.and_then(|node| self.paths.node(node));
        if here.is_some_and(|node| node.is_sensitive) {
            return self.mask(value);
        }
        let Kind::Open(container) = value.kind else {
            // Paths go on, but there is nothing below: a null, or not what they were written for.
            let is_lost = here.is_some_and(|node| node.children() > 0) && !is_inner_value;
            return if is_lost { self.mask(value) } else { Ok(()) };
        };
        self.open.push(Frame {
            start: value.start as usize,
            container,
            node,
            met: Vec::new(),
            met_in_value: false,
            is_inner_value,
            next_element: 0,
            members: 0,
            has_type: false,
            has_value: false,
            ranges_before: self.ranges.len(),
        });
        Ok(())
    }

    fn close(&mut self, token: Token) {
        let Some(mut frame) = self.open.pop() else { return };
        let Some(node) = frame.node.and_then(|node| self.paths.node(node)) else { return };
        frame.met.sort_unstable();
        frame.met.dedup();
        let met_all = frame.met.len() == node.children() || frame.met_in_value;
        // `value` or `type` could be the wrapper's member or the attribute's own.
        let is_wrapper = frame.container == Container::Object
            && frame.members == 2
            && frame.has_type
            && frame.has_value;
        let is_ambiguous = is_wrapper
            && ["type", "value"]
                .into_iter()
                .any(|name| node.child(&Step::Member(name.to_owned())).is_some());
        if met_all && !is_ambiguous {
            if frame.is_inner_value
                && let Some(outer) = self.open.last_mut()
            {
                outer.met_in_value = true;
            }
        } else if !frame.is_inner_value {
            self.ranges.truncate(frame.ranges_before);
            self.ranges.push(frame.start..token.end as usize);
        }
    }

    fn mask(&mut self, value: Token) -> Result<(), SyntaxError> {
        let span = self.reader.skip(value)?;
        self.ranges.push(span);
        Ok(())
    }

    fn paths_child(&self, step: &Step) -> Option<usize> {
        self.paths.node(self.open.last()?.node?)?.child(step)
    }

    fn meet(&mut self, child: usize) {
        if let Some(frame) = self.open.last_mut() {
            frame.met.push(child);
        }
    }
}

fn is_sensitive_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SENSITIVE_WORDS.iter().any(|word| key.contains(word))
}

/// Whether a value says of which type an attribute is, as in the `type` of a dynamic one: a word, or
/// an array that begins with one.
fn is_type(body: &[u8], value: Token) -> bool {
    let from = match value.kind {
        Kind::String => value.start,
        Kind::Open(Container::Array) => value.end,
        _ => return false,
    };
    let rest = body.get(from as usize..).unwrap_or_default().trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"\"") else { return false };
    TYPE_WORDS
        .iter()
        .any(|word| rest.strip_prefix(word.as_bytes()).is_some_and(|rest| rest.starts_with(b"\"")))
}
