//! XML documents: at most one kind of document is read from any bytes, and what we write of it reads the
//! same.

use std::fmt::Debug;

use tidelock_store::TransitionMinimum;

use crate::error::S3Result;
use crate::tags::Tags;
use crate::xml::XmlWriter;
use crate::xml::documents::{
    AclDocument, BucketConfiguration, CompleteDocument, CorsDocument, DeleteDocument,
    EncryptionRule, PublicAccessBlockDocument, VersioningDocument, lifecycle_document,
    object_lock_document, parse_legal_hold, parse_lifecycle, parse_object_lock,
    parse_ownership_controls, parse_retention, parse_tagging,
};

/// The document of a request's body, given to the reader of every kind.
pub fn document(bytes: &[u8]) {
    let lifecycle = |bytes: &[u8]| {
        parse_lifecycle(bytes, TransitionMinimum::default(), |place| format!("made-{place}"))
    };
    let kinds = [
        AclDocument::parse(bytes).is_ok(),
        BucketConfiguration::parse(bytes).is_ok() && !bytes.is_empty(),
        CompleteDocument::parse(bytes).is_ok_and(|it| !it.parts.is_empty()),
        DeleteDocument::parse(bytes).is_ok_and(|it| it.entries.iter().all(|it| !it.key.is_empty())),
        EncryptionRule::parse(bytes).is_ok(),
        PublicAccessBlockDocument::parse(bytes).is_ok(),
        VersioningDocument::parse(bytes).is_ok(),
        parse_legal_hold(bytes).is_ok(),
        parse_ownership_controls(bytes).is_ok(),
        parse_retention(bytes).is_ok(),
        again(bytes, CorsDocument::parse, CorsDocument::to_xml),
        again(bytes, parse_object_lock, object_lock_document),
        again(bytes, parse_tagging, tagging),
        again(bytes, lifecycle, lifecycle_document),
    ];
    assert!(kinds.iter().filter(|is_read| **is_read).count() <= 1, "{kinds:?}");
}

/// Whether the bytes are read; then they are written and read once more.
fn again<T: Debug + PartialEq>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> S3Result<T>,
    write: impl Fn(&T) -> String,
) -> bool {
    let Ok(first) = read(bytes) else { return false };
    let written = write(&first);
    let second = read(written.as_bytes()).map_err(|error| error.code());
    assert_eq!(second, Ok(first), "{written}");
    true
}

fn tagging(tags: &Tags) -> String {
    XmlWriter::s3_document("Tagging", |xml| {
        xml.element("TagSet", |xml| {
            for (key, value) in tags {
                xml.element("Tag", |xml| {
                    xml.text("Key", key);
                    xml.text("Value", value);
                });
            }
        });
    })
}
