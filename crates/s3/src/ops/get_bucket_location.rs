//! GetBucketLocation: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>.

use crate::call::Call;
use crate::error::S3Result;
use crate::response::{self, Response};
use crate::xml::XmlWriter;

/// The region that AWS answers with an empty element, where a bucket was made without naming one.
const CLASSIC_REGION: &str = "us-east-1";

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let own = bucket.row.region.as_str();
    let ours = call.service.config.region.as_str();
    let document = XmlWriter::s3_document("LocationConstraint", |xml| match own {
        "" if ours == CLASSIC_REGION => {}
        "" => xml.characters(ours),
        own => xml.characters(own),
    });
    Ok(response::ok_xml(document))
}
