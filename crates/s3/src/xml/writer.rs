//! Writes XML text: elements in order, escaped; knows no document.

use std::fmt::Write as _;

use super::S3_NAMESPACE;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const INITIAL_CAPACITY_BYTES: usize = 512;

/// A document being written. Elements nest by closures, so they always close.
#[derive(Debug)]
pub(crate) struct XmlWriter {
    out: String,
}

impl XmlWriter {
    /// A document with only its declaration yet.
    pub(crate) fn document() -> Self {
        let mut out = String::with_capacity(INITIAL_CAPACITY_BYTES);
        out.push_str(DECLARATION);
        Self { out }
    }

    /// A whole document whose root is in the S3 namespace.
    pub(crate) fn s3_document(root: &str, inside: impl FnOnce(&mut Self)) -> String {
        Self::document_in(root, S3_NAMESPACE, inside)
    }

    /// A whole document whose root is in `namespace`.
    pub(crate) fn document_in(
        root: &str,
        namespace: &str,
        inside: impl FnOnce(&mut Self),
    ) -> String {
        let mut xml = Self::document();
        xml.element_with(root, &[("xmlns", namespace)], inside);
        xml.finish()
    }

    /// `<name>…</name>`.
    pub(crate) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.element_with(name, &[], inside);
    }

    /// `<name attribute="value">…</name>`.
    pub(crate) fn element_with(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, value) in attributes {
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
        self.out.push('>');
        inside(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// `<name>text</name>`.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.element(name, |xml| xml.characters(text));
    }

    /// `<name>text</name>`, if there is one.
    pub(crate) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// `<name>value</name>` for numbers and booleans, which have nothing to escape.
    pub(crate) fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.element(name, |xml| {
            // Writing to a String cannot fail.
            let _ = write!(xml.out, "{value}");
        });
    }

    /// Escaped text inside the current element.
    pub(crate) fn characters(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    /// Makes room for so many bytes, where it is known that there will be about as many.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.out
    }
}

/// Control characters become references, as AWS writes them: a raw carriage return would be read
/// back as a line feed, and a strict reader is told to ask for `encoding-type=url` instead.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| IS_ESCAPED[usize::from(byte)]) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'&' => out.push_str("&amp;"),
            b'<' => out.push_str("&lt;"),
            b'>' => out.push_str("&gt;"),
            b'"' => out.push_str("&quot;"),
            // Writing to a String cannot fail.
            control => drop(write!(out, "&#x{control:x};")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Which bytes [`escape`] replaces: most texts have none, and a page of a listing has thousands.
const IS_ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = byte != b'\n' as usize && byte != b'\t' as usize;
        byte += 1;
    }
    table[b'&' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'"' as usize] = true;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut out = String::new();
        escape(&mut out, text);
        assert_eq!(out, expected, "{text:?}");
    }

    #[test]
    fn text_is_escaped() {
        check("plain ünïcode", "plain ünïcode");
        check("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c'");
        check("\u{1}\r\n\t", "&#x1;&#xd;\n\t");
        check("&", "&amp;");
        check("", "");
    }

    #[test]
    fn elements_nest() {
        let xml = XmlWriter::s3_document("Root", |xml| {
            xml.text("A", "1");
            xml.element("B", |xml| xml.value("C", true));
            xml.optional("D", None);
        });
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root xmlns=\"http://s3.amazonaws.com/doc/\
             2006-03-01/\"><A>1</A><B><C>true</C></B></Root>"
        );
    }
}
