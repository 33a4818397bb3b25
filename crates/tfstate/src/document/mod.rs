//! A whole state in memory: where in the body each thing stands.
//!
//! Reads the structure and no attribute. What it does not know, or what a later duplicate replaces,
//! it remembers as *unread*, so that a mask can hide it.

mod v3;
mod v4;

use std::ops::Range;

use crate::json::{Container, Kind, Reader, SyntaxError, Token, decode};
use crate::state::{Format, NotAState, State};
use crate::summary::{Instance, Output, Resource, Summary};

/// Largest body that is read whole. A state of 50,000 resources has some 100 MB.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// Largest body that a server looks into for whoever asks or writes, who wait for it and share its
/// memory. A state of 8,000 resources has some 16 MB.
pub const SERVED_BYTES_MAX: usize = 16 << 20;

/// Most instances, outputs, check objects and unread values of a state, each.
pub const ITEMS_MAX: usize = 250_000;

/// Longest name, address or key that is read, escapes included.
pub const NAME_BYTES_MAX: usize = 16 << 10;

/// Most bytes of the addresses of modules of formats 2 and 3, counted once for each resource: these
/// formats name a module once, and each of its resources gets a copy.
const MODULE_ADDRESSES_BYTES_MAX: usize = 64 << 20;

/// A state that was read whole. Borrows its body; holds only what it lists.
#[derive(Debug)]
pub struct Document<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) summary: Summary,
    /// Values that are not understood, or that a duplicate replaces.
    pub(crate) unread: Vec<Range<usize>>,
}

/// Why a state cannot be read whole. Says where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// No state at all.
    #[error(transparent)]
    NotAState(#[from] NotAState),
    /// Only OpenTofu with the right key can read it.
    #[error("encrypted by the client: only its serial and lineage can be read")]
    Encrypted,
    /// A format before 2 or after 4.
    #[error("state format version {version} is not 2, 3 or 4")]
    UnknownFormat {
        /// The top-level `version`.
        version: u64,
    },
    /// The body is above [`DOCUMENT_BYTES_MAX`].
    #[error("the body has {bytes} bytes, more than {DOCUMENT_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// More than [`ITEMS_MAX`] of one thing.
    #[error("more than {ITEMS_MAX} instances, outputs, checks or unknown fields at byte {offset}")]
    TooManyItems {
        /// Where the first one too many stands.
        offset: u64,
    },
    /// A name is not a string, or above [`NAME_BYTES_MAX`].
    #[error("no name of at most {NAME_BYTES_MAX} bytes at byte {offset}")]
    NotAName {
        /// Where it stands.
        offset: u64,
    },
}

impl From<SyntaxError> for DocumentError {
    fn from(error: SyntaxError) -> Self {
        Self::NotAState(error.into())
    }
}

impl<'a> Document<'a> {
    /// Reads the structure of the state in `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, DocumentError> {
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err(DocumentError::TooLarge { bytes: body.len() });
        }
        let state = State::parse(body)?;
        let version = match state.format {
            Format::Clear { version } => version,
            Format::Encrypted { .. } => return Err(DocumentError::Encrypted),
        };
        let mut parser = Parser {
            reader: Reader::new(body),
            unread: Vec::new(),
            instances: 0,
            module_addresses_bytes: 0,
        };
        let first = parser.reader.value()?;
        let mut summary =
            Summary { state, resources: Vec::new(), outputs: Vec::new(), checks: Vec::new() };
        match version {
            2 | 3 => parser.v3(first, &mut summary)?,
            4 => parser.v4(first, &mut summary)?,
            _ => return Err(DocumentError::UnknownFormat { version }),
        }
        Ok(Self { body, summary, unread: parser.unread })
    }

    /// What the state holds, by name.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The same, without the body.
    pub fn into_summary(self) -> Summary {
        self.summary
    }

    /// Every instance with its block and the bytes of its object, braces included, in the order of the
    /// body: for a caller that tells two of them apart by a digest.
    pub fn instances(&self) -> impl Iterator<Item = (&Resource, &Instance, &'a [u8])> {
        self.summary.resources.iter().flat_map(move |resource| {
            let instances = resource.instances.iter();
            instances.map(move |instance| (resource, instance, self.bytes(&instance.span)))
        })
    }

    /// Every output of the root module with the bytes of its value, none of them where it has no
    /// value.
    pub fn outputs(&self) -> impl Iterator<Item = (&Output, &'a [u8])> {
        let outputs = self.summary.outputs.iter();
        outputs.map(|output| {
            let value = output.value.as_ref();
            (output, value.map_or(&[] as &[u8], |value| self.bytes(value)))
        })
    }

    pub(crate) fn bytes(&self, span: &Range<usize>) -> &'a [u8] {
        self.body.get(span.clone()).unwrap_or_default()
    }
}

