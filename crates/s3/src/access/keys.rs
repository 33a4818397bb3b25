//! What a request says of itself, as condition keys of policies.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>, and for
//! `s3:ObjectCreationOperation`
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>.

use http::{HeaderMap, header};
use jiff::Timestamp;
use tidelock_auth::policy::ConditionKeys;
use tidelock_store::{ACCOUNT_ID, Principal};

use crate::date;
use crate::query::Query;
use crate::route::Operation;
use crate::service::Peer;
use crate::tags;

/// Headers whose condition key is their name.
const HEADER_KEYS: [&str; 17] = [
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "if-match",
    "if-none-match",
];
/// Headers whose condition key has another name.
const RENAMED_HEADERS: [(&str, &str); 4] = [
    ("x-amz-object-lock-mode", "s3:object-lock-mode"),
    ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
    ("x-amz-bypass-governance-retention", "s3:BypassGovernanceRetention"),
];
/// Parameters of lists.
const QUERY_KEYS: [&str; 3] = ["prefix", "delimiter", "max-keys"];
const TAGGING: &str = "x-amz-tagging";
const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// A request, as far as policies can ask about it.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// What it is.
    pub operation: Option<Operation>,
    /// Its headers, or a form's fields in their place.
    pub headers: &'a HeaderMap,
    /// Its query.
    pub query: &'a Query,
    /// Who is at the other end.
    pub peer: &'a Peer,
}

impl Circumstances<'_> {
    /// All keys but those that depend on what is asked.
    pub(crate) fn keys(&self, principal: &Principal, now_ms: i64) -> ConditionKeys {
        let mut keys = ConditionKeys::new();
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        keys.add("aws:CurrentTime", now.to_string());
        keys.add("aws:EpochTime", now.as_second().to_string());
        self.add_environment(&mut keys, principal);
        for name in HEADER_KEYS {
            self.add_header(&mut keys, name, &format!("s3:{name}"));
        }
        for (name, key) in RENAMED_HEADERS {
            self.add_header(&mut keys, name, key);
        }
        if self.lists() {
            for name in QUERY_KEYS {
                if let Some(value) = self.query.value(name) {
                    keys.add(&format!("s3:{name}"), value);
                }
            }
        }
        if let Some(version) = self.query.value("versionId") {
            keys.add("s3:VersionId", version);
        }
        if let Some(creates) = self.operation.and_then(creates_object) {
            keys.add("s3:ObjectCreationOperation", creates.to_string());
        }
        self.add_request_tags(&mut keys);
        self.add_signature(&mut keys, principal);
        keys
    }

    fn add_environment(&self, keys: &mut ConditionKeys, principal: &Principal) {
        keys.add("aws:SecureTransport", self.peer.secure.to_string());
        keys.add("aws:SourceIp", self.peer.address.ip().to_canonical().to_string());
        keys.add("aws:ResourceAccount", ACCOUNT_ID);
        keys.add("s3:ResourceAccount", ACCOUNT_ID);
        for (name, key) in [(header::USER_AGENT, "aws:UserAgent"), (header::REFERER, "aws:Referer")]
        {
            self.add_header(keys, name.as_str(), key);
        }
        if principal.is_unproven() {
            keys.add("aws:PrincipalType", "Anonymous");
            return;
        }
        keys.add("aws:PrincipalAccount", ACCOUNT_ID);
        if let Some(role) = &principal.entitlement.role {
            keys.add("aws:PrincipalType", "AssumedRole");
            keys.add("aws:PrincipalArn", role.arn.as_str());
            keys.add("aws:userid", format!("{}:{}", role.id, role.session_name));
        } else {
            keys.add("aws:PrincipalType", if principal.is_root { "Account" } else { "User" });
            keys.add("aws:PrincipalArn", principal.arn.as_str());
            keys.add("aws:userid", principal.canonical_id.as_str());
            if !principal.is_root {
                keys.add("aws:username", principal.name.as_str());
            }
        }
        add_session(keys, principal);
    }

    fn add_header(&self, keys: &mut ConditionKeys, name: &str, key: &str) {
        for value in self.headers.get_all(name) {
            keys.add(key, String::from_utf8_lossy(value.as_bytes()));
        }
    }

    /// Tags that a request brings along; a malformed header is the operation's to refuse.
    fn add_request_tags(&self, keys: &mut ConditionKeys) {
        let Some(text) = self.headers.get(TAGGING).and_then(|value| value.to_str().ok()) else {
            return;
        };
        add_tags(keys, "s3:RequestObjectTag", &tags::parse_header(text).unwrap_or_default());
    }

    fn add_signature(&self, keys: &mut ConditionKeys, principal: &Principal) {
        if principal.is_unproven() {
            return;
        }
        keys.add("s3:signatureversion", "AWS4-HMAC-SHA256");
        let auth_type = match self.operation {
            Some(Operation::PostObject) => "POST",
            _ if self.query.has(SIGNATURE_PARAMETER) => "REST-QUERY-STRING",
            _ => "REST-HEADER",
        };
        keys.add("s3:authType", auth_type);
    }

    fn lists(&self) -> bool {
        use Operation as Op;
        matches!(
            self.operation,
            Some(
                Op::ListObjects
                    | Op::ListObjectsV2
                    | Op::ListObjectVersions
                    | Op::ListMultipartUploads
            )
        )
    }
}

/// What is known of a session.
fn add_session(keys: &mut ConditionKeys, principal: &Principal) {
    let Some(session) = &principal.entitlement.session else { return };
    for (name, value) in &session.tags {
        keys.add(&format!("aws:PrincipalTag/{name}"), value.as_str());
    }
    keys.add("aws:TokenIssueTime", date::iso8601(session.issued_ms));
    if let Some(source) = &session.source_identity {
        keys.add("aws:SourceIdentity", source.as_str());
    }
    // Whoever assumed the role with keys of their own is no provider.
    if let Some(provider) = session.provider.as_ref().filter(|it| !it.starts_with("arn:")) {
        keys.add("aws:FederatedProvider", provider.as_str());
    }
}

/// Tags under `family/NAME`, and their names under `familyKeys`.
pub(super) fn add_tags(keys: &mut ConditionKeys, family: &str, tags: &[(String, String)]) {
    for (name, value) in tags {
        keys.add(&format!("{family}/{name}"), value.as_str());
        keys.add(&format!("{family}Keys"), name.as_str());
    }
}

/// Whether an operation makes an object, of those that need `s3:PutObject`.
fn creates_object(operation: Operation) -> Option<bool> {
    use Operation as Op;
    match operation {
        Op::PutObject | Op::PostObject | Op::CopyObject | Op::CompleteMultipartUpload => Some(true),
        Op::CreateMultipartUpload | Op::UploadPart | Op::UploadPartCopy => Some(false),
        _ => None,
    }
}
