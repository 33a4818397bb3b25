//! PutBucketVersioning and GetBucketVersioning:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html>.

use http::StatusCode;
use tidelock_store::{BucketChange, Versioning};

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::S3Result;
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::VersioningDocument;

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    call.store().bucket(&call.principal, &bucket).await?;
    let versioning = match VersioningDocument::parse(&body)? {
        VersioningDocument::Enabled => Versioning::Enabled,
        VersioningDocument::Suspended => Versioning::Suspended,
    };
    let change = BucketChange::Versioning(versioning);
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let document =
        XmlWriter::s3_document("VersioningConfiguration", |xml| match bucket.row.versioning {
            Versioning::Unversioned => {}
            Versioning::Enabled => xml.text("Status", "Enabled"),
            Versioning::Suspended => xml.text("Status", "Suspended"),
        });
    Ok(response::ok_xml(document))
}
