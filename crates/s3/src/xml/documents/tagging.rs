//! `Tagging`: the tags of a bucket or an object.

use super::super::{Element, parse};
use super::once;
use crate::error::{S3Error, S3Result};
use crate::tags::Tags;

/// Reads `<Tagging><TagSet><Tag>…`; the tags are not validated yet.
pub(crate) fn parse_tagging(document: &[u8]) -> S3Result<Tags> {
    let root = parse(document)?;
    root.expect_root("Tagging")?;
    match root.children() {
        // AWS takes a document without a set for an empty one.
        [] => Ok(Tags::new()),
        [set] if set.name() == "TagSet" => tags(set),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// Reads `<TagResourceRequest><Tags><Tag>…` of S3 Control; the tags are not validated yet.
pub(crate) fn parse_tag_resource(document: &[u8]) -> S3Result<Tags> {
    let root = parse(document)?;
    root.expect_root("TagResourceRequest")?;
    match root.children() {
        [set] if set.name() == "Tags" => tags(set),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// Reads a list of `<Tag><Key/><Value/></Tag>`.
pub(super) fn tags(set: &Element) -> S3Result<Tags> {
    set.children().iter().map(tag).collect()
}

/// Reads one `<Tag>`.
pub(super) fn tag(element: &Element) -> S3Result<(String, String)> {
    element.expect_root("Tag")?;
    let (mut key, mut value) = (None, None);
    for child in element.children() {
        match child.name() {
            "Key" => once(&mut key, child.text().to_owned())?,
            "Value" => once(&mut value, child.text().to_owned())?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    key.zip(value).ok_or_else(S3Error::malformed_xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: Option<&[(&str, &str)]>) {
        let expected = expected.map(|tags| {
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        });
        assert_eq!(parse_tagging(document.as_bytes()).ok(), expected, "{document}");
    }

    #[test]
    fn documents_are_read_or_refused() {
        check("<Tagging><TagSet/></Tagging>", Some(&[]));
        check(
            "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>",
            Some(&[("a", "1")]),
        );
        check("<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", None);
        check("<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>", None);
        check("<Tagging><TagSet><Other/></TagSet></Tagging>", None);
        check("<Tagging/>", Some(&[]));
        check("<Tagging><TagSet/><TagSet/></Tagging>", None);
        check("<Other><TagSet/></Other>", None);
    }
}
