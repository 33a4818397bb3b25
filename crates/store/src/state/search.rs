//! Searches states by what their indexes name. Reads no body of a state, and what it cannot tell from
//! an index it names instead of guessing.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use tidelock_meta::record::guard::StateIndex;
use tidelock_meta::record::version::Body;
use tidelock_meta::record::{BucketId, body};
use tidelock_tfstate::{Index as InstanceKey, Mode, ResourceQuery};

use super::index::{Index, IndexedInstance, IndexedResource};
use super::list::UnknownObject;
use super::page::{Entry, entries, entry, parse};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};

/// How often a state that is written all the time is looked at again.
const READ_ATTEMPTS_MAX: u32 = 5;

/// States whose indexes are read at once: a page may end with the first of them.
const STATES_PER_READ: usize = 64;

/// A request to search states.
#[derive(Clone, Debug)]
pub struct SearchStates<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// Which bucket.
    pub bucket: &'a BucketName,
    /// Only states whose key begins with this.
    pub prefix: &'a str,
    /// What is looked for.
    pub query: &'a ResourceQuery,
    /// Where the last page has ended.
    pub after: Option<&'a SearchCursor>,
    /// Most instances.
    pub limit: usize,
}

/// Where a page of a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchCursor {
    /// The last key that was looked at.
    pub key: ObjectKey,
    /// So many of its instances were looked at; none where all were.
    pub instances: Option<u64>,
}

/// Some of what was found, in the order of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPage {
    /// What was found.
    pub found: Vec<FoundInstance>,
    /// Objects that have no index: no states, states that cannot be read or were too large to be looked
    /// into, or that were written when the bucket was not guarded.
    pub unindexed: Vec<UnknownObject>,
    /// Where this page ends, if there are more.
    pub next: Option<SearchCursor>,
}

/// An instance of a resource in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundInstance {
    /// Key of the state.
    pub key: String,
    /// `module.net["eu"].aws_subnet.a[0]`
    pub address: String,
    /// None in the root module.
    pub module: Option<String>,
    /// Managed or read.
    pub mode: Mode,
    /// `aws_subnet`
    pub type_name: String,
    /// The name in the configuration.
    pub name: String,
    /// Its key under `count` or `for_each`.
    pub index: InstanceKey,
    /// The address of its provider.
    pub provider: String,
    /// The key of an object that waits to be destroyed.
    pub deposed: Option<String>,
    /// Marked to be replaced.
    pub tainted: bool,
}

impl Store {
    /// Searches states.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used or the store fails.
    pub async fn search_states(
        &self,
        request: &SearchStates<'_>,
    ) -> Result<SearchPage, BucketError> {
        self.rows
            .answer(|reading| async move { self.page_of_search(&reading, request).await })
            .await
    }

    async fn page_of_search(
        &self,
        reading: &Reading,
        request: &SearchStates<'_>,
    ) -> Result<SearchPage, BucketError> {
        let bucket = OpenBucket::read(reading, request.bucket, request.principal).await?;
        let mut page = SearchPage::default();
        if let Some(SearchCursor { key, instances: Some(seen) }) = request.after {
            let again = entry(reading, bucket.row.id, key).await?;
            let index = self.index_of(reading, bucket.row.id, again, &HashMap::new()).await?;
            let index = index.unwrap_or_default();
            let seen = usize::try_from(*seen).unwrap_or(usize::MAX);
            if !page.take(key, &index, request, seen) {
                return Ok(page);
            }
        }
        let after = request.after.map(|cursor| cursor.key.as_str());
        let found = entries(reading, &bucket, request.prefix, after).await?;
        let mut left = found.list.into_iter();
        while left.len() > 0 {
            let step = left.by_ref().take(STATES_PER_READ).collect();
            if !self.search_step(reading, bucket.row.id, step, request, &mut page).await? {
                return Ok(page);
            }
        }
        if let Some(key) = found.next_after {
            page.next = Some(SearchCursor { key: parse(&key)?, instances: None });
        }
        Ok(page)
    }

