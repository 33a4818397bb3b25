//! The attributes of one instance as a flat map from path to value, for comparing and searching.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::json::{Container, Kind, Reader, SyntaxError, Token, decode};
use crate::summary::quoted;

/// Deepest container that is looked into; what is deeper is one value.
pub const PATH_STEPS_MAX: usize = 64;

/// Longest path; what is below a longer one is one value.
pub const PATH_BYTES_MAX: usize = 1 << 10;

/// Most values of one instance; with more, its attributes are one value.
pub const LEAVES_MAX: usize = 50_000;

/// Values by path; more than one span where an object has a name twice.
pub(crate) type Leaves = BTreeMap<String, Vec<Range<usize>>>;

/// Every value at `span` that has no member or element, by its path: `tags["a b"]`, `rule[0].port`.
pub(crate) fn leaves(body: &[u8], span: &Range<usize>) -> Result<Leaves, SyntaxError> {
    let mut walk = Walk {
        reader: Reader::of(body, span),
        path: String::new(),
        open: Vec::new(),
        found: Leaves::new(),
        count: 0,
    };
    let first = walk.reader.value()?;
    walk.value(first)?;
    while !walk.open.is_empty() {
        walk.step()?;
        if walk.count > LEAVES_MAX {
            let whole = std::iter::once(span.clone()).collect();
            return Ok(Leaves::from([(String::new(), whole)]));
        }
    }
    Ok(walk.found)
}

struct Frame {
    start: usize,
    path_bytes: usize,
    next_element: u64,
    is_empty: bool,
}

struct Walk<'a> {
    reader: Reader<'a>,
    path: String,
    open: Vec<Frame>,
    found: Leaves,
    count: usize,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<(), SyntaxError> {
        let token = self.reader.value()?;
        let Some(frame) = self.open.last_mut() else { return Ok(()) };
        self.path.truncate(frame.path_bytes);
        match token.kind {
            Kind::Close(_) => {
                if frame.is_empty {
                    let span = frame.start..token.end as usize;
                    self.leaf(span);
                }
                self.open.pop();
                Ok(())
            }
            Kind::Key => {
                frame.is_empty = false;
                let key = decode(self.reader.raw(token));
                push_member(&mut self.path, &key);
                let value = self.reader.value()?;
                self.value(value)
            }
            _ => {
                frame.is_empty = false;
                self.path.push_str(&format!("[{}]", frame.next_element));
                frame.next_element += 1;
                self.value(token)
            }
        }
    }

    fn value(&mut self, first: Token) -> Result<(), SyntaxError> {
        let is_open = matches!(first.kind, Kind::Open(Container::Object | Container::Array));
        if !is_open || self.open.len() >= PATH_STEPS_MAX || self.path.len() > PATH_BYTES_MAX {
            let span = self.reader.skip(first)?;
            self.leaf(span);
            return Ok(());
        }
        self.open.push(Frame {
            start: first.start as usize,
            path_bytes: self.path.len(),
            next_element: 0,
            is_empty: true,
        });
        Ok(())
    }

    fn leaf(&mut self, span: Range<usize>) {
        self.count += 1;
        self.found.entry(self.path.clone()).or_default().push(span);
    }
}

/// `.name`, or `["any text"]`; a name too long to show is cut and ends in an ellipsis.
fn push_member(path: &mut String, key: &str) {
    let end = key.char_indices().map(|(at, _)| at).find(|at| *at > PATH_BYTES_MAX);
    let (shown, ellipsis) = match end.and_then(|end| key.get(..end)) {
        Some(cut) => (cut, "\u{2026}"),
        None => (key, ""),
    };
    let mut bytes = shown.bytes();
    let is_identifier = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && ellipsis.is_empty();
    if !is_identifier {
        path.push_str(&format!("[{}]", quoted(&format!("{shown}{ellipsis}"))));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(shown);
}
