//! All states under a prefix, each with its lock, read a few at a time.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tidelock_tfstate::{AttributeQuery, State, Summary};
use tokio::sync::Semaphore;

use super::key::{is_lock, locked_key};
use super::{READS_IN_FLIGHT_MAX, StateError, StateLock};
use crate::{Client, ClientError, ErrorKind, Object};

/// Most objects that are looked through at once; their names are held in memory.
pub const OBJECTS_LISTED_MAX: usize = 1_000_000;

/// An object that may be a state.
#[derive(Debug)]
pub struct ListedState {
    /// The object.
    pub object: Object,
    /// Serial, lineage and versions; none where [`ListedState::unread`] says why.
    pub state: Option<State>,
    /// What it holds; none where [`ListedState::unread`] says why.
    pub summary: Option<Summary>,
    /// Who holds it.
    pub lock: Option<StateLock>,
    /// Why not everything is known.
    pub unread: Option<StateError>,
}

/// States in order of their keys, as they are read.
pub struct States<'a>(BoxStream<'a, Result<ListedState, ClientError>>);

/// An object before it is read, or a lock without one.
struct Candidate {
    object: Object,
    is_written: bool,
    is_locked: bool,
}

impl Client {
    /// The objects of `bucket` whose keys begin with `prefix`, each read as a state; locks stand with
    /// their states, also with those that were never written ([`StateError::NotWritten`]).
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Local`] beyond [`OBJECTS_LISTED_MAX`].
    pub async fn list_states<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
    ) -> Result<States<'a>, ClientError> {
        self.list_states_where(bucket, prefix, None).await
    }

    /// The same; where an attribute is asked for, summaries have only the instances with its value.
    ///
    /// # Errors
    /// See [`Client::list_states`].
    pub async fn list_states_where<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        attribute: Option<AttributeQuery>,
    ) -> Result<States<'a>, ClientError> {
        let candidates = candidates(self, bucket, prefix).await?;
        Ok(self.read_candidates(bucket, candidates, attribute))
    }

    /// These objects of `bucket`, each read as a state, without their locks.
    pub fn read_states<'a>(&'a self, bucket: &'a str, objects: Vec<Object>) -> States<'a> {
        let unlocked = |object| Candidate { object, is_written: true, is_locked: false };
        self.read_candidates(bucket, objects.into_iter().map(unlocked).collect(), None)
    }

    fn read_candidates<'a>(
        &'a self,
        bucket: &'a str,
        candidates: Vec<Candidate>,
        attribute: Option<AttributeQuery>,
    ) -> States<'a> {
        let (room, attribute) = (self.room(), attribute.map(Arc::new));
        let read = stream::iter(candidates)
            .map(move |candidate| read(self, room.clone(), bucket, candidate, attribute.clone()))
            .buffered(READS_IN_FLIGHT_MAX)
            .try_filter_map(|listed| async move { Ok(listed) });
        States(read.boxed())
    }
}

impl States<'_> {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// See [`ClientError`]. An object that this caller may not read is no error of the list.
    pub async fn next(&mut self) -> Result<Option<ListedState>, ClientError> {
        self.0.try_next().await
    }
}

impl fmt::Debug for States<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("States").finish_non_exhaustive()
    }
}

async fn candidates(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<Candidate>, ClientError> {
    let mut objects = Vec::new();
    let mut locked = HashSet::new();
    let mut pages = client.list_objects(bucket, prefix);
    while let Some(page) = pages.next().await? {
        for object in page {
            if is_lock(&object.key) {
                locked.extend(locked_key(&object.key, prefix).map(str::to_owned));
            } else {
                objects.push(object);
            }
        }
        bounded(objects.len() + locked.len(), "objects")?;
    }
    let mut candidates = Vec::with_capacity(objects.len());
    for object in objects {
        let is_locked = locked.remove(&object.key);
        candidates.push(Candidate { object, is_written: true, is_locked });
    }
    candidates.extend(locked.into_iter().map(|key| {
        let object = Object { key, size: 0, last_modified: String::new(), etag: String::new() };
        Candidate { object, is_written: false, is_locked: true }
    }));
    candidates.sort_by(|one, other| one.object.key.cmp(&other.object.key));
    Ok(candidates)
}

/// None of an object that was deleted since it was listed.
async fn read(
    client: &Client,
    room: Arc<Semaphore>,
    bucket: &str,
    candidate: Candidate,
    attribute: Option<Arc<AttributeQuery>>,
) -> Result<Option<ListedState>, ClientError> {
    let Candidate { object, is_written, is_locked } = candidate;
    let lock = if is_locked { client.lock_of(bucket, &object.key).await? } else { None };
    let body = if is_written {
        client.read_state_within(room, object.size, (bucket, &object.key, None)).await
    } else {
        Err(StateError::NotWritten)
    };
    let mut listed = ListedState { object, state: None, summary: None, lock, unread: None };
    match body {
        Ok(body) => {
            match body.document() {
                Ok(document) => {
                    listed.summary = Some(match attribute {
                        Some(attribute) => document.into_summary_where(&attribute),
                        None => document.into_summary(),
                    });
                }
                Err(error) => listed.unread = Some(error),
            }
            listed.state = Some(body.state);
        }
        Err(StateError::Client(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => listed.unread = Some(error.of_one_object()?),
    }
    Ok(Some(listed))
}

/// An error beyond [`OBJECTS_LISTED_MAX`]; `what` says of what there are too many.
pub(super) fn bounded(count: usize, what: &str) -> Result<(), ClientError> {
    if count <= OBJECTS_LISTED_MAX {
        return Ok(());
    }
    let reason = format!("more than {OBJECTS_LISTED_MAX} {what}; give a prefix");
    Err(ClientError::Local(std::io::Error::other(reason)))
}
