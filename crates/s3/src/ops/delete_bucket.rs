//! DeleteBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>.

use http::StatusCode;
use tidelock_store::{DeleteBucketError, Versioning};

use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let name = call.bucket()?;
    match call.store().delete_bucket(&call.principal, &name).await {
        Ok(()) => Ok(response::empty(StatusCode::NO_CONTENT)),
        Err(DeleteBucketError::NotEmpty) => {
            let bucket = call.store().bucket(&call.principal, &name).await?;
            Err(match bucket.row.versioning {
                Versioning::Unversioned => S3Error::new(ErrorCode::BucketNotEmpty),
                Versioning::Enabled | Versioning::Suspended => S3Error::with_message(
                    ErrorCode::BucketNotEmpty,
                    "The bucket you tried to delete is not empty. You must delete all versions in \
                     the bucket.",
                ),
            })
        }
        Err(error) => Err(error.into()),
    }
}
