//! `/_/api/v1/states/BUCKET` and `/_/api/v1/search/BUCKET`: states and what they hold by name, from what
//! was derived when they were written. Never a value.

use std::num::ParseIntError;

use http::{Response, StatusCode, request};
use serde::Serialize;
use tidelock_s3::{Peer, ResponseBody};
use tidelock_store::{
    BucketName, DisplayVersion, FoundInstance, HeldLock, InstanceKey, ListStates, ListedState,
    Principal, ResourceMode, ResourceQuery, SearchCursor, SearchPage, SearchStates, StateChanges,
    StateCounts, StateFacts, StatePage, Store, UnknownObject,
};

use super::error::ApiError;
use super::locks::Lock;
use super::route::Routed;
use super::{Api, iso8601, json};

/// Most states or instances of one page, and as many as there are if nothing else is asked.
const PAGE_ITEMS_MAX: usize = 1000;

#[derive(Serialize)]
struct States {
    guarded: bool,
    states: Vec<State>,
    unknown: Vec<Unknown>,
    next: Option<String>,
}

#[derive(Serialize)]
struct State {
    key: String,
    version_id: Option<String>,
    size: Option<u64>,
    last_modified: Option<String>,
    written_by: Option<String>,
    facts: Option<Facts>,
    lock: Option<Lock>,
}

#[derive(Serialize)]
struct Facts {
    serial: u64,
    lineage: String,
    format_version: Option<u64>,
    terraform_version: Option<String>,
    counts: Option<Counts>,
    changes: Option<Changes>,
    changed: Vec<String>,
    run: Run,
    lock_id: Option<String>,
    operation: Option<String>,
    rolled_back_from: Option<String>,
}

#[derive(Serialize)]
struct Counts {
    managed: u32,
    data: u32,
    deposed: u32,
    tainted: u32,
    outputs: u32,
    sensitive_outputs: u32,
    failed_checks: u32,
}

#[derive(Serialize)]
struct Changes {
    added: u32,
    changed: u32,
    removed: u32,
}

#[derive(Serialize)]
struct Run {
    holder: String,
    address: String,
    user_agent: String,
}

#[derive(Serialize)]
struct Unknown {
    key: String,
    size: u64,
    last_modified: String,
}

#[derive(Serialize)]
struct Search {
    found: Vec<Found>,
    unindexed: Vec<Unknown>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Found {
    key: String,
    address: String,
    module: Option<String>,
    mode: ResourceMode,
    #[serde(rename = "type")]
    type_name: String,
    name: String,
    index: InstanceKey,
    provider: String,
    deposed: Option<String>,
    tainted: bool,
}

impl Api {
    pub(super) async fn list_states(
        &self,
        who: (&Principal, &request::Parts, &Peer),
        bucket: &BucketName,
        routed: &Routed,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let page = list(&self.store, who.0, bucket, routed).await?;
        Ok(listed(self.without_insides(who, bucket, page).await?))
    }