    /// Searches these states. False once the page is full.
    async fn search_step(
        &self,
        reading: &Reading,
        bucket: BucketId,
        states: Vec<Entry>,
        request: &SearchStates<'_>,
        page: &mut SearchPage,
    ) -> Result<bool, StorageError> {
        let rows = self.inline_chunks(reading, &states).await?;
        for entry in states {
            let Some(object) = entry.object.as_ref().filter(|_| !entry.key.is_lock()) else {
                continue;
            };
            let (key, unknown) = (entry.key.clone(), UnknownObject::of(&entry.key, object));
            match self.index_of(reading, bucket, entry, &rows).await? {
                None => page.unindexed.push(unknown),
                Some(index) => {
                    if !page.take(&key, &index, request, 0) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// The chunks of all indexes that are kept as rows, by one read.
    async fn inline_chunks(
        &self,
        reading: &Reading,
        entries: &[Entry],
    ) -> Result<HashMap<[u8; 16], VecDeque<Bytes>>, StorageError> {
        let mut keys = Vec::new();
        let mut ids = Vec::new();
        for index in entries.iter().filter_map(Entry::index) {
            if let Body::Inline { id, chunks } = index.body {
                ids.extend((0..chunks).map(|_| id));
                keys.extend((0..chunks).map(|chunk| body::key(id, chunk)));
            }
        }
        // Only a confirmed row may tell where they are.
        reading.confirm_now().await?;
        let rows = self.rows.immutable().get(&keys).await?;
        let mut chunks: HashMap<_, VecDeque<Bytes>> = HashMap::new();
        for (id, row) in ids.into_iter().zip(rows) {
            if let Some(row) = row {
                chunks.entry(id).or_default().push_back(row.value);
            }
        }
        Ok(chunks)
    }

    /// The index of the current version; none if there is none that can be read. Looks again where the
    /// state was written meanwhile.
    async fn index_of(
        &self,
        reading: &Reading,
        bucket: BucketId,
        seen: Entry,
        rows: &HashMap<[u8; 16], VecDeque<Bytes>>,
    ) -> Result<Option<Index>, StorageError> {
        let mut seen = seen;
        for attempt in 0..READ_ATTEMPTS_MAX {
            if attempt > 0 {
                seen = entry(reading, bucket, &seen.key).await?;
                reading.confirm_now().await?;
            }
            let Some(index) = seen.index() else {
                // Of two moments: the head may be older than the guard, or newer.
                if attempt == 0 && seen.guard.index.is_some() && seen.object.is_some() {
                    continue;
                }
                return Ok(None);
            };
            let known = match &index.body {
                Body::Inline { id, .. } => rows.get(id).cloned(),
                Body::Empty | Body::Blob { .. } | Body::Parts { .. } => None,
            };
            match self.open_index(bucket, &seen.key, index, known).await {
                Ok(None) => {}
                // The state itself may be whole: whoever reads its body finds out.
                Err(StorageError::Corrupt(problem)) => {
                    tracing::error!(problem, "the index of a state is left out of a search");
                    return Ok(None);
                }
                opened => return opened,
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// The index, if it is that of the current version.
    fn index(&self) -> Option<&StateIndex> {
        let current = self.object.as_ref()?.id;
        self.guard.index.as_ref().filter(|index| index.version == current)
    }
}

impl SearchPage {
    /// Takes from a state what is wanted, but for its first `seen` instances. False once the page is
    /// full.
    fn take(
        &mut self,
        key: &ObjectKey,
        index: &Index,
        request: &SearchStates<'_>,
        seen: usize,
    ) -> bool {
        let mut number = 0;
        for resource in &index.resources {
            let IndexedResource { type_name, name, provider, instances, .. } = resource;
            if number + instances.len() <= seen
                || !request.query.wants_block(type_name, name, provider)
            {
                number += instances.len();
                continue;
            }
            for instance in instances {
                number += 1;
                let is_wanted = || request.query.wants_address(|| resource.address_of(instance));
                if number <= seen || !is_wanted() {
                    continue;
                }
                self.found.push(found(key, resource, instance));
                if self.found.len() >= request.limit.max(1) {
                    let instances = Some(number as u64);
                    self.next = Some(SearchCursor { key: key.clone(), instances });
                    return false;
                }
            }
        }
        true
    }
}

impl IndexedResource {
    fn address_of(&self, instance: &IndexedInstance) -> String {
        format!("{}{}", self.address(), instance.key)
    }
}

fn found(key: &ObjectKey, resource: &IndexedResource, instance: &IndexedInstance) -> FoundInstance {
    FoundInstance {
        key: key.as_str().to_owned(),
        address: resource.address_of(instance),
        module: resource.module.as_deref().map(str::to_owned),
        mode: resource.mode.clone(),
        type_name: resource.type_name.as_ref().to_owned(),
        name: resource.name.as_ref().to_owned(),
        index: instance.key.clone(),
        provider: resource.provider.as_ref().to_owned(),
        deposed: instance.deposed.as_deref().map(str::to_owned),
        tainted: instance.tainted,
    }
}
