//! Every operation of S3's API, and the table that chooses one.
//!
//! The rows are AWS's own: method, resource and sub-resource of the service model. Within a
//! resource and method the first row that fits wins, so rows that ask for more stand first. What is
//! not in the query of any row is ignored, as AWS ignores it. What is in that of another row names a
//! sub-resource: `DELETE /key?acl` deletes no object.

use std::collections::HashSet;
use std::sync::LazyLock;

use http::Method;

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::query::Query;

/// What a request addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `/`
    Service,
    /// `/v20180820/tags/ARN` of S3 Control
    Tags,
    /// `/bucket`
    Bucket,
    /// `/bucket/key`
    Object,
}

/// How far an operation is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Does what AWS's does.
    Built,
    /// Always answers as AWS does where the feature was never configured or is switched off.
    Fixed,
    /// Answers 501 `NotImplemented`.
    NotBuilt,
}

/// Whether a row needs `x-amz-copy-source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Copy,
    Any,
}

macro_rules! operations {
    ($($name:ident $scope:ident $method:ident [$($query:literal)*] $source:ident $state:ident)*) => {
        /// An operation of S3, under AWS's name for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($name), "`: ", stringify!($state))] $name,)*
        }

        impl Operation {
            /// All operations, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// AWS's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// How far it is built.
            pub fn state(self) -> State {
                match self {
                    $(Self::$name => State::$state,)*
                }
            }
        }

        const ROWS: &[Row] = &[$(Row {
            operation: Operation::$name,
            scope: Scope::$scope,
            method: Method::$method,
            query: &[$($query,)*],
            source: Source::$source,
        },)*];
    };
}

struct Row {
    operation: Operation,
    scope: Scope,
    method: Method,
    query: &'static [&'static str],
    source: Source,
}

