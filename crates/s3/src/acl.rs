//! Access control lists, as they are where the bucket owner owns everything.
//!
//! Every bucket is as one with AWS's default object ownership, `BucketOwnerEnforced`: reads answer the
//! owner's full control, and writes that would say anything else are refused
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>).

use http::HeaderMap;

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::owner::Owner;
use crate::xml::XmlWriter;

const CANNED: &str = "x-amz-acl";
const GRANT_PREFIX: &str = "x-amz-grant-";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const CANNED_ACLS: [&str; 8] = [
    "private",
    "public-read",
    "public-read-write",
    "aws-exec-read",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

/// Takes the headers of an object write that ask for nothing but the owner's full control.
///
/// # Errors
///
/// `AccessControlListNotSupported`; `InvalidArgument` for a canned ACL that does not exist.
pub(crate) fn check_object(headers: &HeaderMap) -> S3Result<()> {
    check(headers, ErrorCode::AccessControlListNotSupported)
}

/// The same for CreateBucket.
///
/// # Errors
///
/// `InvalidBucketAclWithObjectOwnership`; `InvalidArgument` for a canned ACL that does not exist.
pub(crate) fn check_create_bucket(headers: &HeaderMap) -> S3Result<()> {
    check(headers, ErrorCode::InvalidBucketAclWithObjectOwnership)
}

fn check(headers: &HeaderMap, refusal: ErrorCode) -> S3Result<()> {
    if headers.keys().any(|name| name.as_str().starts_with(GRANT_PREFIX)) {
        return Err(S3Error::new(refusal));
    }
    let Some(canned) = headers.get(CANNED) else { return Ok(()) };
    match canned.to_str().unwrap_or_default() {
        "" | "private" | "bucket-owner-full-control" => Ok(()),
        other if CANNED_ACLS.contains(&other) => Err(S3Error::new(refusal)),
        other => Err(S3Error::invalid_argument("Invalid Argument", CANNED, other)),
    }
}

/// Whether a request to set an ACL asks for the canned one that is there already.
pub(crate) fn asks_for_private(headers: &HeaderMap) -> bool {
    headers.get(CANNED).is_some_and(|canned| canned == "private")
}

/// The list of an owner with full control.
pub(crate) fn document(owner: &Owner) -> String {
    XmlWriter::s3_document("AccessControlPolicy", |xml| {
        owner.write(xml, "Owner");
        xml.element("AccessControlList", |xml| {
            xml.element("Grant", |xml| {
                let attributes = [("xmlns:xsi", SCHEMA_INSTANCE), ("xsi:type", "CanonicalUser")];
                xml.element_with("Grantee", &attributes, |xml| owner.write_inside(xml));
                xml.text("Permission", "FULL_CONTROL");
            });
        });
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn acls_of_writes() {
        let check = |name: &'static str, value: &'static str, expected: Option<ErrorCode>| {
            let headers: HeaderMap =
                [(HeaderName::from_static(name), HeaderValue::from_static(value))]
                    .into_iter()
                    .collect();
            let refusal = check_object(&headers).err().map(|error| error.code());
            assert_eq!(refusal, expected, "{name}: {value}");
        };
        check("x-amz-acl", "private", None);
        check("x-amz-acl", "bucket-owner-full-control", None);
        check("x-amz-acl", "public-read", Some(ErrorCode::AccessControlListNotSupported));
        check("x-amz-acl", "public-ready", Some(ErrorCode::InvalidArgument));
        check("x-amz-grant-read", "id=1", Some(ErrorCode::AccessControlListNotSupported));
        check("x-other", "1", None);
    }
}
