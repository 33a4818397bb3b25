//! What Tidelock knows of states without their bodies: it has derived that when they were written.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidelock_tfstate::{Index, Mode, ResourceQuery};

use super::StateLock;
use super::key::{is_lock, locked_key};
use super::list::bounded;
use crate::{Client, ClientError, Object, uri};

const STATES: &str = "/_/api/v1/states";
const SEARCH: &str = "/_/api/v1/search";
/// Instances that one request answers at most.
const SEARCHED_MAX: usize = 1000;

/// All that is known of the states of a bucket.
#[derive(Debug)]
pub struct KnownStates {
    /// States and locks, in the order of their keys.
    pub states: Vec<KnownState>,
    /// Objects of which nothing is known: to find out whether one is a state, its body must be read.
    pub unknown: Vec<Object>,
}

/// A state, or a lock on one that was never written.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownState {
    /// Its key.
    pub key: String,
    /// Bytes; none of a state that was never written.
    pub size: Option<u64>,
    /// When it was written, ISO 8601.
    pub last_modified: Option<String>,
    /// ARN of who wrote it.
    pub written_by: Option<String>,
    /// None of an object that is locked but not known to be a state.
    pub facts: Option<KnownFacts>,
    /// Who holds it.
    pub lock: Option<KnownLock>,
}

/// What was derived of a state.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownFacts {
    /// Rises with every change.
    pub serial: u64,
    /// Names the state through all its serials.
    pub lineage: String,
    /// None where the client has encrypted it.
    pub format_version: Option<u64>,
    /// The program that wrote it.
    pub terraform_version: Option<String>,
    /// None where the content could not be read.
    pub counts: Option<KnownCounts>,
}

/// How much a state holds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct KnownCounts {
    /// Current instances of managed resources.
    pub managed: usize,
    /// Outputs of the root module.
    pub outputs: usize,
}

/// A lock that is held.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownLock {
    /// ARN of who has it; empty where only the lock object tells.
    pub holder: String,
    /// Since when, by the server's clock, ISO 8601; empty in the same case.
    pub since: String,
    id: String,
    operation: String,
    info: String,
    who: String,
    created: String,
    version: String,
}

/// An instance that a search has found.
#[derive(Clone, Debug, Deserialize)]
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
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name in the configuration.
    pub name: String,
    /// Its key under `count` or `for_each`.
    pub index: Index,
    /// The address of its provider.
    pub provider: String,
    /// The key of an object that waits to be destroyed.
    pub deposed: Option<String>,
    /// Marked to be replaced.
    pub tainted: bool,
}

/// What a search has found, and what it could not look into.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order of keys.
    pub found: Vec<FoundInstance>,
    /// Objects without an index: to look into one, its body must be read.
    pub unindexed: Vec<Object>,
    /// Where the search goes on, if it ended before its end.
    pub next: Option<String>,
    /// How many of the server's pages were asked for.
    pub pages: usize,
}

/// How much of a search is done at once.
#[derive(Clone, Copy, Debug)]
pub struct SearchPart<'a> {
    /// Where an earlier part has ended.
    pub after: Option<&'a str>,
    /// Most instances.
    pub found_max: usize,
    /// Most pages of the server, each of which looks into some 1,000 states at most.
    pub pages_max: usize,
}

/// Some of what is known of the states of a bucket.
#[derive(Debug, Deserialize)]
pub struct StatesPage {
    /// Whether the bucket is guarded; nothing is known of one that is not.
    pub guarded: bool,
    /// States and locks, in the order of their keys.
    pub states: Vec<KnownState>,
    unknown: Vec<Unknown>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct SearchPage {
    found: Vec<FoundInstance>,
    unindexed: Vec<Unknown>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Unknown {
    key: String,
    size: u64,
    last_modified: String,
}

impl StatesPage {
    /// Keys of objects of which nothing is known.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(|object| object.key.as_str())
    }
}

impl Client {
    /// At most `limit` of the states and objects of `bucket` whose keys begin with `prefix`, from `after`
    /// on, where another page ended.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn states_page(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<StatesPage, ClientError> {
        let limit = limit.to_string();
        let asked = [("prefix", Some(prefix)), ("after", after), ("limit", Some(limit.as_str()))];
        self.page_of(STATES, bucket, &asked).await
    }

