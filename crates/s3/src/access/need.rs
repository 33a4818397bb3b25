//! What an operation needs to be allowed: an action for policies, a permission for access control lists.
//!
//! Sources: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>, for lists
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions>.

use http::{HeaderMap, HeaderName, header};
use tidelock_store::Permission;

use crate::route::Operation;
use crate::{acl, object_lock, settings};

/// Whose list may allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByList {
    /// The bucket's.
    Bucket(Permission),
    /// The object's.
    Object(Permission),
}

/// What is needed for something that is done to a bucket or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The action.
    pub action: &'static str,
    /// The list that may allow it as well.
    pub by_list: Option<ByList>,
}

impl Need {
    /// An action that policies alone allow.
    const fn of(action: &'static str) -> Self {
        Self { action, by_list: None }
    }

    const fn or_list(action: &'static str, by_list: ByList) -> Self {
        Self { action, by_list: Some(by_list) }
    }

    /// To list a bucket: also to be told that an object is not there.
    pub const LIST_BUCKET: Self = Self::or_list("s3:ListBucket", ByList::Bucket(Permission::Read));

    /// To read an object.
    pub const GET_OBJECT: Self = Self::or_list("s3:GetObject", ByList::Object(Permission::Read));

    /// To write an object.
    pub const PUT_OBJECT: Self = Self::or_list("s3:PutObject", ByList::Bucket(Permission::Write));

    /// To remove what is retained in governance mode, where a request asks for it.
    pub const BYPASS_GOVERNANCE_RETENTION: Self = Self::of("s3:BypassGovernanceRetention");
    /// To take a lock from whoever holds it.
    pub const BREAK_LOCK: Self = Self::of("tidelock:BreakLock");
    /// To see how the states in a bucket are guarded.
    pub const GET_BUCKET_GUARD: Self = Self::of("tidelock:GetBucketGuard");
    /// To say how they are, and what may pass once.
    pub const PUT_BUCKET_GUARD: Self = Self::of("tidelock:PutBucketGuard");
    /// To read what happened in a bucket.
    pub const GET_AUDIT_LOG: Self = Self::of("tidelock:GetAuditLog");

    /// To see all buckets there are.
    pub const LIST_ALL_BUCKETS: Self = Self::of("s3:ListAllMyBuckets");

    /// To write tags along with an object.
    pub const PUT_OBJECT_TAGGING: Self = Self { action: "s3:PutObjectTagging", ..Self::PUT_OBJECT };

