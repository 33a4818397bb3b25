//! Small answer documents as trees: read whole, then asked by name.
//!
//! Answers are bounded by the transport, so depth is the only limit here.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::ClientError;

/// S3's documents are at most 5 deep.
const DEPTH_MAX: usize = 16;

/// One element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root element of `document`; namespaces and attributes are dropped.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, ClientError> {
        let mut reader = Reader::from_reader(document);
        // What is open, the document itself at the bottom.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| malformed(&error))? {
                Event::Start(tag) if open.len() <= DEPTH_MAX => {
                    open.push(Self::named(tag.local_name().as_ref()));
                }
                Event::Start(_) => return Err(malformed(&"the document is too deep")),
                Event::Empty(tag) => close(&mut open, Self::named(tag.local_name().as_ref())),
                Event::End(_) => {
                    let element = open.pop().unwrap_or_default();
                    close(&mut open, element);
                }
                Event::Text(text) => {
                    append(&mut open, &text.decode().map_err(|error| malformed(&error))?);
                }
                Event::CData(data) => {
                    append(&mut open, &data.decode().map_err(|error| malformed(&error))?);
                }
                Event::GeneralRef(reference) => append(&mut open, &resolve(&reference)?),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        match open.as_mut_slice() {
            [document] => document.children.pop().ok_or_else(|| malformed(&"no element")),
            _ => Err(malformed(&"the document breaks off")),
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The first child called `name`.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children with their names, in order.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children.iter().map(|child| (child.name.as_str(), child))
    }

    /// The text of the first child called `name`.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The same, where S3 always sends one.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ClientError> {
        self.text_of(name).ok_or_else(|| malformed(&format!("{} has no {name}", self.name)))
    }

    /// A child that says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text_of(name) == Some("true")
    }

    fn named(name: &[u8]) -> Self {
        Self { name: String::from_utf8_lossy(name).into_owned(), ..Self::default() }
    }
}

/// `text`, safe between tags.
pub(crate) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn close(open: &mut [Element], element: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(element);
    }
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<String, ClientError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| malformed(&error))? {
        return Ok(character.to_string());
    }
    let name = reference.decode().map_err(|error| malformed(&error))?;
    let text = quick_xml::escape::resolve_predefined_entity(&name);
    text.map(str::to_owned).ok_or_else(|| malformed(&format!("unknown entity {name}")))
}

fn malformed(reason: &dyn std::fmt::Display) -> ClientError {
    ClientError::Malformed(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_trees() {
        let root = Element::parse(
            b"<?xml version=\"1.0\"?>\n<A xmlns=\"u\"><B>x &amp; &#x41;</B><C/><B>2</B></A>",
        )
        .unwrap();
        assert_eq!(root.required("B").unwrap(), "x & A");
        assert_eq!(root.text_of("C"), Some(""));
        assert_eq!(root.children().filter(|(name, _)| *name == "B").count(), 2);
        root.required("D").unwrap_err();
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(100);
        for text in ["", "<a>", "<a></b>", "text", "<a>&nope;</a>", &deep] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
