//! What a request says of itself, as condition keys of policies.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>, and for
//! `s3:ObjectCreationOperation`
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>.

use http::{HeaderMap, header};
use jiff::Timestamp;
use tidelock_auth::policy::ConditionKeys;
use tidelock_store::{ACCOUNT_ID, Principal, RetentionMode};

use super::need::copies_tags;
use crate::authn::{SignatureVersion, Signing};
use crate::object_lock::status_text;
use crate::query::Query;
use crate::route::Operation;
use crate::service::Peer;
use crate::xml::documents::mode_text;
use crate::{acl, conditions, date, owner, settings};

/// Headers whose condition key is their name.
const HEADER_KEYS: [&str; 15] = [
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
];
/// A header whose condition key has another name.
const BYPASS: (&str, &str) = ("x-amz-bypass-governance-retention", "s3:BypassGovernanceRetention");
/// Those of locks that a write brings along.
const LOCK_HEADERS: [(&str, &str); 3] = [
    ("x-amz-object-lock-mode", LOCK_MODE),
    ("x-amz-object-lock-retain-until-date", LOCK_UNTIL),
    ("x-amz-object-lock-legal-hold", LEGAL_HOLD),
];
const LOCK_MODE: &str = "s3:object-lock-mode";
const LOCK_UNTIL: &str = "s3:object-lock-retain-until-date";
const LOCK_DAYS: &str = "s3:object-lock-remaining-retention-days";
const LEGAL_HOLD: &str = "s3:object-lock-legal-hold";
const DAY_MS: i64 = 24 * 3600 * 1000;
/// What condition keys about tags that a request gives begin with.
const REQUEST_TAG: &str = "s3:RequestObjectTag";
/// Parameters of lists.
const QUERY_KEYS: [&str; 3] = ["prefix", "delimiter", "max-keys"];
pub(crate) const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// A request, as far as policies can ask about it.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// What it is.
    pub operation: Option<Operation>,
    /// Its headers; of a form its fields, and the headers that say who asks.
    pub headers: &'a HeaderMap,
    /// Its query.
    pub query: &'a Query,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// How it is signed, if it is.
    pub signing: Signing,
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
            self.add_heeded(&mut keys, name, &format!("s3:{name}"));
        }
        self.add_conditions(&mut keys);
        self.add_heeded(&mut keys, BYPASS.0, BYPASS.1);
        if self.operation.is_some_and(brings_along) {
            LOCK_HEADERS.iter().for_each(|(name, key)| self.add_header(&mut keys, name, key));
            let until = keys.single(LOCK_UNTIL).and_then(date::parse_iso8601);
            if let Some(until_ms) = until {
                keys.add(LOCK_DAYS, days_left(until_ms, now_ms));
            }
            self.add_request_tags(&mut keys);
        }
        if self.lists() {
            for name in QUERY_KEYS {
                if let Some(value) = self.query.value(name) {
                    keys.add(&format!("s3:{name}"), value);
                }
            }
        }
        if let Some(creates) = self.operation.and_then(creates_object) {
            keys.add("s3:ObjectCreationOperation", creates.to_string());
        }
        self.add_signature(&mut keys, principal, now_ms);
        keys
    }

    /// Conditions as far as policies can ask for them: forms that AWS takes
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>). Other forms have
    /// their meaning here, but hold for objects that a policy with these keys is to protect: a write on
    /// `If-None-Match: "x"` replaces all that has another entity tag, one on `If-Match: *` whatever is there.
    fn add_conditions(&self, keys: &mut ConditionKeys) {
        use Operation as Op;
        let writes = matches!(
            self.operation,
            Some(Op::PutObject | Op::CopyObject | Op::CompleteMultipartUpload)
        );
        let deletes = self.operation == Some(Op::DeleteObject);
        let is_any = |name| self.headers.get(name).is_some_and(conditions::is_any);
        if writes && is_any(header::IF_NONE_MATCH) {
            keys.add("s3:if-none-match", "*");
        }
        if deletes || writes && !is_any(header::IF_MATCH) {
            self.add_header(keys, header::IF_MATCH.as_str(), "s3:if-match");
        }
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
        keys.add("aws:userid", owner::user_id(principal));
        if let Some(role) = &principal.entitlement.role {
            keys.add("aws:PrincipalType", "AssumedRole");
            keys.add("aws:PrincipalArn", role.arn.as_str());
        } else {
            keys.add("aws:PrincipalType", if principal.is_root { "Account" } else { "User" });
            keys.add("aws:PrincipalArn", &*principal.arn);
            if !principal.is_root {
                keys.add("aws:username", &*principal.name);
            }
        }
        add_session(keys, principal);
    }

    /// A header, if the operation does what it says.
    fn add_heeded(&self, keys: &mut ConditionKeys, name: &str, key: &str) {
        if self.operation.is_some_and(|operation| is_heeded(operation, name)) {
            self.add_header(keys, name, key);
        }
    }

    /// Of a header that comes twice the first counts, here as everywhere: a second value must not pass for what
    /// is done.
    fn add_header(&self, keys: &mut ConditionKeys, name: &str, key: &str) {
        if let Some(value) = self.headers.get(name) {
            keys.add(key, String::from_utf8_lossy(value.as_bytes()));
        }
    }

    /// Tags that a request brings along, read as the operation reads them; a malformed header is the
    /// operation's to refuse.
    fn add_request_tags(&self, keys: &mut ConditionKeys) {
        if self.operation.is_some_and(|operation| copies_tags(operation, self.headers)) {
            return;
        }
        let tags = settings::tags_of(self.headers).ok().flatten().unwrap_or_default();
        tag_keys(REQUEST_TAG, &tags).iter().for_each(|(key, value)| keys.add(key, value.as_str()));
    }

    fn add_signature(&self, keys: &mut ConditionKeys, principal: &Principal, now_ms: i64) {
        if principal.is_unproven() {
            return;
        }
        let version = match self.signing.version {
            SignatureVersion::V2 => "AWS",
            SignatureVersion::V4 => "AWS4-HMAC-SHA256",
        };
        keys.add("s3:signatureversion", version);
        if let Some(at_ms) = self.signing.at_ms {
            // A clock that is ahead signs nothing that is older than new.
            keys.add("s3:signatureAge", now_ms.saturating_sub(at_ms).max(0).to_string());
        }
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
        let key = format!("aws:PrincipalTag/{name}");
        // A principal has one value of each; of an inherited tag the one that was inherited, which is first.
        if keys.values(&key).is_empty() {
            keys.add(&key, value.as_str());
        }
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

/// The headers that say who asks, in every protocol. Those of S3 mean nothing in another one, and keep there
/// no promise that a policy asks for.
pub fn headers_of_anybody(headers: &HeaderMap) -> HeaderMap {
    let names = [header::USER_AGENT, header::REFERER];
    let known = names.into_iter().filter_map(|name| Some((headers.get(&name)?.clone(), name)));
    known.map(|(value, name)| (name, value)).collect()
}

/// The condition keys of tags that a document gives to an object.
pub(crate) fn keys_of_tags(tags: &[(String, String)]) -> Vec<(String, String)> {
    tag_keys(REQUEST_TAG, tags)
}

/// The condition keys of a retention that a document gives to an object.
pub(crate) fn keys_of_retention(
    (mode, until_ms): (RetentionMode, i64),
    now_ms: i64,
) -> Vec<(String, String)> {
    let mode = (LOCK_MODE.to_owned(), mode_text(mode).to_owned());
    let until = (LOCK_UNTIL.to_owned(), date::iso8601(until_ms));
    vec![mode, until, (LOCK_DAYS.to_owned(), days_left(until_ms, now_ms))]
}

/// How many days a retention is to last from now on; a day that has begun counts.
fn days_left(until_ms: i64, now_ms: i64) -> String {
    let left_ms = until_ms.saturating_sub(now_ms);
    (left_ms.div_euclid(DAY_MS) + i64::from(left_ms.rem_euclid(DAY_MS) > 0)).to_string()
}

/// The condition key of a legal hold that a document sets or takes away.
pub(crate) fn keys_of_legal_hold(is_held: bool) -> Vec<(String, String)> {
    vec![(LEGAL_HOLD.to_owned(), status_text(is_held).to_owned())]
}

/// Tags under `family/NAME`, and their names under `familyKeys`.
pub(super) fn tag_keys(family: &str, tags: &[(String, String)]) -> Vec<(String, String)> {
    let both = |(name, value): &(String, String)| {
        [(format!("{family}/{name}"), value.clone()), (format!("{family}Keys"), name.clone())]
    };
    tags.iter().flat_map(both).collect()
}

/// Whether an operation writes tags and locks that its headers ask for. In another operation such a header
/// means nothing, and must not look like something that is done.
fn brings_along(operation: Operation) -> bool {
    use Operation as Op;
    matches!(operation, Op::PutObject | Op::PostObject | Op::CopyObject | Op::CreateMultipartUpload)
}

/// Whether an operation does what a header says. In another one it would pass for what a policy asks for, as
/// would a field of a form, which is read like a header of PutObject.
fn is_heeded(operation: Operation, header: &str) -> bool {
    use Operation as Op;
    match header {
        "x-amz-copy-source" => matches!(operation, Op::CopyObject | Op::UploadPartCopy),
        "x-amz-metadata-directive" => operation == Op::CopyObject,
        "x-amz-object-ownership" => operation == Op::CreateBucket,
        "x-amz-content-sha256" => operation != Op::PostObject,
        "x-amz-server-side-encryption-customer-algorithm" => true,
        "x-amz-bypass-governance-retention" => {
            matches!(operation, Op::DeleteObject | Op::DeleteObjects | Op::PutObjectRetention)
        }
        _ if header == acl::CANNED || header.starts_with(acl::GRANT_PREFIX) => {
            let sets = [Op::CreateBucket, Op::PutBucketAcl, Op::PutObjectAcl];
            brings_along(operation) || sets.contains(&operation)
        }
        // Encryption, storage class, redirect.
        _ => brings_along(operation),
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