// The three of tags are S3 Control's, which the AWS provider asks for a bucket's tags first.
// `QueryRequest` stands for the STS and IAM actions at `POST /`; `PostObject` and the preflights are
// not in the service model, but are in the API reference.
operations! {
    ListBuckets Service GET [] Any Built
    QueryRequest Service POST [] Any Built
    ListTagsForResource Tags GET [] Any Built
    TagResource Tags POST [] Any Built
    UntagResource Tags DELETE [] Any Built
    GetBucketAnalyticsConfiguration Bucket GET ["analytics" "id"] Any Fixed
    GetBucketIntelligentTieringConfiguration Bucket GET ["intelligent-tiering" "id"] Any Fixed
    GetBucketInventoryConfiguration Bucket GET ["inventory" "id"] Any Fixed
    GetBucketMetricsConfiguration Bucket GET ["metrics" "id"] Any Fixed
    CreateSession Bucket GET ["session"] Any NotBuilt
    GetBucketAbac Bucket GET ["abac"] Any NotBuilt
    GetBucketAccelerateConfiguration Bucket GET ["accelerate"] Any Fixed
    GetBucketAcl Bucket GET ["acl"] Any Built
    GetBucketCors Bucket GET ["cors"] Any Built
    GetBucketEncryption Bucket GET ["encryption"] Any Built
    GetBucketLifecycleConfiguration Bucket GET ["lifecycle"] Any Built
    GetBucketLocation Bucket GET ["location"] Any Built
    GetBucketLogging Bucket GET ["logging"] Any Fixed
    GetBucketMetadataConfiguration Bucket GET ["metadataConfiguration"] Any NotBuilt
    GetBucketMetadataTableConfiguration Bucket GET ["metadataTable"] Any NotBuilt
    GetBucketNotificationConfiguration Bucket GET ["notification"] Any Fixed
    GetBucketOwnershipControls Bucket GET ["ownershipControls"] Any Built
    GetBucketPolicy Bucket GET ["policy"] Any Built
    GetBucketPolicyStatus Bucket GET ["policyStatus"] Any Built
    GetBucketReplication Bucket GET ["replication"] Any Fixed
    GetBucketRequestPayment Bucket GET ["requestPayment"] Any Fixed
    GetBucketTagging Bucket GET ["tagging"] Any Built
    GetBucketVersioning Bucket GET ["versioning"] Any Built
    GetBucketWebsite Bucket GET ["website"] Any Fixed
    GetObjectLockConfiguration Bucket GET ["object-lock"] Any Built
    GetPublicAccessBlock Bucket GET ["publicAccessBlock"] Any Built
    ListBucketAnalyticsConfigurations Bucket GET ["analytics"] Any Fixed
    ListBucketIntelligentTieringConfigurations Bucket GET ["intelligent-tiering"] Any Fixed
    ListBucketInventoryConfigurations Bucket GET ["inventory"] Any Fixed
    ListBucketMetricsConfigurations Bucket GET ["metrics"] Any Fixed
    ListMultipartUploads Bucket GET ["uploads"] Any Built
    ListObjectVersions Bucket GET ["versions"] Any Built
    ListObjectsV2 Bucket GET ["list-type=2"] Any Built
    ListObjects Bucket GET [] Any Built
    HeadBucket Bucket HEAD [] Any Built
    PutBucketAbac Bucket PUT ["abac"] Any NotBuilt
    PutBucketAccelerateConfiguration Bucket PUT ["accelerate"] Any NotBuilt
    PutBucketAcl Bucket PUT ["acl"] Any Built
    PutBucketAnalyticsConfiguration Bucket PUT ["analytics"] Any NotBuilt
    PutBucketCors Bucket PUT ["cors"] Any Built
    PutBucketEncryption Bucket PUT ["encryption"] Any Built
    PutBucketIntelligentTieringConfiguration Bucket PUT ["intelligent-tiering"] Any NotBuilt
    PutBucketInventoryConfiguration Bucket PUT ["inventory"] Any NotBuilt
    PutBucketLifecycleConfiguration Bucket PUT ["lifecycle"] Any Built
    PutBucketLogging Bucket PUT ["logging"] Any NotBuilt
    PutBucketMetricsConfiguration Bucket PUT ["metrics"] Any NotBuilt
    PutBucketNotificationConfiguration Bucket PUT ["notification"] Any NotBuilt
    PutBucketOwnershipControls Bucket PUT ["ownershipControls"] Any Built
    PutBucketPolicy Bucket PUT ["policy"] Any Built
    PutBucketReplication Bucket PUT ["replication"] Any NotBuilt
    PutBucketRequestPayment Bucket PUT ["requestPayment"] Any NotBuilt
    PutBucketTagging Bucket PUT ["tagging"] Any Built
    PutBucketVersioning Bucket PUT ["versioning"] Any Built
    PutBucketWebsite Bucket PUT ["website"] Any NotBuilt
    PutObjectLockConfiguration Bucket PUT ["object-lock"] Any Built
    PutPublicAccessBlock Bucket PUT ["publicAccessBlock"] Any Built
    UpdateBucketMetadataAnnotationTableConfiguration Bucket PUT ["metadataAnnotationTable"] Any NotBuilt
    UpdateBucketMetadataInventoryTableConfiguration Bucket PUT ["metadataInventoryTable"] Any NotBuilt
    UpdateBucketMetadataJournalTableConfiguration Bucket PUT ["metadataJournalTable"] Any NotBuilt
    CreateBucket Bucket PUT [] Any Built
    CreateBucketMetadataConfiguration Bucket POST ["metadataConfiguration"] Any NotBuilt
    CreateBucketMetadataTableConfiguration Bucket POST ["metadataTable"] Any NotBuilt
    DeleteObjects Bucket POST ["delete"] Any Built
    PostObject Bucket POST [] Any Built
    DeleteBucketAnalyticsConfiguration Bucket DELETE ["analytics"] Any NotBuilt
    DeleteBucketCors Bucket DELETE ["cors"] Any Built
    DeleteBucketEncryption Bucket DELETE ["encryption"] Any Built
    DeleteBucketIntelligentTieringConfiguration Bucket DELETE ["intelligent-tiering"] Any NotBuilt
    DeleteBucketInventoryConfiguration Bucket DELETE ["inventory"] Any NotBuilt
    DeleteBucketLifecycle Bucket DELETE ["lifecycle"] Any Built
    DeleteBucketMetadataConfiguration Bucket DELETE ["metadataConfiguration"] Any NotBuilt
    DeleteBucketMetadataTableConfiguration Bucket DELETE ["metadataTable"] Any NotBuilt
    DeleteBucketMetricsConfiguration Bucket DELETE ["metrics"] Any NotBuilt
    DeleteBucketOwnershipControls Bucket DELETE ["ownershipControls"] Any Built
    DeleteBucketPolicy Bucket DELETE ["policy"] Any Built
    DeleteBucketReplication Bucket DELETE ["replication"] Any Fixed
    DeleteBucketTagging Bucket DELETE ["tagging"] Any Built
    DeleteBucketWebsite Bucket DELETE ["website"] Any Fixed
    DeletePublicAccessBlock Bucket DELETE ["publicAccessBlock"] Any Built
    DeleteBucket Bucket DELETE [] Any Built
    PreflightBucket Bucket OPTIONS [] Any Built
    GetObjectAnnotation Object GET ["annotation" "annotationName"] Any NotBuilt
    GetObjectAcl Object GET ["acl"] Any Built
    GetObjectAttributes Object GET ["attributes"] Any Built
    GetObjectLegalHold Object GET ["legal-hold"] Any Built
    GetObjectRetention Object GET ["retention"] Any Built
    GetObjectTagging Object GET ["tagging"] Any Built
    GetObjectTorrent Object GET ["torrent"] Any NotBuilt
    ListObjectAnnotations Object GET ["annotation"] Any NotBuilt
    ListParts Object GET ["uploadId"] Any Built
    GetObject Object GET [] Any Built
    HeadObject Object HEAD [] Any Built
    UploadPartCopy Object PUT ["partNumber" "uploadId"] Copy Built
    UploadPart Object PUT ["partNumber" "uploadId"] Any Built
    PutObjectAcl Object PUT ["acl"] Any Built
    PutObjectAnnotation Object PUT ["annotation"] Any NotBuilt
    PutObjectLegalHold Object PUT ["legal-hold"] Any Built
    PutObjectRetention Object PUT ["retention"] Any Built
    PutObjectTagging Object PUT ["tagging"] Any Built
    RenameObject Object PUT ["renameObject"] Any NotBuilt
    UpdateObjectEncryption Object PUT ["encryption"] Any NotBuilt
    CopyObject Object PUT [] Copy Built
    PutObject Object PUT [] Any Built
    SelectObjectContent Object POST ["select" "select-type=2"] Any NotBuilt
    CompleteMultipartUpload Object POST ["uploadId"] Any Built
    CreateMultipartUpload Object POST ["uploads"] Any Built
    RestoreObject Object POST ["restore"] Any NotBuilt
    AbortMultipartUpload Object DELETE ["uploadId"] Any Built
    DeleteObjectAnnotation Object DELETE ["annotation"] Any NotBuilt
    DeleteObjectTagging Object DELETE ["tagging"] Any Built
    DeleteObject Object DELETE [] Any Built
    PreflightObject Object OPTIONS [] Any Built
}

