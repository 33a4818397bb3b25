//! Puts an old version of a state in front again: its bytes, but for the digits of the serial, which
//! becomes higher than any before, so that Terraform takes it for the newest.
//!
//! It changes the state only. What the state speaks of stays as it is.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http::{Method, header};
use tidelock_tfstate::{SerialSplice, SpliceError};

use super::body::text_of;
use super::push::{CONTENT_TYPE, StatePut};
use super::{
    AcquireError, NewLock, READS_IN_FLIGHT_MAX, StateBody, StateError, Stop, UnderLock,
    VersionHistory, room,
};
use crate::connection::Outgoing;
use crate::{Client, ClientError, ErrorKind, ObjectVersion, Upload, WriteCondition, uri};

/// Tells where a state comes from; kept with the object.
const ROLLED_BACK_FROM: &str = "x-amz-meta-tidelock-rolled-back-from";

/// A rollback that can be done, and what it was found for.
#[derive(Debug)]
pub struct Rollback {
    /// The state as it is now; none where it was deleted, or is no state.
    pub current: Option<StateBody>,
    /// The version that comes back.
    pub target: StateBody,
    /// The serial it will have.
    pub serial: u64,
    /// Its name.
    version: String,
    /// What will be written.
    body: Vec<u8>,
    /// What stood there.
    front: Option<Front>,
}

/// Why nothing is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The version cannot be read, or is no state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its serial cannot be changed.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// It is what is there.
    #[error("this version is the current state")]
    Current,
    /// The history is not known.
    #[error("the endpoint lists no versions")]
    NoVersions,
    /// A serial is the highest there can be.
    #[error("a version has the highest serial there can be")]
    SerialsUsedUp,
    /// Somebody wrote it since it was looked at.
    #[error("the state was written since it was looked at: look again")]
    Overtaken,
}

/// Names what a plain GET answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Front {
    etag: Option<String>,
    version_id: Option<String>,
}

impl From<ClientError> for RollbackError {
    fn from(error: ClientError) -> Self {
        Self::State(error.into())
    }
}

impl Client {
    /// Reads what a rollback of the state at `key` to `version` needs to know: that version, the
    /// current state, and the serials of all versions.
    ///
    /// # Errors
    /// See [`RollbackError`].
    pub async fn plan_rollback(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<Rollback, RollbackError> {
        let target = self.read_state(bucket, key, Some(version)).await?;
        // Refused before all of its versions are read for nothing.
        SerialSplice::new(&target.state, 0)?;
        let front = self.front(bucket, key).await?;
        if front.as_ref().is_some_and(|front| front.version_id.as_deref() == Some(version)) {
            return Err(RollbackError::Current);
        }
        let current = match self.read_state(bucket, key, None).await {
            Ok(current) => Some(current),
            Err(StateError::Client(error)) if error.kind() != ErrorKind::NotFound => {
                return Err(error.into());
            }
            Err(_) => None,
        };
        let listed = match self.state_history(bucket, key).await? {
            VersionHistory::Known(listed) => listed,
            VersionHistory::NotSupported => return Err(RollbackError::NoVersions),
        };
        // Two of them were read above.
        let read = [Some(version), current.as_ref().and_then(|it| it.version_id.as_deref())];
        let is_unread = |it: &ObjectVersion| !read.contains(&Some(it.version_id.as_str()));
        let others = listed.into_iter().filter(is_unread).collect();
        let highest = self.highest_serial(bucket, key, others).await?;
        let known =
            [highest, target.state.serial, current.as_ref().map_or(0, |it| it.state.serial)];
        let highest = known.into_iter().max().unwrap_or_default();
        let serial = highest.checked_add(1).ok_or(RollbackError::SerialsUsedUp)?;
        let body = SerialSplice::new(&target.state, serial)?.apply(target.bytes())?;
        Ok(Rollback { current, target, serial, version: version.to_owned(), body, front })
    }

    /// Does it, under `lock`, for which it waits as long as `wait`.
    ///
    /// # Errors
    /// [`AcquireError`] when the lock was not taken; [`RollbackError`] is the result under the lock.
    pub async fn roll_back(
        &self,
        (bucket, key): (&str, &str),
        rollback: &Rollback,
        lock: &NewLock,
        wait: Duration,
        mut stop: Stop<'_>,
    ) -> Result<UnderLock<Result<(), RollbackError>>, AcquireError> {
        // Not `with_lock`: of an async closure it is not known that it may be sent to another thread.
        self.acquire_lock((bucket, key), lock, wait, stop.as_mut()).await?;
        let result = self.put_in_front((bucket, key), rollback, stop).await;
        let release = self.give_back((bucket, key), lock.id()).await;
        Ok(UnderLock { result, release })
    }

    /// Writes it, if nobody has written since.
    async fn put_in_front(
        &self,
        (bucket, key): (&str, &str),
        rollback: &Rollback,
        stop: Stop<'_>,
    ) -> Result<(), RollbackError> {
        let front = self.front(bucket, key).await?;
        if front != rollback.front {
            return Err(RollbackError::Overtaken);
        }
        let condition = match front {
            None => WriteCondition::Nothing,
            Some(Front { etag: Some(etag), .. }) => WriteCondition::Object(etag),
            Some(Front { etag: None, .. }) => WriteCondition::Anything,
        };
        let (name, value) = CONTENT_TYPE;
        let headers = [(name, value.to_owned()), (ROLLED_BACK_FROM, rollback.version.clone())];
        let size = Some(rollback.body.len() as u64);
        let upload = Upload { bucket, key, size, headers: &headers, condition: &condition };
        match self.put_state(&upload, &rollback.body, stop).await? {
            StatePut::Written => Ok(()),
            StatePut::Overtaken => Err(RollbackError::Overtaken),
        }
    }

    /// What is no state, or may not be read, has no serial.
    async fn highest_serial(
        &self,
        bucket: &str,
        key: &str,
        listed: Vec<ObjectVersion>,
    ) -> Result<u64, ClientError> {
        let room = room();
        let bodies = listed.into_iter().filter(|version| !version.delete_marker);
        let serials = stream::iter(bodies).map(|version| {
            let room = room.clone();
            async move {
                let id = Some(version.version_id.as_str());
                let read = self.read_state_within(room, version.size, (bucket, key, id)).await;
                read.map(|body| body.state.serial)
            }
        });
        let mut serials = serials.buffer_unordered(READS_IN_FLIGHT_MAX);
        let mut highest = 0;
        while let Some(serial) = serials.next().await {
            match serial {
                Ok(serial) => highest = highest.max(serial),
                Err(error) => drop(error.of_one_object()?),
            }
        }
        Ok(highest)
    }

    async fn front(&self, bucket: &str, key: &str) -> Result<Option<Front>, ClientError> {
        let request = Outgoing::new(Method::HEAD, uri::object_path(bucket, key));
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = |name: &str| text_of(response.headers(), name);
        let (etag, version_id) = (text(header::ETAG.as_str()), text("x-amz-version-id"));
        Ok(Some(Front { etag, version_id }))
    }
}
