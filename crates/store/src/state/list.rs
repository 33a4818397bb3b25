//! Lists states from what was derived when they were written. Reads no body.

use tidelock_meta::record::state::StateFacts;
use tidelock_meta::record::version::ObjectVersion;

use super::page::{Entry, entries};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::guard::LockFacts;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::DisplayVersion;

/// A request to list states.
#[derive(Clone, Debug)]
pub struct ListStates<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// Which bucket.
    pub bucket: &'a BucketName,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys after this.
    pub after: Option<&'a str>,
    /// Most states.
    pub limit: usize,
}

/// Some states, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatePage {
    /// The bucket is guarded: locks are as they are listed. In another one nothing is known of them.
    pub is_guarded: bool,
    /// States that are known as such, and locks.
    pub states: Vec<ListedState>,
    /// Objects of which nothing was derived: written when the bucket was not guarded, or no states. Lock
    /// objects are among them; one that no guard knows of was there before the bucket was guarded.
    pub unknown: Vec<UnknownObject>,
    /// The last key that was looked at, if there are more.
    pub next_after: Option<String>,
}

/// A state, or a lock on one that was never written.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedState {
    /// Its key.
    pub key: String,
    /// Its current version; none of a state that is not there.
    pub version: Option<ListedStateVersion>,
    /// Who holds it.
    pub lock: Option<LockFacts>,
}

/// The current version of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedStateVersion {
    /// Its id.
    pub id: DisplayVersion,
    /// Plaintext bytes.
    pub size: u64,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// ARN of who wrote it.
    pub author: String,
    /// None of an object that is locked but not known to be a state.
    pub facts: Option<StateFacts>,
}

/// An object of which nothing was derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownObject {
    /// Its key.
    pub key: String,
    /// Plaintext bytes.
    pub size: u64,
    /// `Last-Modified`.
    pub modified_ms: i64,
}

impl UnknownObject {
    pub(super) fn of(key: &ObjectKey, object: &ObjectVersion) -> Self {
        let size = object.object().map_or(0, |facts| facts.size);
        Self { key: key.as_str().to_owned(), size, modified_ms: object.modified_ms }
    }
}

impl Store {
    /// Lists states.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used or the store fails.
    pub async fn list_states(&self, request: &ListStates<'_>) -> Result<StatePage, BucketError> {
        self.rows
            .answer(|reading| async move { self.page_of_states(&reading, request).await })
            .await
    }

    async fn page_of_states(
        &self,
        reading: &Reading,
        request: &ListStates<'_>,
    ) -> Result<StatePage, BucketError> {
        let bucket = OpenBucket::read(reading, request.bucket, request.principal).await?;
        let is_guarded = bucket.row.guard.is_some();
        let mut page = StatePage { is_guarded, ..StatePage::default() };
        let found = entries(reading, &bucket, request.prefix, request.after).await?;
        page.next_after = found.next_after;
        let mut entries = found.list.into_iter().peekable();
        while let Some(entry) = entries.next() {
            let key = entry.key.as_str().to_owned();
            self.list_entry(&bucket, entry, &mut page)?;
            if page.states.len() >= request.limit.max(1) {
                if entries.peek().is_some() {
                    page.next_after = Some(key);
                }
                break;
            }
        }
        Ok(page)
    }

    fn list_entry(
        &self,
        bucket: &OpenBucket,
        entry: Entry,
        page: &mut StatePage,
    ) -> Result<(), StorageError> {
        let Entry { key, object, guard } = entry;
        let lock = match &bucket.row.guard {
            Some(config) => {
                let held = self.held_now(bucket, &key, &guard)?;
                held.map(|held| held.facts(self.now(), config))
            }
            None => None,
        };
        let Some(object) = object else {
            if lock.is_some() {
                let key = key.as_str().to_owned();
                page.states.push(ListedState { key, version: None, lock });
            }
            return Ok(());
        };
        let facts = self.unseal_state_facts(bucket.row.id, &key, &object)?;
        let UnknownObject { key, size, modified_ms } = UnknownObject::of(&key, &object);
        if facts.is_none() {
            page.unknown.push(UnknownObject { key: key.clone(), size, modified_ms });
        }
        if facts.is_some() || lock.is_some() {
            let version = ListedStateVersion {
                id: DisplayVersion::of(&object),
                size,
                modified_ms,
                author: object.author,
                facts,
            };
            page.states.push(ListedState { key, version: Some(version), lock });
        }
        Ok(())
    }
}