/// Parameters of rows that name no sub-resource by themselves.
const PARAMETERS: [&str; 5] = ["list-type", "id", "select-type", "annotationName", "partNumber"];

/// Names that choose a sub-resource.
static SUB_RESOURCES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let names = ROWS.iter().flat_map(|row| row.query).copied();
    names.filter(|name| !PARAMETERS.contains(name) && !name.contains('=')).collect()
});

impl Operation {
    /// The operation that `method` asks of a resource of `scope`.
    ///
    /// # Errors
    ///
    /// `MethodNotAllowed` when no operation has this method there, or not on the sub-resource that is named;
    /// `InvalidArgument` when two are named, and where a version or a part is named that the operation would
    /// not heed.
    pub(crate) fn choose(
        scope: Scope,
        method: &Method,
        query: &Query,
        has_copy_source: bool,
    ) -> S3Result<Self> {
        let not_allowed = |resource_type: &str| {
            S3Error::new(ErrorCode::MethodNotAllowed)
                .field("Method", method.as_str())
                .field("ResourceType", resource_type)
        };
        let row = ROWS.iter().find(|row| row.fits(scope, method, query, has_copy_source));
        let row = row.ok_or_else(|| not_allowed(scope.resource_type()))?;
        if *method == Method::OPTIONS || query.is_empty() {
            return Ok(row.operation);
        }
        let named: Vec<&str> =
            query.pairs().map(|(name, _)| name).filter(is_sub_resource).collect();
        match named.iter().find(|name| !row.query.contains(name)) {
            Some(_) if named.len() > 1 => Err(S3Error::invalid_argument(
                format!("Conflicting query string parameters: {}", named.join(", ")),
                "ResourceType",
                named.join(", "),
            )),
            Some(name) => Err(not_allowed(&resource_type(name))),
            None => row.check_parameters(query).map(|()| row.operation),
        }
    }
}

