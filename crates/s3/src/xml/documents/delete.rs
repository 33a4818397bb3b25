//! `Delete`: the objects that DeleteObjects is to delete.

use super::super::{Element, parse};
use super::{boolean, once};
use crate::error::{S3Error, S3Result};

/// AWS's limit of one request.
const DELETE_OBJECTS_MAX: usize = 1000;

/// The request of DeleteObjects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeleteDocument {
    /// In the order sent.
    pub(crate) entries: Vec<DeleteEntry>,
    /// Answer with errors only.
    pub(crate) quiet: bool,
}

/// One object to delete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeleteEntry {
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
    /// Delete only if the current object has this entity tag, or `*`.
    pub(crate) etag: Option<String>,
    /// A condition that only directory buckets know.
    pub(crate) foreign_condition: Option<&'static str>,
}

impl DeleteDocument {
    /// Reads `<Delete><Object>…</Object><Quiet/></Delete>`.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("Delete")?;
        let (mut entries, mut quiet) = (Vec::new(), None);
        for child in root.children() {
            match child.name() {
                "Object" => entries.push(entry(child)?),
                "Quiet" => once(&mut quiet, boolean(child)?)?,
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        if entries.is_empty() || entries.len() > DELETE_OBJECTS_MAX {
            return Err(S3Error::malformed_xml());
        }
        Ok(Self { entries, quiet: quiet.unwrap_or(false) })
    }
}

fn entry(element: &Element) -> S3Result<DeleteEntry> {
    let (mut key, mut version_id, mut etag, mut foreign_condition) = (None, None, None, None);
    for child in element.children() {
        match child.name() {
            "Key" => once(&mut key, child.text().to_owned())?,
            "VersionId" => once(&mut version_id, child.trimmed().to_owned())?,
            "ETag" => once(&mut etag, child.trimmed().to_owned())?,
            "LastModifiedTime" => foreign_condition = Some("LastModifiedTime"),
            "Size" => foreign_condition = Some("Size"),
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let key = key.filter(|key| !key.is_empty()).ok_or_else(S3Error::malformed_xml)?;
    let version_id = version_id.filter(|version_id| !version_id.is_empty());
    Ok(DeleteEntry { key, version_id, etag, foreign_condition })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, Option<&'static str>, Option<&'static str>);

    fn check(document: &str, expected: Option<(&[Row], bool)>) {
        let parsed = DeleteDocument::parse(document.as_bytes()).ok();
        let shown = parsed.as_ref().map(|parsed| {
            let rows: Vec<_> = parsed
                .entries
                .iter()
                .map(|entry| {
                    (entry.key.as_str(), entry.version_id.as_deref(), entry.etag.as_deref())
                })
                .collect();
            (rows, parsed.quiet)
        });
        assert_eq!(shown, expected.map(|(rows, quiet)| (rows.to_vec(), quiet)), "{document}");
    }

    #[test]
    fn documents_are_read_or_refused() {
        check(
            "<Delete><Object><Key> a&amp;b</Key></Object></Delete>",
            Some((&[(" a&b", None, None)], false)),
        );
        check(
            "<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>v</VersionId>\
             <ETag>\"e\"</ETag></Object></Delete>",
            Some((&[("a", Some("v"), Some("\"e\""))], true)),
        );
        check("<Delete/>", None);
        check("<Delete><Object/></Delete>", None);
        check("<Delete><Object><Key></Key></Object></Delete>", None);
        check("<Delete><Object><Key>a</Key><Other/></Object></Delete>", None);
        check("<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>", None);
        let many = "<Object><Key>a</Key></Object>".repeat(1001);
        check(&format!("<Delete>{many}</Delete>"), None);
    }
}
