//! States of a bucket of any S3 endpoint, with all their versions. Locks are asked for where Terraform
//! has them: beside the state, and in a lock table if there is one.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::history::{Event, Past};
use super::key::PrefixKeys;
use super::source::{SourceError, SourceState};
use super::{LockTable, holder};
use crate::state::key::is_lock;
use crate::state::{
    OBJECTS_LISTED_MAX, READS_IN_FLIGHT_MAX, VersionHistory, is_not_supported, last_modified,
};
use crate::{Client, ClientError, ObjectVersion};

/// A bucket with states.
#[derive(Debug)]
pub struct S3Source {
    client: Client,
    bucket: String,
    keys: PrefixKeys,
    locks: Option<LockTable>,
}

impl S3Source {
    /// The states of `bucket` with these keys.
    pub fn new(client: Client, bucket: &str, keys: PrefixKeys, locks: Option<LockTable>) -> Self {
        Self { client, bucket: bucket.to_owned(), keys, locks }
    }

    pub(super) async fn states(&self) -> Result<Vec<SourceState>, SourceError> {
        let mut names = BTreeSet::new();
        let mut count = 0;
        for prefix in self.keys.listed() {
            let mut pages = self.client.list_versions(&self.bucket, prefix);
            loop {
                let page = match pages.next().await {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error) if count == 0 && is_not_supported(&error) => {
                        return self.states_without_versions().await;
                    }
                    Err(error) => return Err(error.into()),
                };
                count += page.len();
                bounded(count)?;
                names.extend(page.into_iter().map(|version| version.key));
            }
        }
        Ok(self.named(names))
    }

    async fn states_without_versions(&self) -> Result<Vec<SourceState>, SourceError> {
        let mut names = BTreeSet::new();
        for prefix in self.keys.listed() {
            let mut pages = self.client.list_objects(&self.bucket, prefix);
            while let Some(page) = pages.next().await? {
                names.extend(page.into_iter().map(|object| object.key));
                bounded(names.len())?;
            }
        }
        Ok(self.named(names))
    }

    fn named(&self, names: BTreeSet<String>) -> Vec<SourceState> {
        let states = names.into_iter().filter(|name| !is_lock(name));
        states.filter_map(|name| Some(SourceState { key: self.keys.key(&name)?, name })).collect()
    }

    pub(super) async fn holder(&self, name: &str) -> Result<Option<String>, SourceError> {
        if let Some(lock) = self.client.state_lock(&self.bucket, name).await? {
            return Ok(Some(holder(&lock)));
        }
        match &self.locks {
            Some(table) => table.holder(&format!("{}/{name}", self.bucket)).await,
            None => Ok(None),
        }
    }

    /// What is there now, and not when all states were listed: somebody may have written since.
    pub(super) async fn past(&self, name: &str) -> Result<Past, SourceError> {
        let Some(versions) = self.versions(name).await? else {
            return Ok(Past::of([self.current(name).await?]));
        };
        let events: Vec<Event> = stream::iter(&versions)
            .map(|version| self.event(version))
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        Ok(Past::of(events).listed_as(versions))
    }

    /// The versions of one state, oldest first; none where the endpoint lists none.
    pub(super) async fn versions(
        &self,
        name: &str,
    ) -> Result<Option<Vec<ObjectVersion>>, SourceError> {
        match self.client.state_history(&self.bucket, name).await? {
            VersionHistory::Known(versions) => oldest_first(versions).map(Some),
            VersionHistory::NotSupported => Ok(None),
        }
    }

    async fn current(&self, name: &str) -> Result<Event, SourceError> {
        let (headers, body) = self.client.look_into((&self.bucket, name), None).await?;
        let written = last_modified(&headers);
        Ok(Event { body: Some(body), version_id: None, written, migrated_from: None, etag: None })
    }

    async fn event(&self, version: &ObjectVersion) -> Result<Event, SourceError> {
        let id = version.version_id.as_str();
        let body = if version.delete_marker {
            None
        } else {
            let place = (self.bucket.as_str(), version.key.as_str());
            Some(self.client.look_into(place, Some(id)).await?.1)
        };
        let (written, version_id) = (version.last_modified.clone(), Some(id.to_owned()));
        Ok(Event { body, version_id, written, migrated_from: None, etag: None })
    }

    pub(super) async fn read(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Bytes, SourceError> {
        Ok(self.client.read_whole((&self.bucket, name), version).await?)
    }
}

impl fmt::Display for S3Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.client.settings().endpoint.to_string();
        write!(f, "{}/{}", endpoint.trim_end_matches('/'), self.bucket)
    }
}

fn bounded(objects: usize) -> Result<(), ClientError> {
    if objects <= OBJECTS_LISTED_MAX {
        return Ok(());
    }
    let reason = format!("more than {OBJECTS_LISTED_MAX} objects and versions: give a prefix");
    Err(ClientError::Local(std::io::Error::other(reason)))
}

/// The versions of one key, turned around. Lists of S3 begin with the newest; some endpoints list delete
/// markers after all versions, so that only the times tell where they belong.
fn oldest_first(mut versions: Vec<ObjectVersion>) -> Result<Vec<ObjectVersion>, SourceError> {
    let is_ordered = versions.windows(2).all(|pair| pair[0].last_modified >= pair[1].last_modified);
    let is_led = versions.first().is_none_or(|version| version.is_latest);
    if !is_ordered || !is_led {
        versions.sort_by(|a, b| {
            let newest = b.is_latest.cmp(&a.is_latest);
            newest.then_with(|| b.last_modified.cmp(&a.last_modified))
        });
        let newest = versions.iter().map(|version| &version.last_modified).max();
        let first = versions.first();
        if first.is_none_or(|it| !it.is_latest || Some(&it.last_modified) != newest) {
            let key = first.map(|it| it.key.clone()).unwrap_or_default();
            return Err(SourceError::Unordered(key));
        }
    }
    versions.reverse();
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name time`, with `*` where it is the latest.
    fn listed(words: &[&str]) -> Vec<ObjectVersion> {
        let version = |word: &&str| {
            let (name, time) = word.split_once(' ').unwrap();
            ObjectVersion {
                key: "k".to_owned(),
                version_id: name.trim_matches('*').to_owned(),
                is_latest: name.ends_with('*'),
                delete_marker: name.starts_with('x'),
                size: 0,
                last_modified: format!("2026-11-22T03:51:0{time}Z"),
                etag: String::new(),
            }
        };
        words.iter().map(version).collect()
    }

    #[test]
    fn versions_are_in_the_order_they_were_written() {
        let rows: [(&[&str], Option<&str>); 7] = [
            (&["c* 3", "b 2", "a 1"], Some("a b c")),
            (&["c* 1", "b 1", "a 1"], Some("a b c")),
            (&["c* 3", "a 1", "x 2"], Some("a x c")),
            (&["b 2", "a 1", "x* 3"], Some("a b x")),
            (&["b 2", "a 1", "x* 2"], Some("a b x")),
            (&["c* 3", "b 9", "a 1"], None),
            (&["a 1", "b 2"], None),
        ];
        for (words, expected) in rows {
            let ordered = oldest_first(listed(words)).ok().map(|versions| {
                versions.iter().map(|it| it.version_id.as_str()).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(ordered.as_deref(), expected, "{words:?}");
        }
    }
}
