//! `CompleteMultipartUpload`: the parts that make the object.

use super::super::{Element, parse};
use super::once;
use crate::checksum::Algorithm;
use crate::error::{S3Error, S3Result};

/// The request of CompleteMultipartUpload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompleteDocument {
    /// In the order sent.
    pub(crate) parts: Vec<CompletePart>,
}

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompletePart {
    pub(crate) number: u32,
    pub(crate) etag: String,
    /// The part's checksum, in base64.
    pub(crate) checksum: Option<(Algorithm, String)>,
}

impl CompleteDocument {
    /// Reads `<CompleteMultipartUpload><Part>…`.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        // Older clients name the root after the completed upload.
        if root.name() != "CompleteMultipartUpload" && root.name() != "CompletedMultipartUpload" {
            return Err(S3Error::malformed_xml());
        }
        let parts: Vec<_> = root.children().iter().map(part).collect::<S3Result<_>>()?;
        if parts.is_empty() {
            return Err(S3Error::malformed_xml());
        }
        Ok(Self { parts })
    }
}

fn part(element: &Element) -> S3Result<CompletePart> {
    element.expect_root("Part")?;
    let (mut number, mut etag, mut checksum) = (None, None, None);
    for child in element.children() {
        match child.name() {
            "PartNumber" => once(&mut number, child.parsed()?)?,
            "ETag" => once(&mut etag, child.trimmed().to_owned())?,
            name => {
                let algorithm = Algorithm::of_element(name).ok_or_else(S3Error::malformed_xml)?;
                once(&mut checksum, (algorithm, child.trimmed().to_owned()))?;
            }
        }
    }
    let (number, etag) = number.zip(etag).ok_or_else(S3Error::malformed_xml)?;
    Ok(CompletePart { number, etag, checksum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: Option<&[(u32, &str, Option<&str>)]>) {
        let parsed = CompleteDocument::parse(document.as_bytes()).ok();
        let shown = parsed.as_ref().map(|parsed| {
            let rows = parsed.parts.iter().map(|part| {
                (
                    part.number,
                    part.etag.as_str(),
                    part.checksum.as_ref().map(|(_, text)| text.as_str()),
                )
            });
            rows.collect::<Vec<_>>()
        });
        assert_eq!(shown, expected.map(<[_]>::to_vec), "{document}");
    }

    #[test]
    fn documents_are_read_or_refused() {
        let wrap =
            |parts: &str| format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        check(
            &wrap(
                "<Part><ETag>\"e\"</ETag><PartNumber>1</PartNumber></Part><Part><PartNumber>2\
                 </PartNumber><ETag>f</ETag><ChecksumSHA256>AA==</ChecksumSHA256></Part>",
            ),
            Some(&[(1, "\"e\"", None), (2, "f", Some("AA=="))]),
        );
        check(&wrap(""), None);
        check(&wrap("<Part><ETag>e</ETag></Part>"), None);
        check(&wrap("<Part><PartNumber>1</PartNumber></Part>"), None);
        check(&wrap("<Part><ETag>e</ETag><PartNumber>x</PartNumber></Part>"), None);
        check(&wrap("<Part><ETag>e</ETag><PartNumber>1</PartNumber><Other/></Part>"), None);
    }
}