fn is_sub_resource(name: &&str) -> bool {
    SUB_RESOURCES.contains(*name)
}

/// AWS's word for a sub-resource in `<ResourceType>`.
fn resource_type(name: &str) -> String {
    let word = match name {
        "policy" => "BUCKETPOLICY",
        "versions" => "BUCKETVERSIONS",
        "logging" => "LOGGING_STATUS",
        "requestPayment" => "REQUEST_PAYMENT",
        "publicAccessBlock" => "PUBLIC_ACCESS_BLOCK",
        "policyStatus" => "POLICY_STATUS",
        "ownershipControls" => "OWNERSHIP_CONTROLS",
        "object-lock" => "OBJECT_LOCK_CONFIGURATION",
        "retention" => "OBJECT_LOCK_RETENTION",
        "legal-hold" => "OBJECT_LOCK_LEGALHOLD",
        "attributes" => "OBJECT_ATTRIBUTES",
        "delete" => "MULTI_OBJECT_DELETE",
        "uploadId" => "UPLOAD",
        name => return name.to_uppercase().replace('-', "_"),
    };
    word.to_owned()
}

impl Scope {
    /// AWS's word in `<ResourceType>`.
    pub(crate) fn resource_type(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Tags => "TAGS",
            Self::Bucket => "BUCKET",
            Self::Object => "OBJECT",
        }
    }
}

impl Row {
    fn fits(&self, scope: Scope, method: &Method, query: &Query, has_copy_source: bool) -> bool {
        self.scope == scope
            && self.method == *method
            && (self.source == Source::Any || has_copy_source)
            && self.query.iter().all(|wanted| match wanted.split_once('=') {
                Some((name, value)) => query.value(name) == Some(value),
                None => query.has(wanted),
            })
    }