    /// What Tidelock knows of the states of `bucket` whose keys begin with `prefix`; none on another
    /// endpoint, and of a bucket that is not guarded.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Local`] beyond [`super::OBJECTS_LISTED_MAX`].
    pub async fn known_states(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Option<KnownStates>, ClientError> {
        if !self.is_tidelock().await? {
            return Ok(None);
        }
        let mut known = KnownStates { states: Vec::new(), unknown: Vec::new() };
        let mut after = None;
        loop {
            let asked = [("prefix", Some(prefix)), ("after", after.as_deref())];
            let page: StatesPage = self.page_of(STATES, bucket, &asked).await?;
            if !page.guarded {
                return Ok(None);
            }
            known.states.extend(page.states);
            known.unknown.extend(page.unknown.into_iter().map(Object::from));
            bounded(known.states.len() + known.unknown.len(), "of them")?;
            match page.next {
                None => break,
                next => after = next,
            }
        }
        self.find_locks(bucket, prefix, &mut known).await?;
        Ok(Some(known))
    }

    /// Lock objects that were there before the bucket was guarded: no guard tells of them.
    async fn find_locks(
        &self,
        bucket: &str,
        prefix: &str,
        known: &mut KnownStates,
    ) -> Result<(), ClientError> {
        for lock in known.unknown.extract_if(.., |object| is_lock(&object.key)).collect::<Vec<_>>()
        {
            let Some(key) = locked_key(&lock.key, prefix) else { continue };
            let at = known.states.binary_search_by(|state| state.key.as_str().cmp(key));
            if at.is_ok_and(|at| known.states.get(at).is_some_and(|state| state.lock.is_some())) {
                continue;
            }
            let Some(lock) = self.lock_of(bucket, key).await? else { continue };
            let lock = Some(KnownLock::from(lock));
            match at {
                Ok(at) => known.states[at].lock = lock,
                Err(at) => known.states.insert(at, KnownState::locked(key, lock)),
            }
        }
        Ok(())
    }

    /// Searches the states of `bucket` whose keys begin with `prefix`; none on another endpoint than
    /// Tidelock.
    ///
    /// # Errors
    /// As those of [`Client::known_states`].
    pub async fn search_states(
        &self,
        bucket: &str,
        prefix: &str,
        query: &ResourceQuery,
    ) -> Result<Option<Findings>, ClientError> {
        let all = SearchPart { after: None, found_max: usize::MAX, pages_max: usize::MAX };
        self.search_part(bucket, prefix, query, all).await
    }

    /// A part of the same.
    ///
    /// # Errors
    /// As those of [`Client::known_states`].
    pub async fn search_part(
        &self,
        bucket: &str,
        prefix: &str,
        query: &ResourceQuery,
        part: SearchPart<'_>,
    ) -> Result<Option<Findings>, ClientError> {
        if !self.is_tidelock().await? {
            return Ok(None);
        }
        let mut findings = Findings { next: part.after.map(str::to_owned), ..Findings::default() };
        loop {
            let limit = (part.found_max - findings.found.len()).min(SEARCHED_MAX).to_string();
            let asked = [
                ("prefix", Some(prefix)),
                ("type", query.type_name.as_deref()),
                ("name", query.name.as_deref()),
                ("address", query.address.as_deref()),
                ("provider", query.provider.as_deref()),
                ("after", findings.next.as_deref()),
                ("limit", Some(&limit)),
            ];
            let page: SearchPage = self.page_of(SEARCH, bucket, &asked).await?;
            findings.found.extend(page.found);
            findings.unindexed.extend(page.unindexed.into_iter().map(Object::from));
            bounded(findings.found.len() + findings.unindexed.len(), "of them")?;
            findings.next = page.next;
            findings.pages += 1;
            let is_full = findings.found.len() >= part.found_max;
            if findings.next.is_none() || is_full || findings.pages >= part.pages_max {
                return Ok(Some(findings));
            }
        }
    }

    async fn page_of<T: DeserializeOwned>(
        &self,
        path: &str,
        bucket: &str,
        asked: &[(&str, Option<&str>)],
    ) -> Result<T, ClientError> {
        let query: Vec<_> =
            asked.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
        self.ask_for(&format!("{path}/{}", uri::segment(bucket)), &query).await
    }
}

impl From<Unknown> for Object {
    fn from(Unknown { key, size, last_modified }: Unknown) -> Self {
        Self { key, size, last_modified, etag: String::new() }
    }
}

impl KnownState {
    fn locked(key: &str, lock: Option<KnownLock>) -> Self {
        let (size, last_modified, written_by, facts) = (None, None, None, None);
        Self { key: key.to_owned(), size, last_modified, written_by, facts, lock }
    }
}

impl From<StateLock> for KnownLock {
    fn from(lock: StateLock) -> Self {
        let StateLock { id, operation, info, who, created, version } = lock;
        let (holder, since) = (String::new(), String::new());
        Self { holder, since, id, operation, info, who, created, version }
    }
}

impl From<KnownLock> for StateLock {
    /// Who has it and since when is known, also where the lock itself does not say.
    fn from(lock: KnownLock) -> Self {
        let or = |text: String, other: String| if text.is_empty() { other } else { text };
        Self {
            id: lock.id,
            operation: lock.operation,
            info: lock.info,
            who: or(lock.who, lock.holder),
            created: or(lock.created, lock.since),
            version: lock.version,
        }
    }
}