    /// To read the tags of an object, or of a version of it.
    pub(crate) fn get_object_tagging(of_version: bool) -> Self {
        Self::of(if of_version { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" })
    }

    /// To delete an object, or a version of it. Whoever a list lets write destroys no versions: of all grantees only
    /// the owner of the bucket may, and the owner needs no list.
    pub fn delete_object(of_version: bool) -> Self {
        match of_version {
            true => Self::of("s3:DeleteObjectVersion"),
            false => Self::or_list("s3:DeleteObject", ByList::Bucket(Permission::Write)),
        }
    }

    /// To read an object, or a version of it.
    pub fn get_object(of_version: bool) -> Self {
        let action = if of_version { "s3:GetObjectVersion" } else { "s3:GetObject" };
        Self { action, ..Self::GET_OBJECT }
    }
}

/// What an operation needs; nothing where it decides for itself (as DeleteObjects does, key by key), and
/// where it is not built.
pub(crate) fn of_operation(operation: Operation, of_version: bool) -> Option<Need> {
    use Operation as Op;
    let versioned = |plain, version| Need::of(if of_version { version } else { plain });
    Some(match operation {
        Op::ListBuckets => Need::LIST_ALL_BUCKETS,
        Op::CreateBucket => Need::of("s3:CreateBucket"),
        Op::DeleteBucket => Need::of("s3:DeleteBucket"),
        Op::HeadBucket | Op::ListObjects | Op::ListObjectsV2 => Need::LIST_BUCKET,
        Op::ListObjectVersions => {
            Need::or_list("s3:ListBucketVersions", ByList::Bucket(Permission::Read))
        }
        Op::ListMultipartUploads => {
            Need::or_list("s3:ListBucketMultipartUploads", ByList::Bucket(Permission::Read))
        }
        Op::GetBucketAcl => Need::or_list("s3:GetBucketAcl", ByList::Bucket(Permission::ReadAcp)),
        Op::PutBucketAcl => Need::or_list("s3:PutBucketAcl", ByList::Bucket(Permission::WriteAcp)),
        Op::GetObject | Op::HeadObject => Need::get_object(of_version),
        Op::GetObjectAttributes => {
            let action = versioned("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes");
            Need { by_list: Need::GET_OBJECT.by_list, ..action }
        }
        Op::GetObjectAcl => Need {
            by_list: Some(ByList::Object(Permission::ReadAcp)),
            ..versioned("s3:GetObjectAcl", "s3:GetObjectVersionAcl")
        },
        Op::PutObjectAcl => Need {
            by_list: Some(ByList::Object(Permission::WriteAcp)),
            ..versioned("s3:PutObjectAcl", "s3:PutObjectVersionAcl")
        },
        Op::PutObject
        | Op::PostObject
        | Op::CopyObject
        | Op::CreateMultipartUpload
        | Op::UploadPart
        | Op::UploadPartCopy
        | Op::CompleteMultipartUpload => Need::PUT_OBJECT,
        Op::DeleteObject => Need::delete_object(of_version),
        Op::AbortMultipartUpload => Need::of("s3:AbortMultipartUpload"),
        Op::ListParts => Need::of("s3:ListMultipartUploadParts"),
        Op::GetObjectTagging => versioned("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
        Op::PutObjectTagging => versioned("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
        Op::DeleteObjectTagging => {
            versioned("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging")
        }
        Op::GetObjectRetention => Need::of("s3:GetObjectRetention"),
        Op::PutObjectRetention => Need::of("s3:PutObjectRetention"),
        Op::GetObjectLegalHold => Need::of("s3:GetObjectLegalHold"),
        Op::PutObjectLegalHold => Need::of("s3:PutObjectLegalHold"),
        Op::GetObjectTorrent => versioned("s3:GetObjectTorrent", "s3:GetObjectVersionTorrent"),
        Op::RestoreObject => Need::of("s3:RestoreObject"),
        Op::UpdateObjectEncryption => Need::of("s3:UpdateObjectEncryption"),
        Op::SelectObjectContent => Need::GET_OBJECT,
        other => Need::of(of_configuration(other)?),
    })
}

/// Whether an operation can be about one version of an object. Others ignore it, and so do policies: what is
/// written is a version of its own, and what is uploaded is none yet.
pub(crate) fn is_of_version(operation: Operation) -> bool {
    use Operation as Op;
    !matches!(
        operation,
        Op::PutObject
            | Op::CopyObject
            | Op::CreateMultipartUpload
            | Op::UploadPart
            | Op::UploadPartCopy
            | Op::CompleteMultipartUpload
            | Op::AbortMultipartUpload
            | Op::ListParts
    )
}

/// Whether an operation lets itself go on, when it has read in its document what policies can ask about.
pub(crate) fn is_decided_later(operation: Operation) -> bool {
    use Operation as Op;
    matches!(
        operation,
        Op::DeleteObjects | Op::PutObjectTagging | Op::PutObjectRetention | Op::PutObjectLegalHold
    )
}

/// Whether an operation takes tags from what it copies; a header with tags then means nothing. That needs to be
/// allowed on both sides, where there are tags
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>).
pub(crate) fn copies_tags(operation: Operation, headers: &HeaderMap) -> bool {
    let directive = headers.get(settings::TAGGING_DIRECTIVE);
    operation == Operation::CopyObject && directive.is_none_or(|it| it != "REPLACE")
}

/// What an operation needs besides, for what its headers ask for: tags, lists and locks that it writes along,
/// and conditions that tell what is there.
pub(crate) fn needs_besides(
    operation: Operation,
    headers: &HeaderMap,
    of_version: bool,
) -> Vec<Need> {
    use Operation as Op;
    let mut needs = Vec::new();
    let mut add = |wanted: bool, action| {
        needs.extend(wanted.then_some(Need { action, ..Need::PUT_OBJECT }));
    };
    if matches!(
        operation,
        Op::PutObject | Op::PostObject | Op::CopyObject | Op::CreateMultipartUpload
    ) {
        let is_grant = |name: &HeaderName| name.as_str().starts_with(acl::GRANT_PREFIX);
        let asks_tags = headers.contains_key(settings::TAGGING);
        add(asks_tags && !copies_tags(operation, headers), "s3:PutObjectTagging");
        let asks_list = headers.contains_key(acl::CANNED) || headers.keys().any(is_grant);
        add(asks_list, "s3:PutObjectAcl");
        add(headers.contains_key(object_lock::MODE), "s3:PutObjectRetention");
        add(headers.contains_key(object_lock::LEGAL_HOLD), "s3:PutObjectLegalHold");
    }
    let writes = [Op::PutObject, Op::CopyObject, Op::CompleteMultipartUpload, Op::DeleteObject];
    let compares = writes.contains(&operation)
        && headers.get(header::IF_MATCH).is_some_and(|tag| tag.as_bytes() != b"*");
    if compares || operation == Op::GetObjectAttributes {
        needs.push(Need::get_object(of_version && operation == Op::GetObjectAttributes));
    }
    needs
}

/// What CreateBucket needs besides, for what its headers make of the bucket
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>, "Permissions").
pub(crate) fn needs_of_new_bucket(headers: &HeaderMap) -> Vec<Need> {
    let is_grant = |name: &HeaderName| name.as_str().starts_with(acl::GRANT_PREFIX);
    // A private bucket is what it would be anyway.
    let is_open = headers.get(acl::CANNED).is_some_and(|canned| canned != "private");
    let locks = headers
        .get(object_lock::OF_BUCKET)
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"true"));
    let wanted = [
        (is_open || headers.keys().any(is_grant), "s3:PutBucketAcl"),
        (locks, "s3:PutBucketObjectLockConfiguration"),
        (locks, "s3:PutBucketVersioning"),
        (headers.contains_key(settings::OBJECT_OWNERSHIP), "s3:PutBucketOwnershipControls"),
    ];
    wanted.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, it)| Need::of(it)).collect()
}

