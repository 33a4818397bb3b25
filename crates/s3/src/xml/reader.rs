//! Reads a request document into a small tree, with limits on depth and number of elements.
//!
//! Refuses document types, NUL, and entities other than the five of XML; namespaces are ignored, as AWS
//! ignores them. Knows no document: [`crate::xml::documents`] does.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::error::{S3Error, S3Result};

/// No S3 document nests deeper than 6.
const DEPTH_ELEMENTS_MAX: usize = 16;
/// The largest document is CompleteMultipartUpload: 10,000 parts of at most 8 elements.
const DOCUMENT_ELEMENTS_MAX: usize = 100_000;

/// An element: either text or children matter, never both.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// The root element of a document.
pub(crate) fn parse(document: &[u8]) -> S3Result<Element> {
    let text = std::str::from_utf8(document).map_err(|_| S3Error::malformed_xml())?;
    Parser::default().parse(text).ok_or_else(S3Error::malformed_xml)
}

impl Element {
    /// The name without its namespace prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text as it stands.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text without the white space around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The elements inside.
    pub(crate) fn children(&self) -> &[Element] {
        &self.children
    }

    /// The text as another type.
    pub(crate) fn parsed<T: std::str::FromStr>(&self) -> S3Result<T> {
        self.trimmed().parse().map_err(|_| S3Error::malformed_xml())
    }

    /// Refuses a document whose root has another name.
    pub(crate) fn expect_root(&self, name: &str) -> S3Result<()> {
        if self.name == name { Ok(()) } else { Err(S3Error::malformed_xml()) }
    }
}

#[derive(Default)]
struct Parser {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Parser {
    fn parse(mut self, text: &str) -> Option<Element> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => self.start(&start)?,
                Event::Empty(start) => {
                    self.start(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.characters(&text.xml_content().ok()?)?,
                Event::CData(text) => self.characters(&text.xml_content().ok()?)?,
                Event::GeneralRef(reference) => {
                    let mut buffer = [0; 4];
                    self.characters(resolve(&reference)?.encode_utf8(&mut buffer))?;
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) => return None,
                Event::Eof => return if self.open.is_empty() { self.root } else { None },
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Option<()> {
        self.elements += 1;
        let fits = self.elements <= DOCUMENT_ELEMENTS_MAX && self.open.len() < DEPTH_ELEMENTS_MAX;
        if !fits || self.root.is_some() {
            return None;
        }
        let name = std::str::from_utf8(start.local_name().into_inner()).ok()?.to_owned();
        self.open.push(Element { name, ..Element::default() });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Some(())
    }

    fn characters(&mut self, text: &str) -> Option<()> {
        // No document can carry it, so that what is kept could not be read again.
        if text.contains('\0') {
            return None;
        }
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_matches(['\u{feff}', ' ', '\r', '\n', '\t']).is_empty() => {}
            None => return None,
        }
        Some(())
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    match &*reference.decode().ok()? {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: Option<&str>) {
        let read = parse(document.as_bytes()).ok().map(|root| show(&root));
        assert_eq!(read.as_deref(), expected, "{document}");
    }

    fn show(element: &Element) -> String {
        let inside: Vec<String> = element.children.iter().map(show).collect();
        format!("{}={:?}[{}]", element.name, element.text, inside.join(","))
    }

    #[test]
    fn documents_are_read_or_refused() {
        check("<A/>", Some("A=\"\"[]"));
        check("<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><B>1</B></A>\n", Some("A=\"\"[B=\"1\"[]]"));
        check("<A> a&amp;b&#x41;<!-- c --></A>", Some("A=\" a&bA\"[]"));
        check("<n:A><n:B><![CDATA[<&]]></n:B></n:A>", Some("A=\"\"[B=\"<&\"[]]"));
        check("", None);
        check("text", None);
        check("<A>", None);
        check("<A></B>", None);
        check("<A/><B/>", None);
        check("<A>&unknown;</A>", None);
        check("<A>a\0b</A>", None);
        check("<A><![CDATA[\0]]></A>", None);
        check("<A>&#0;</A>", None);
        check("<!DOCTYPE a [<!ENTITY x \"y\">]><A>&x;</A>", None);
    }

    #[test]
    fn depth_is_limited() {
        let deep = |levels: usize| "<A>".repeat(levels) + &"</A>".repeat(levels);
        assert!(parse(deep(DEPTH_ELEMENTS_MAX).as_bytes()).is_ok());
        assert!(parse(deep(DEPTH_ELEMENTS_MAX + 1).as_bytes()).is_err());
    }
}