struct Parser<'a> {
    reader: Reader<'a>,
    unread: Vec<Range<usize>>,
    instances: usize,
    module_addresses_bytes: usize,
}

impl Parser<'_> {
    /// Calls `each` with every member of the object that begins with `first`; it takes the value.
    /// Anything but an object is unread.
    fn members(
        &mut self,
        first: Token,
        mut each: impl FnMut(&mut Self, &str, Token) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        if first.kind != Kind::Open(Container::Object) {
            return self.leave(first);
        }
        while let Some(key) = self.reader.key()? {
            let value = self.reader.value()?;
            each(self, &key, value)?;
        }
        Ok(())
    }

    /// Calls `each` with every element of the array that begins with `first`; it takes the value.
    fn elements(
        &mut self,
        first: Token,
        mut each: impl FnMut(&mut Self, Token) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        if first.kind != Kind::Open(Container::Array) {
            return self.leave(first);
        }
        while let Some(element) = self.reader.element()? {
            each(self, element)?;
        }
        Ok(())
    }

    /// Goes over a value that shows nothing.
    fn skip(&mut self, value: Token) -> Result<(), DocumentError> {
        self.reader.skip(value)?;
        Ok(())
    }

    /// Goes over a value that is not understood.
    fn leave(&mut self, value: Token) -> Result<(), DocumentError> {
        let span = self.reader.skip(value)?;
        if value.kind == Kind::Null { Ok(()) } else { self.hide(span) }
    }

    fn hide(&mut self, span: Range<usize>) -> Result<(), DocumentError> {
        let offset = span.start as u64;
        push(&mut self.unread, span, offset)
    }

    /// The span of a value, in the place of an earlier duplicate. A `null` is a value here: Go keeps
    /// these as raw text.
    fn span(&mut self, slot: &mut Option<Range<usize>>, value: Token) -> Result<(), DocumentError> {
        let span = self.reader.skip(value)?;
        slot.replace(span).map_or(Ok(()), |replaced| self.hide(replaced))
    }

    fn name(&mut self, value: Token) -> Result<String, DocumentError> {
        let raw = self.reader.raw(value);
        if value.kind != Kind::String || raw.len() > NAME_BYTES_MAX {
            return Err(DocumentError::NotAName { offset: value.start });
        }
        Ok(decode(raw).into_owned())
    }

    fn key_name(&self, key: &str, value: Token) -> Result<String, DocumentError> {
        if key.len() > NAME_BYTES_MAX {
            return Err(DocumentError::NotAName { offset: value.start });
        }
        Ok(key.to_owned())
    }

    fn instance(
        &mut self,
        instances: &mut Vec<Instance>,
        instance: Instance,
    ) -> Result<(), DocumentError> {
        self.instances += 1;
        if self.instances > ITEMS_MAX {
            return Err(DocumentError::TooManyItems { offset: instance.span.start as u64 });
        }
        instances.push(instance);
        Ok(())
    }

    fn output(&mut self, outputs: &mut Vec<Output>, output: Output) -> Result<(), DocumentError> {
        let offset = output.value.as_ref().map_or(0, |value| value.start as u64);
        push(outputs, output, offset)
    }

    /// Instances that a later duplicate replaces.
    fn forget(&mut self, instances: Vec<Instance>) -> Result<(), DocumentError> {
        instances.into_iter().try_for_each(|instance| self.hide(instance.span))
    }

    fn forget_resources(&mut self, resources: &mut Vec<Resource>) -> Result<(), DocumentError> {
        let replaced = std::mem::take(resources);
        replaced.into_iter().try_for_each(|resource| self.forget(resource.instances))
    }
}

fn push<T>(items: &mut Vec<T>, item: T, offset: u64) -> Result<(), DocumentError> {
    if items.len() >= ITEMS_MAX {
        return Err(DocumentError::TooManyItems { offset });
    }
    items.push(item);
    Ok(())
}