/// The action of an operation on a bucket's configuration.
fn of_configuration(operation: Operation) -> Option<&'static str> {
    use Operation as Op;
    Some(match operation {
        Op::GetBucketLocation => "s3:GetBucketLocation",
        Op::GetBucketVersioning => "s3:GetBucketVersioning",
        Op::PutBucketVersioning => "s3:PutBucketVersioning",
        Op::GetBucketEncryption => "s3:GetEncryptionConfiguration",
        Op::PutBucketEncryption | Op::DeleteBucketEncryption => "s3:PutEncryptionConfiguration",
        Op::GetPublicAccessBlock => "s3:GetBucketPublicAccessBlock",
        Op::PutPublicAccessBlock | Op::DeletePublicAccessBlock => "s3:PutBucketPublicAccessBlock",
        Op::GetBucketTagging => "s3:GetBucketTagging",
        Op::PutBucketTagging | Op::DeleteBucketTagging => "s3:PutBucketTagging",
        Op::ListTagsForResource => "s3:ListTagsForResource",
        Op::TagResource => "s3:TagResource",
        Op::UntagResource => "s3:UntagResource",
        Op::GetBucketOwnershipControls => "s3:GetBucketOwnershipControls",
        Op::PutBucketOwnershipControls | Op::DeleteBucketOwnershipControls => {
            "s3:PutBucketOwnershipControls"
        }
        Op::GetBucketPolicy => "s3:GetBucketPolicy",
        Op::PutBucketPolicy => "s3:PutBucketPolicy",
        Op::DeleteBucketPolicy => "s3:DeleteBucketPolicy",
        Op::GetBucketPolicyStatus => "s3:GetBucketPolicyStatus",
        Op::GetBucketCors => "s3:GetBucketCORS",
        Op::PutBucketCors | Op::DeleteBucketCors => "s3:PutBucketCORS",
        Op::GetBucketLifecycleConfiguration => "s3:GetLifecycleConfiguration",
        Op::PutBucketLifecycleConfiguration | Op::DeleteBucketLifecycle => {
            "s3:PutLifecycleConfiguration"
        }
        Op::GetObjectLockConfiguration => "s3:GetBucketObjectLockConfiguration",
        Op::PutObjectLockConfiguration => "s3:PutBucketObjectLockConfiguration",
        Op::GetBucketAccelerateConfiguration => "s3:GetAccelerateConfiguration",
        Op::PutBucketAccelerateConfiguration => "s3:PutAccelerateConfiguration",
        Op::GetBucketAnalyticsConfiguration | Op::ListBucketAnalyticsConfigurations => {
            "s3:GetAnalyticsConfiguration"
        }
        Op::GetBucketIntelligentTieringConfiguration
        | Op::ListBucketIntelligentTieringConfigurations => "s3:GetIntelligentTieringConfiguration",
        Op::GetBucketInventoryConfiguration | Op::ListBucketInventoryConfigurations => {
            "s3:GetInventoryConfiguration"
        }
        Op::GetBucketMetricsConfiguration | Op::ListBucketMetricsConfigurations => {
            "s3:GetMetricsConfiguration"
        }
        Op::GetBucketLogging => "s3:GetBucketLogging",
        Op::PutBucketLogging => "s3:PutBucketLogging",
        Op::GetBucketNotificationConfiguration => "s3:GetBucketNotification",
        Op::PutBucketNotificationConfiguration => "s3:PutBucketNotification",
        Op::GetBucketReplication => "s3:GetReplicationConfiguration",
        Op::PutBucketReplication | Op::DeleteBucketReplication => "s3:PutReplicationConfiguration",
        Op::GetBucketRequestPayment => "s3:GetBucketRequestPayment",
        Op::PutBucketRequestPayment => "s3:PutBucketRequestPayment",
        Op::GetBucketWebsite => "s3:GetBucketWebsite",
        Op::PutBucketWebsite => "s3:PutBucketWebsite",
        Op::DeleteBucketWebsite => "s3:DeleteBucketWebsite",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::State;

    /// What decides for itself, or asks for nothing of a bucket.
    const FREE: [Operation; 4] = [
        Operation::DeleteObjects,
        Operation::QueryRequest,
        Operation::PreflightBucket,
        Operation::PreflightObject,
    ];

    #[test]
    fn whatever_is_answered_needs_an_action() {
        for operation in Operation::ALL {
            let is_needless = operation.state() == State::NotBuilt || FREE.contains(operation);
            for of_version in [false, true] {
                let need = of_operation(*operation, of_version);
                assert!(is_needless || need.is_some(), "{operation:?}");
            }
        }
    }

    #[test]
    fn versions_have_actions_of_their_own() {
        let rows = [
            (Operation::GetObject, "s3:GetObject", "s3:GetObjectVersion"),
            (Operation::HeadObject, "s3:GetObject", "s3:GetObjectVersion"),
            (Operation::DeleteObject, "s3:DeleteObject", "s3:DeleteObjectVersion"),
            (Operation::PutObjectAcl, "s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
            (Operation::GetObjectTagging, "s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
            (Operation::PutObject, "s3:PutObject", "s3:PutObject"),
        ];
        for (operation, plain, version) in rows {
            for (of_version, action) in [(false, plain), (true, version)] {
                assert_eq!(of_operation(operation, of_version).unwrap().action, action);
            }
        }
    }
}