    /// Refuses a version of what has none, and a part of no upload: the object would be written instead.
    fn check_parameters(&self, query: &Query) -> S3Result<()> {
        let refuse = |message: &'static str, name: &'static str| {
            let value = query.value(name).unwrap_or_default();
            Err(S3Error::invalid_argument(message, name, value))
        };
        let writes = matches!(self.operation, Operation::PutObject | Operation::CopyObject);
        if query.has("versionId") && (writes || self.scope == Scope::Bucket) {
            return refuse("This operation does not accept a version-id.", "versionId");
        }
        if query.has("partNumber") && writes {
            return refuse("A part number needs the upload that it is of.", "partNumber");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, scope: Scope, query: &str, copies: bool, expected: &str) {
        let parsed = Query::parse(query).unwrap();
        let chosen = Operation::choose(scope, &method, &parsed, copies);
        let shown = chosen.map_or_else(|error| error.code().as_str(), Operation::as_str);
        assert_eq!(shown, expected, "{method} {scope:?} ?{query}");
    }

    #[test]
    fn requests_choose_operations() {
        use Scope::{Bucket, Object, Service, Tags};
        let rows = [
            (Method::GET, Service, "", false, "ListBuckets"),
            (Method::POST, Service, "", false, "QueryRequest"),
            (Method::DELETE, Service, "", false, "MethodNotAllowed"),
            (Method::GET, Tags, "", false, "ListTagsForResource"),
            (Method::DELETE, Tags, "tagKeys=a&tagKeys=b", false, "UntagResource"),
            (Method::PUT, Tags, "", false, "MethodNotAllowed"),
            (Method::GET, Bucket, "", false, "ListObjects"),
            (Method::GET, Bucket, "list-type=2&prefix=a", false, "ListObjectsV2"),
            (Method::GET, Bucket, "list-type=1", false, "ListObjects"),
            (Method::GET, Bucket, "versions", false, "ListObjectVersions"),
            (Method::GET, Bucket, "uploads=", false, "ListMultipartUploads"),
            (Method::GET, Bucket, "metrics", false, "ListBucketMetricsConfigurations"),
            (Method::GET, Bucket, "metrics&id=1", false, "GetBucketMetricsConfiguration"),
            (Method::GET, Bucket, "unknown", false, "ListObjects"),
            (Method::HEAD, Bucket, "", false, "HeadBucket"),
            (Method::PUT, Bucket, "", false, "CreateBucket"),
            (Method::PUT, Bucket, "versioning", false, "PutBucketVersioning"),
            (Method::POST, Bucket, "delete", false, "DeleteObjects"),
            (Method::POST, Bucket, "", false, "PostObject"),
            (Method::DELETE, Bucket, "", false, "DeleteBucket"),
            (Method::DELETE, Bucket, "tagging", false, "DeleteBucketTagging"),
            (Method::GET, Object, "x-id=GetObject", false, "GetObject"),
            (Method::GET, Object, "partNumber=1", false, "GetObject"),
            (Method::GET, Object, "uploadId=u", false, "ListParts"),
            (Method::GET, Object, "tagging", false, "GetObjectTagging"),
            (Method::HEAD, Object, "", false, "HeadObject"),
            (Method::PUT, Object, "x-id=PutObject", false, "PutObject"),
            (Method::PUT, Object, "", true, "CopyObject"),
            (Method::PUT, Object, "partNumber=1&uploadId=u", false, "UploadPart"),
            (Method::PUT, Object, "partNumber=1&uploadId=u", true, "UploadPartCopy"),
            (Method::PUT, Object, "acl", false, "PutObjectAcl"),
            (Method::POST, Object, "uploads", false, "CreateMultipartUpload"),
            (Method::POST, Object, "uploadId=u", false, "CompleteMultipartUpload"),
            (Method::POST, Object, "select&select-type=2", false, "SelectObjectContent"),
            (Method::POST, Object, "", false, "MethodNotAllowed"),
            (Method::DELETE, Object, "uploadId=u", false, "AbortMultipartUpload"),
            (Method::DELETE, Object, "versionId=v", false, "DeleteObject"),
            (Method::PATCH, Object, "", false, "MethodNotAllowed"),
            (Method::DELETE, Bucket, "acl", false, "MethodNotAllowed"),
            (Method::DELETE, Bucket, "versionId=null", false, "InvalidArgument"),
            (Method::DELETE, Object, "acl", false, "MethodNotAllowed"),
            (Method::DELETE, Object, "policy", false, "MethodNotAllowed"),
            (Method::PUT, Object, "uploads", false, "MethodNotAllowed"),
            (Method::PUT, Object, "uploadId=u", false, "MethodNotAllowed"),
            (Method::PUT, Object, "partNumber=1", false, "InvalidArgument"),
            (Method::PUT, Object, "partNumber=1", true, "InvalidArgument"),
            (Method::PUT, Object, "versionId=v", false, "InvalidArgument"),
            (Method::PUT, Object, "acl&versionId=v", false, "PutObjectAcl"),
            (Method::PUT, Object, "unknown", false, "PutObject"),
            (Method::GET, Object, "uploads", false, "MethodNotAllowed"),
            (Method::GET, Object, "acl&versionId=v", false, "GetObjectAcl"),
            (Method::GET, Object, "acl&tagging", false, "InvalidArgument"),
            (Method::GET, Bucket, "acl&versioning", false, "InvalidArgument"),
            (Method::HEAD, Bucket, "versioning", false, "MethodNotAllowed"),
            (Method::POST, Bucket, "uploads", false, "MethodNotAllowed"),
            (Method::OPTIONS, Object, "acl", false, "PreflightObject"),
        ];
        for (method, scope, query, copies, expected) in rows {
            check(method, scope, query, copies, expected);
        }
    }

    /// Whoever takes Signature Version 2 must know what it does not cover.
    #[test]
    fn version_2_signs_what_chooses_an_operation_or_is_refused() {
        let harmless = ["list-type", "id"];
        for parameter in ROWS.iter().flat_map(|row| row.query) {
            let name = parameter.split('=').next().unwrap();
            assert!(tidelock_auth::sigv2::covers(name) || harmless.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_row_can_be_reached() {
        for row in ROWS {
            let query = Query::parse(&row.query.join("&")).unwrap();
            let copies = row.source == Source::Copy;
            let chosen = Operation::choose(row.scope, &row.method, &query, copies).unwrap();
            assert_eq!(chosen, row.operation);
        }
    }
}
