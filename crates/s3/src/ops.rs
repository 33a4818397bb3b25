//! The operations, one file each, and the one place that knows them all.

mod abort_multipart_upload;
mod acl;
mod bucket_cors;
mod bucket_encryption;
mod bucket_lifecycle;
mod bucket_policy;
mod bucket_tagging;
mod bucket_versioning;
mod complete_multipart_upload;
mod copy_object;
pub(crate) mod copy_source;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod listing;
mod never_configured;
mod object_lock;
mod object_tagging;
mod ownership_controls;
pub(crate) mod post_object;
pub(crate) mod preflight;
mod public_access_block;
mod put_object;
mod upload_part;
mod upload_part_copy;

use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::Response;
use crate::route::Operation;

/// Runs the operation of a call.
///
/// # Errors
///
/// What the operation refuses; 501 `NotImplemented` for those that are not built.
pub(crate) async fn dispatch(call: &mut Call<'_>) -> S3Result<Response> {
    use Operation as Op;
    match call.operation {
        Op::ListBuckets => list_buckets::handle(call).await,
        Op::CreateBucket => create_bucket::handle(call).await,
        Op::HeadBucket => head_bucket::handle(call).await,
        Op::DeleteBucket => delete_bucket::handle(call).await,
        Op::GetBucketLocation => get_bucket_location::handle(call).await,
        Op::PutBucketVersioning => bucket_versioning::put(call).await,
        Op::GetBucketVersioning => bucket_versioning::get(call).await,
        Op::PutBucketEncryption => bucket_encryption::put(call).await,
        Op::GetBucketEncryption => bucket_encryption::get(call).await,
        Op::DeleteBucketEncryption => bucket_encryption::delete(call).await,
        Op::PutBucketPolicy => bucket_policy::put(call).await,
        Op::GetBucketPolicy => bucket_policy::get(call).await,
        Op::DeleteBucketPolicy => bucket_policy::delete(call).await,
        Op::GetBucketPolicyStatus => bucket_policy::status(call).await,
        Op::PutBucketCors => bucket_cors::put(call).await,
        Op::GetBucketCors => bucket_cors::get(call).await,
        Op::DeleteBucketCors => bucket_cors::delete(call).await,
        Op::PutPublicAccessBlock => public_access_block::put(call).await,
        Op::GetPublicAccessBlock => public_access_block::get(call).await,
        Op::DeletePublicAccessBlock => public_access_block::delete(call).await,
        Op::PutBucketTagging => bucket_tagging::put(call).await,
        Op::GetBucketTagging => bucket_tagging::get(call).await,
        Op::DeleteBucketTagging => bucket_tagging::delete(call).await,
        Op::GetBucketOwnershipControls => ownership_controls::get(call).await,
        Op::PutBucketOwnershipControls => ownership_controls::put(call).await,
        Op::DeleteBucketOwnershipControls => ownership_controls::delete(call).await,
        Op::PutBucketLifecycleConfiguration => bucket_lifecycle::put(call).await,
        Op::GetBucketLifecycleConfiguration => bucket_lifecycle::get(call).await,
        Op::DeleteBucketLifecycle => bucket_lifecycle::delete(call).await,
        Op::GetObjectLockConfiguration => object_lock::get_configuration(call).await,
        Op::PutObjectLockConfiguration => object_lock::put_configuration(call).await,
        Op::ListObjects => list_objects::handle(call).await,
        Op::ListObjectsV2 => list_objects_v2::handle(call).await,
        Op::ListObjectVersions => list_object_versions::handle(call).await,
        Op::DeleteObjects => delete_objects::handle(call).await,
        _ => dispatch_object(call).await,
    }
}

async fn dispatch_object(call: &mut Call<'_>) -> S3Result<Response> {
    use Operation as Op;
    match call.operation {
        Op::PutObject => put_object::handle(call).await,
        Op::GetObject | Op::HeadObject => get_object::handle(call).await,
        Op::GetObjectAttributes => get_object_attributes::handle(call).await,
        Op::DeleteObject => delete_object::handle(call).await,
        Op::CopyObject => copy_object::handle(call).await,
        Op::PutObjectTagging => object_tagging::put(call).await,
        Op::GetObjectTagging => object_tagging::get(call).await,
        Op::DeleteObjectTagging => object_tagging::delete(call).await,
        Op::CreateMultipartUpload => create_multipart_upload::handle(call).await,
        Op::UploadPart => upload_part::handle(call).await,
        Op::UploadPartCopy => upload_part_copy::handle(call).await,
        Op::CompleteMultipartUpload => complete_multipart_upload::handle(call).await,
        Op::AbortMultipartUpload => abort_multipart_upload::handle(call).await,
        Op::ListParts => list_parts::handle(call).await,
        Op::ListMultipartUploads => list_multipart_uploads::handle(call).await,
        Op::GetBucketAcl => acl::get_bucket(call).await,
        Op::GetObjectAcl => acl::get_object(call).await,
        Op::PutBucketAcl => acl::put_bucket(call).await,
        Op::PutObjectAcl => acl::put_object(call).await,
        Op::GetObjectLegalHold => object_lock::get_legal_hold(call).await,
        Op::GetObjectRetention => object_lock::get_retention(call).await,
        Op::PutObjectLegalHold => object_lock::put_legal_hold(call).await,
        Op::PutObjectRetention => object_lock::put_retention(call).await,
        operation => match never_configured::answer_of(operation) {
            Some(answer) => never_configured::handle(call, answer).await,
            None => Err(not_built(operation)),
        },
    }
}

fn not_built(operation: Operation) -> S3Error {
    S3Error::with_message(
        ErrorCode::NotImplemented,
        format!("{} is not implemented", operation.as_str()),
    )
}