    pub(super) async fn search_states(
        &self,
        who: (&Principal, &request::Parts, &Peer),
        bucket: &BucketName,
        routed: &Routed,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let page = search(&self.store, who.0, bucket, routed).await?;
        Ok(found(self.readable(who, bucket, page).await?))
    }
}

async fn list(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
    routed: &Routed,
) -> Result<StatePage, ApiError> {
    let request = ListStates {
        principal: actor,
        bucket,
        prefix: routed.query("prefix").unwrap_or_default(),
        after: routed.query("after"),
        limit: limit(routed)?,
    };
    Ok(store.list_states(&request).await?)
}

/// The answer to a list.
fn listed(page: StatePage) -> Response<ResponseBody> {
    let document = States {
        guarded: page.is_guarded,
        states: page.states.into_iter().map(State::from).collect(),
        unknown: page.unknown.into_iter().map(Unknown::from).collect(),
        next: page.next_after,
    };
    json(StatusCode::OK, &document)
}

async fn search(
    store: &Store,
    actor: &Principal,
    bucket: &BucketName,
    routed: &Routed,
) -> Result<SearchPage, ApiError> {
    let text = |name| routed.query(name).map(str::to_owned);
    let query = ResourceQuery {
        type_name: text("type"),
        name: text("name"),
        address: text("address"),
        provider: text("provider"),
    };
    let after = routed.query("after").map(parse_cursor).transpose()?;
    let request = SearchStates {
        principal: actor,
        bucket,
        prefix: routed.query("prefix").unwrap_or_default(),
        query: &query,
        after: after.as_ref(),
        limit: limit(routed)?,
    };
    Ok(store.search_states(&request).await?)
}

/// The answer to a search.
fn found(page: SearchPage) -> Response<ResponseBody> {
    let document = Search {
        found: page.found.into_iter().map(Found::from).collect(),
        unindexed: page.unindexed.into_iter().map(Unknown::from).collect(),
        next: page.next.as_ref().map(cursor),
    };
    json(StatusCode::OK, &document)
}

/// How many states or instances a page may have.
fn limit(routed: &Routed) -> Result<usize, ApiError> {
    let asked = routed.query("limit").map(str::parse).transpose();
    let asked = asked.map_err(|_: ParseIntError| ApiError::malformed("bad limit"))?;
    Ok(asked.unwrap_or(PAGE_ITEMS_MAX).clamp(1, PAGE_ITEMS_MAX))
}

/// `12:KEY` after twelve instances of a state, `-:KEY` after all of them.
fn cursor(cursor: &SearchCursor) -> String {
    let instances = cursor.instances.map_or("-".to_owned(), |instances| instances.to_string());
    format!("{instances}:{}", cursor.key)
}

fn parse_cursor(text: &str) -> Result<SearchCursor, ApiError> {
    let parse = || {
        let (instances, key) = text.split_once(':')?;
        let instances = match instances {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        Some(SearchCursor { key: key.parse().ok()?, instances })
    };
    parse().ok_or_else(|| ApiError::malformed("not where a page has ended"))
}

impl From<ListedState> for State {
    fn from(listed: ListedState) -> Self {
        let key = listed.key.clone();
        let lock = listed.lock.map(|lock| Lock::from(HeldLock { key, lock }));
        let Some(version) = listed.version else {
            return Self {
                key: listed.key,
                version_id: None,
                size: None,
                last_modified: None,
                written_by: None,
                facts: None,
                lock,
            };
        };
        Self {
            key: listed.key,
            version_id: Some(version.id.to_string()),
            size: Some(version.size),
            last_modified: Some(iso8601(version.modified_ms)),
            written_by: Some(version.author),
            facts: version.facts.map(Facts::from),
            lock,
        }
    }
}

impl From<StateFacts> for Facts {
    fn from(facts: StateFacts) -> Self {
        let StateFacts { run, lock, .. } = facts;
        let (lock_id, operation) = lock.map(|lock| (lock.id, lock.operation)).unzip();
        let display = |id| DisplayVersion { id, is_null: false }.to_string();
        Self {
            serial: facts.serial,
            lineage: facts.lineage,
            format_version: facts.format_version,
            terraform_version: facts.terraform_version,
            counts: facts.counts.map(Counts::from),
            changes: facts.changes.map(Changes::from),
            changed: facts.changed,
            run: Run { holder: run.holder, address: run.address, user_agent: run.user_agent },
            lock_id,
            operation,
            rolled_back_from: facts.rolled_back_from.map(display),
        }
    }
}

impl From<StateCounts> for Counts {
    fn from(counts: StateCounts) -> Self {
        let StateCounts {
            managed,
            data,
            deposed,
            tainted,
            outputs,
            sensitive_outputs,
            failed_checks,
        } = counts;
        Self { managed, data, deposed, tainted, outputs, sensitive_outputs, failed_checks }
    }
}

impl From<StateChanges> for Changes {
    fn from(changes: StateChanges) -> Self {
        let StateChanges { added, changed, removed } = changes;
        Self { added, changed, removed }
    }
}

impl From<UnknownObject> for Unknown {
    fn from(object: UnknownObject) -> Self {
        let last_modified = iso8601(object.modified_ms);
        Self { key: object.key, size: object.size, last_modified }
    }
}

impl From<FoundInstance> for Found {
    fn from(found: FoundInstance) -> Self {
        Self {
            key: found.key,
            address: found.address,
            module: found.module,
            mode: found.mode,
            type_name: found.type_name,
            name: found.name,
            index: found.index,
            provider: found.provider,
            deposed: found.deposed,
            tainted: found.tainted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        for text in ["-:a", "12:env:/dev/a:b", "0:a"] {
            assert_eq!(cursor(&parse_cursor(text).unwrap()), text);
        }
        for text in ["", "a", "x:a", "-1:a", "-:", "99999999999999999999:a"] {
            assert!(parse_cursor(text).is_err(), "{text}");
        }
    }
}
