//! Lifecycle rules: what a bucket's rules say of an object, and the pass that does it.
//!
//! The rules are a document of their bucket ([`tidelock_meta::record::lifecycle`]). One server at a time
//! goes through the buckets that have some, with its sweep ([`pass`]); what is due is removed in one commit
//! each, which checks the rules, the head and the version once more ([`expire`]).
//!
//! Never removed: what Object Lock protects; the current version of a Terraform lock, since a lock that is
//! there is held; the current version of a state in a guarded bucket.

mod expire;
mod pass;
mod rules;

use tidelock_meta::UnixMillis;
use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::BucketRow;
use tidelock_meta::record::bucket_document::DocumentId;
use tidelock_meta::record::lifecycle::Lifecycle;
use tidelock_meta::record::version::ObjectVersion;

pub use pass::LifecycleReport;

use crate::Store;
use crate::error::StorageError;
use crate::name::ObjectKey;

/// A day of those that clients are told of.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What must be known of a current version to say when it expires; there only where its bucket has rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleSubject {
    bucket: BucketId,
    document: DocumentId,
    size: u64,
    tags: Vec<(String, String)>,
    modified_ms: UnixMillis,
}

impl LifecycleSubject {
    pub(crate) fn of(bucket: &BucketRow, version: &ObjectVersion) -> Option<Self> {
        let (document, facts) = (bucket.lifecycle?, version.object()?);
        if bucket.guard.is_some() && facts.state.is_some() {
            return None;
        }
        let (size, tags) = (facts.size, facts.tags.clone());
        Some(Self { bucket: bucket.id, document, size, tags, modified_ms: version.modified_ms })
    }
}

/// When an object expires, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectExpiration {
    /// From when on, in milliseconds since 1970.
    pub due_ms: UnixMillis,
    /// The rule.
    pub rule_id: String,
}

impl Store {
    /// When the current version under `key` expires, if it does; none also where the rules have just
    /// changed.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn object_expiration(
        &self,
        key: &ObjectKey,
        subject: &LifecycleSubject,
    ) -> Result<Option<ObjectExpiration>, StorageError> {
        if key.is_lock() {
            return Ok(None);
        }
        let rules = self.lifecycle_rules(subject.bucket, subject.document).await?;
        let expirations = rules.into_iter().flat_map(|lifecycle| lifecycle.rules).filter(|rule| {
            rule.enabled
                && rules::is_about_key(&rule.filter, key.as_str())
                && rules::is_about_object(&rule.filter, subject.size, &subject.tags)
        });
        let due = |rule: &_| rules::expires_ms(rule, subject.modified_ms, DAY_MS);
        let due = expirations.filter_map(|rule| due(&rule).zip(Some(rule.id)));
        let first = due.min_by_key(|(due_ms, _)| *due_ms);
        Ok(first.map(|(due_ms, rule_id)| ObjectExpiration { due_ms, rule_id }))
    }

    /// The rules in a document of a bucket; none if another one has replaced it.
    async fn lifecycle_rules(
        &self,
        bucket: BucketId,
        document: DocumentId,
    ) -> Result<Option<Lifecycle>, StorageError> {
        let content = self.bucket_document(bucket, document).await?;
        Ok(content.map(|content| Lifecycle::decode(&content)).transpose()?)
    }
}
