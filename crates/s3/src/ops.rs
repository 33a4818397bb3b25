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

use std::pin::Pin;

use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::Response;
use crate::route::Operation;

/// An operation at work, in a box of its own: the future of a request is moved several times before it runs,
/// and would otherwise have room for the largest of all operations.
type Handling<'a> = Pin<Box<dyn Future<Output = S3Result<Response>> + Send + 'a>>;

/// Runs the operation of a call.
///
/// # Errors
///
/// What the operation refuses; 501 `NotImplemented` for those that are not built.
pub(crate) fn dispatch<'a>(call: &'a mut Call<'_>) -> Handling<'a> {
    use Operation as Op;
    match call.operation {
        Op::ListBuckets => Box::pin(list_buckets::handle(call)),
        Op::CreateBucket => Box::pin(create_bucket::handle(call)),
        Op::HeadBucket => Box::pin(head_bucket::handle(call)),
        Op::DeleteBucket => Box::pin(delete_bucket::handle(call)),
        Op::GetBucketLocation => Box::pin(get_bucket_location::handle(call)),
        Op::PutBucketVersioning => Box::pin(bucket_versioning::put(call)),
        Op::GetBucketVersioning => Box::pin(bucket_versioning::get(call)),
        Op::PutBucketEncryption => Box::pin(bucket_encryption::put(call)),
        Op::GetBucketEncryption => Box::pin(bucket_encryption::get(call)),
        Op::DeleteBucketEncryption => Box::pin(bucket_encryption::delete(call)),
        Op::PutBucketPolicy => Box::pin(bucket_policy::put(call)),
        Op::GetBucketPolicy => Box::pin(bucket_policy::get(call)),
        Op::DeleteBucketPolicy => Box::pin(bucket_policy::delete(call)),
        Op::GetBucketPolicyStatus => Box::pin(bucket_policy::status(call)),
        Op::PutBucketCors => Box::pin(bucket_cors::put(call)),
        Op::GetBucketCors => Box::pin(bucket_cors::get(call)),
        Op::DeleteBucketCors => Box::pin(bucket_cors::delete(call)),
        Op::PutPublicAccessBlock => Box::pin(public_access_block::put(call)),
        Op::GetPublicAccessBlock => Box::pin(public_access_block::get(call)),
        Op::DeletePublicAccessBlock => Box::pin(public_access_block::delete(call)),
        Op::PutBucketTagging => Box::pin(bucket_tagging::put(call)),
        Op::GetBucketTagging => Box::pin(bucket_tagging::get(call)),
        Op::DeleteBucketTagging => Box::pin(bucket_tagging::delete(call)),
        Op::ListTagsForResource => Box::pin(bucket_tagging::list_for_resource(call)),
        Op::TagResource => Box::pin(bucket_tagging::tag_resource(call)),
        Op::UntagResource => Box::pin(bucket_tagging::untag_resource(call)),
        Op::GetBucketOwnershipControls => Box::pin(ownership_controls::get(call)),
        Op::PutBucketOwnershipControls => Box::pin(ownership_controls::put(call)),
        Op::DeleteBucketOwnershipControls => Box::pin(ownership_controls::delete(call)),
        Op::PutBucketLifecycleConfiguration => Box::pin(bucket_lifecycle::put(call)),
        Op::GetBucketLifecycleConfiguration => Box::pin(bucket_lifecycle::get(call)),
        Op::DeleteBucketLifecycle => Box::pin(bucket_lifecycle::delete(call)),
        Op::GetObjectLockConfiguration => Box::pin(object_lock::get_configuration(call)),
        Op::PutObjectLockConfiguration => Box::pin(object_lock::put_configuration(call)),
        Op::ListObjects => Box::pin(list_objects::handle(call)),
        Op::ListObjectsV2 => Box::pin(list_objects_v2::handle(call)),
        Op::ListObjectVersions => Box::pin(list_object_versions::handle(call)),
        Op::DeleteObjects => Box::pin(delete_objects::handle(call)),
        _ => dispatch_object(call),
    }
}

fn dispatch_object<'a>(call: &'a mut Call<'_>) -> Handling<'a> {
    use Operation as Op;
    match call.operation {
        Op::PutObject => Box::pin(put_object::handle(call)),
        Op::GetObject | Op::HeadObject => Box::pin(get_object::handle(call)),
        Op::GetObjectAttributes => Box::pin(get_object_attributes::handle(call)),
        Op::DeleteObject => Box::pin(delete_object::handle(call)),
        Op::CopyObject => Box::pin(copy_object::handle(call)),
        Op::PutObjectTagging => Box::pin(object_tagging::put(call)),
        Op::GetObjectTagging => Box::pin(object_tagging::get(call)),
        Op::DeleteObjectTagging => Box::pin(object_tagging::delete(call)),
        Op::CreateMultipartUpload => Box::pin(create_multipart_upload::handle(call)),
        Op::UploadPart => Box::pin(upload_part::handle(call)),
        Op::UploadPartCopy => Box::pin(upload_part_copy::handle(call)),
        Op::CompleteMultipartUpload => Box::pin(complete_multipart_upload::handle(call)),
        Op::AbortMultipartUpload => Box::pin(abort_multipart_upload::handle(call)),
        Op::ListParts => Box::pin(list_parts::handle(call)),
        Op::ListMultipartUploads => Box::pin(list_multipart_uploads::handle(call)),
        Op::GetBucketAcl => Box::pin(acl::get_bucket(call)),
        Op::GetObjectAcl => Box::pin(acl::get_object(call)),
        Op::PutBucketAcl => Box::pin(acl::put_bucket(call)),
        Op::PutObjectAcl => Box::pin(acl::put_object(call)),
        Op::GetObjectLegalHold => Box::pin(object_lock::get_legal_hold(call)),
        Op::GetObjectRetention => Box::pin(object_lock::get_retention(call)),
        Op::PutObjectLegalHold => Box::pin(object_lock::put_legal_hold(call)),
        Op::PutObjectRetention => Box::pin(object_lock::put_retention(call)),
        operation => match never_configured::answer_of(operation) {
            Some(answer) => Box::pin(never_configured::handle(call, answer)),
            None => Box::pin(std::future::ready(Err(not_built(operation)))),
        },
    }
}

fn not_built(operation: Operation) -> S3Error {
    S3Error::with_message(
        ErrorCode::NotImplemented,
        format!("{} is not implemented", operation.as_str()),
    )
}
