//! The documents that requests carry. Unknown elements are refused, as AWS refuses them.

mod acl;
mod bucket;
mod complete;
mod cors;
mod delete;
mod lifecycle;
mod object_lock;
mod tagging;

pub(crate) use acl::{AclDocument, GranteeName};
pub(crate) use bucket::{
    BucketConfiguration, Encryption, EncryptionRule, PublicAccessBlockDocument, VersioningDocument,
    ownership_of_text, parse_ownership_controls,
};
pub(crate) use complete::{CompleteDocument, CompletePart};
pub(crate) use cors::{CORS_METHODS, CorsDocument, CorsRule};
pub(crate) use delete::{DeleteDocument, DeleteEntry};
pub(crate) use lifecycle::{lifecycle_document, parse_lifecycle};
pub(crate) use object_lock::{
    mode_of_text, mode_text, object_lock_document, parse_legal_hold, parse_object_lock,
    parse_retention,
};
pub(crate) use tagging::{parse_tag_resource, parse_tagging};

use super::Element;
use crate::error::{S3Error, S3Result};

/// Fills a field that may occur once.
fn once<T>(field: &mut Option<T>, value: T) -> S3Result<()> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(S3Error::malformed_xml()),
    }
}

fn boolean(element: &Element) -> S3Result<bool> {
    match element.trimmed() {
        "true" | "TRUE" | "True" => Ok(true),
        "false" | "FALSE" | "False" => Ok(false),
        _ => Err(S3Error::malformed_xml()),
    }
}
