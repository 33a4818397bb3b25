//! Get and PutBucketOwnershipControls:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html>.
//!
//! The bucket owner owns everything; another setting would need ACLs.

use http::StatusCode;

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::OwnershipControls;

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    call.store().bucket(&call.principal, &call.bucket()?).await?;
    let document = XmlWriter::s3_document("OwnershipControls", |xml| {
        xml.element("Rule", |xml| xml.text("ObjectOwnership", "BucketOwnerEnforced"));
    });
    Ok(response::ok_xml(document))
}

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    match OwnershipControls::parse(&body)? {
        OwnershipControls::BucketOwnerEnforced => Ok(response::empty(StatusCode::OK)),
        OwnershipControls::BucketOwnerPreferred | OwnershipControls::ObjectWriter => {
            Err(S3Error::with_message(
                ErrorCode::NotImplemented,
                "Object ownership other than BucketOwnerEnforced is not implemented",
            ))
        }
    }
}
