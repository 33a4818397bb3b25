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
    VersionHistory,
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
            // It is not known what would be lost.
            Err(error @ StateError::TooLarge { .. }) => return Err(error.into()),
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
        let bodies = listed.into_iter().filter(|version| !version.delete_marker);
        let serials = stream::iter(bodies)
            .map(|version| async move { self.serial_of(bucket, key, &version.version_id).await });
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::future::BoxFuture;
    use http::{Request, Response, Uri};
    use http_body_util::{BodyExt as _, Full};

    use super::*;
    use crate::settings::Credentials;
    use crate::{AnswerBody, Now, Settings, Transport, TransportError};

    const KEY: &str = "k";

    /// Of each version, the newest first, the serial and the bytes.
    type History = &'static [(u64, usize)];

    /// An endpoint with one state.
    #[derive(Debug)]
    struct Versions(History);

    impl Versions {
        fn list(&self) -> String {
            let version = |(at, (_, size)): (usize, &(u64, usize))| {
                let is_latest = at == 0;
                format!(
                    "<Version><Key>{KEY}</Key><VersionId>{at}</VersionId><IsLatest>{is_latest}\
                     </IsLatest><ETag>e</ETag><Size>{size}</Size></Version>"
                )
            };
            let versions: String = self.0.iter().enumerate().map(version).collect();
            format!(
                "<ListVersionsResult><IsTruncated>false</IsTruncated>{versions}</ListVersionsResult>"
            )
        }

        fn body(&self, at: usize) -> String {
            let (serial, bytes) = self.0[at];
            let state = format!(r#"{{"version":4,"serial":{serial},"lineage":"l"}}"#);
            let spaces = bytes - state.len();
            state + &" ".repeat(spaces)
        }
    }

    impl Transport for Versions {
        fn send(
            &self,
            request: Request<Full<Bytes>>,
        ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>> {
            let query = request.uri().query().unwrap_or_default();
            let asked = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
            let (version, body) = match (request.method(), asked) {
                (&Method::HEAD, _) => ("0".to_owned(), String::new()),
                (_, Some(version)) => (version.to_owned(), self.body(version.parse().unwrap())),
                (_, None) if query.contains("versions") => (String::new(), self.list()),
                (_, None) => ("0".to_owned(), self.body(0)),
            };
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
            let answer = Response::builder().header("x-amz-version-id", version).body(body);
            Box::pin(std::future::ready(answer.map_err(TransportError::new)))
        }
    }

    fn client(versions: History) -> Client {
        let credentials = Credentials {
            access_key_id: "a".to_owned(),
            secret_access_key: "s".to_owned(),
            session_token: None,
        };
        let settings = Settings {
            endpoint: Uri::from_static("http://127.0.0.1"),
            region: "us-east-1".to_owned(),
            credentials,
            ca_bundle: None,
        };
        let now = Now::new(|| jiff::Timestamp::UNIX_EPOCH);
        Client::over(std::sync::Arc::new(Versions(versions)), settings, now)
    }

    /// The serial that a rollback to the oldest version has, where states up to 1,000 bytes are read;
    /// none where the state now, or the version, is larger.
    #[tokio::test]
    async fn a_rollback_is_above_versions_that_are_too_large_to_be_read() {
        let rows: &[(History, Option<u64>)] = &[
            (&[(3, 100), (1, 100)], Some(4)),
            (&[(3, 1_000), (9, 1_001), (1, 1_000)], Some(10)),
            (&[(3, 1_001), (1, 100)], None),
            (&[(3, 100), (1, 1_001)], None),
        ];
        for (versions, expected) in rows {
            let oldest = (versions.len() - 1).to_string();
            let client = client(versions).with_states_up_to(1_000);
            let plan = client.plan_rollback("states", KEY, &oldest).await;
            let serial = match plan {
                Ok(plan) => Some(plan.serial),
                Err(RollbackError::State(StateError::TooLarge { bytes_max: 1_000 })) => None,
                Err(error) => panic!("{versions:?}: {error}"),
            };
            assert_eq!(serial, *expected, "{versions:?}");
        }
    }
}
