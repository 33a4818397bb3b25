//! HeadBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>.

use http::{HeaderName, StatusCode};

use crate::call::Call;
use crate::error::S3Result;
use crate::response::{self, Response};
use crate::service::BUCKET_REGION;

const ACCESS_POINT_ALIAS: HeaderName = HeaderName::from_static("x-amz-access-point-alias");

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let mut response = response::empty(StatusCode::OK);
    let region = call.service.region_header(&bucket.row.region);
    response.headers_mut().insert(BUCKET_REGION, region);
    response::set_static(&mut response, ACCESS_POINT_ALIAS, "false");
    Ok(response)
}
