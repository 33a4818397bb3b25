//! The versions of one state, newest first, each compared with the one before it.

use std::collections::VecDeque;
use std::fmt;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::StatusCode;
use serde::Serialize;
use tidelock_tfstate::{Counts, Diff, Show, State};

use super::{READS_IN_FLIGHT_MAX, StateBody, StateError};
use crate::{Client, ClientError, ObjectVersion};

/// Most versions of one state that are looked at.
pub const VERSIONS_LISTED_MAX: usize = 100_000;

/// The versions of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionHistory {
    /// Newest first, delete markers among them; empty where nothing was ever there.
    Known(Vec<ObjectVersion>),
    /// The endpoint cannot list versions.
    NotSupported,
}

/// A version of a state.
#[derive(Debug)]
pub struct StateVersion {
    /// The version or delete marker.
    pub version: ObjectVersion,
    /// What was read; none of a delete marker.
    pub read: Option<ReadVersion>,
}

/// What the body of a version says.
#[derive(Debug, Default)]
pub struct ReadVersion {
    /// Serial, lineage and versions.
    pub state: Option<State>,
    /// How much it holds.
    pub counts: Option<Counts>,
    /// Against the body before it; none of the oldest, and where either cannot be read whole.
    pub changes: Option<Changes>,
    /// Why not everything is known.
    pub unread: Option<StateError>,
}

/// How many instances are not as they were; deposed objects count too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Only here.
    pub added: usize,
    /// With something else in them.
    pub changed: usize,
    /// Only before.
    pub removed: usize,
}

/// The versions of a state, as they are read.
pub struct StateVersions<'a> {
    listed: VecDeque<ObjectVersion>,
    bodies: BoxStream<'a, Result<StateBody, StateError>>,
    /// The body of the next version that is no delete marker.
    ahead: Option<Result<StateBody, StateError>>,
    rows_left: usize,
}

impl Client {
    /// All versions of the one object at `key`.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Local`] beyond [`VERSIONS_LISTED_MAX`].
    pub async fn state_history(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<VersionHistory, ClientError> {
        let mut found = Vec::new();
        let mut pages = self.list_versions(bucket, key);
        loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Err(error) if found.is_empty() && is_not_supported(&error) => {
                    return Ok(VersionHistory::NotSupported);
                }
                Err(error) => return Err(error),
                Ok(None) => return Ok(VersionHistory::Known(found)),
            };
            // No key that begins with this one comes before it, and its lock has many versions.
            let is_over = page.last().is_some_and(|version| version.key != key);
            found.extend(page.into_iter().take_while(|version| version.key == key));
            if found.len() > VERSIONS_LISTED_MAX {
                let reason = format!("more than {VERSIONS_LISTED_MAX} versions");
                return Err(ClientError::Local(std::io::Error::other(reason)));
            }
            if is_over {
                return Ok(VersionHistory::Known(found));
            }
        }
    }

    /// Reads the first `rows_max` of `listed`, the versions of `key`, newest first.
    pub fn state_versions<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        listed: Vec<ObjectVersion>,
        rows_max: usize,
    ) -> StateVersions<'a> {
        let room = self.room();
        let has_body = |version: &&ObjectVersion| !version.delete_marker;
        // One more, which the last is compared with.
        let bodies_max = listed.iter().take(rows_max).filter(has_body).count() + 1;
        let bodies: Vec<ObjectVersion> =
            listed.iter().filter(has_body).take(bodies_max).cloned().collect();
        let bodies = stream::iter(bodies).map(move |version| {
            let room = room.clone();
            async move {
                // What was written before versioning, or without it, has no other id.
                let id = Some(version.version_id.as_str());
                self.read_state_within(room, version.size, (bucket, key, id)).await
            }
        });
        let bodies = bodies.buffered(READS_IN_FLIGHT_MAX).boxed();
        StateVersions { listed: listed.into(), bodies, ahead: None, rows_left: rows_max }
    }
}

impl StateVersions<'_> {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// See [`ClientError`]. A version that this caller may not read is no error of the list.
    pub async fn next(&mut self) -> Result<Option<StateVersion>, ClientError> {
        if self.rows_left == 0 {
            return Ok(None);
        }
        let Some(version) = self.listed.pop_front() else { return Ok(None) };
        self.rows_left -= 1;
        if version.delete_marker {
            return Ok(Some(StateVersion { version, read: None }));
        }
        let body = match self.ahead.take() {
            Some(body) => Some(body),
            None => self.bodies.next().await,
        };
        self.ahead = self.bodies.next().await;
        let read = match body {
            Some(Ok(body)) => read(&body, self.ahead.as_ref()),
            Some(Err(error)) => {
                ReadVersion { unread: Some(error.of_one_object()?), ..ReadVersion::default() }
            }
            None => ReadVersion::default(),
        };
        Ok(Some(StateVersion { version, read: Some(read) }))
    }
}

impl fmt::Debug for StateVersions<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StateVersions").finish_non_exhaustive()
    }
}

fn read(body: &StateBody, before: Option<&Result<StateBody, StateError>>) -> ReadVersion {
    let state = Some(body.state.clone());
    let document = match body.document() {
        Ok(document) => document,
        Err(error) => {
            return ReadVersion { state, unread: Some(error), ..ReadVersion::default() };
        }
    };
    let before = before.and_then(|before| before.as_ref().ok()?.document().ok());
    // Nothing of it is shown but numbers.
    let changes = before.map(|before| Diff::of(&before, &document, Show::Revealed));
    let changes = changes.map(|diff| Changes {
        added: diff.added.len(),
        changed: diff.changed.len(),
        removed: diff.removed.len(),
    });
    let counts = Some(document.summary().counts());
    ReadVersion { state, counts, changes, unread: None }
}

/// Stores without versioning answer `?versions` with one of these.
pub(crate) fn is_not_supported(error: &ClientError) -> bool {
    let ClientError::Service(error) = error else { return false };
    matches!(
        error.status,
        StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    )
}
