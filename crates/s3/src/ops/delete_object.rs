//! DeleteObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>.

use http::{HeaderName, StatusCode};
use tidelock_store::{
    BucketName, DeleteCondition, DeleteObjectError, DeletedObject, LockBreaking, ObjectKey,
    Principal, StorageError, VersionSelector,
};

use super::put_object::VERSION_ID;
use crate::access::{Asked, Need};
use crate::call::Call;
use crate::conditions;
use crate::error::S3Result;
use crate::object_lock::{check_bypass, governance};
use crate::response::{self, Response};

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    check_bypass(call, &bucket).await?;
    let governance = governance(call, (&bucket, &key, version)).await;
    let condition = DeleteCondition { governance, ..conditions::delete(&call.headers)? };
    let deleted = delete(call, &call.principal, (&bucket, &key, version), condition).await?;
    let mut response = response::empty(StatusCode::NO_CONTENT);
    match (deleted.version, call.query.value("versionId")) {
        (Some(version), _) => response::set(&mut response, VERSION_ID, &version.to_string()),
        // A version that is not there is as good as deleted.
        (None, Some(asked)) => response::set(&mut response, VERSION_ID, asked),
        (None, None) => {}
    }
    if deleted.is_delete_marker {
        response::set_static(&mut response, DELETE_MARKER, "true");
    }
    Ok(response)
}

/// Deletes, and takes away a lock that another principal holds where the caller may.
pub(super) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    (bucket, key, version): (&BucketName, &ObjectKey, Option<VersionSelector>),
    condition: DeleteCondition,
) -> Result<DeletedObject, DeleteObjectError> {
    let store = call.store();
    let deleted = store.delete_object(principal, bucket, key, version, &condition).await;
    match deleted {
        Err(DeleteObjectError::HeldByAnother(_)) if may_break(call, bucket, key).await? => {
            let condition = DeleteCondition { breaking: LockBreaking::Allowed, ..condition };
            store.delete_object(principal, bucket, key, version, &condition).await
        }
        deleted => deleted,
    }
}

async fn may_break(
    call: &Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<bool, StorageError> {
    let Some(state) = key.locked_state() else { return Ok(false) };
    let object = Some((&state, None));
    let asked = Asked { need: Need::BREAK_LOCK, bucket, object, more_keys: &[] };
    match call.decide(&asked).await {
        Ok(_) => Ok(true),
        Err(error) if error.code().status().is_client_error() => Ok(false),
        Err(error) => Err(StorageError::Unavailable(error.message().to_owned())),
    }
}
