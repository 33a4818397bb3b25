//! AbortMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>.

use http::StatusCode;

use super::upload_part::upload_id;
use crate::call::Call;
use crate::error::S3Result;
use crate::response::{self, Response};

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let upload = upload_id(call)?;
    call.store().abort_upload(&call.principal, &bucket, &key, upload).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
