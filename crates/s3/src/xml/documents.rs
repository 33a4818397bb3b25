//! The documents that requests carry. Unknown elements are refused, as AWS refuses them.

mod acl;
mod bucket;
mod complete;
mod cors;
mod delete;
mod tagging;

pub(crate) use acl::{AclDocument, GranteeName};
pub(crate) use bucket::{
    BucketConfiguration, Encryption, EncryptionRule, PublicAccessBlockDocument, VersioningDocument,
    ownership_of_text, parse_ownership_controls,
};
pub(crate) use complete::{CompleteDocument, CompletePart};
pub(crate) use cors::{CORS_METHODS, CorsDocument, CorsRule};
pub(crate) use delete::{DeleteDocument, DeleteEntry};
pub(crate) use tagging::parse_tagging;

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
