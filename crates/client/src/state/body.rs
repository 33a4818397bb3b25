//! One state, read into memory as far as it is one.
//!
//! The first piece tells most objects that are no state, so that a large one is not read for nothing.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method, Response, header};
use http_body_util::BodyExt as _;
use jiff::fmt::rfc2822;
use tidelock_tfstate::{
    DOCUMENT_BYTES_MAX, Document, DocumentError, NotAState, State, StateReader,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::KIB;
use crate::connection::{AnswerBody, Outgoing};
use crate::{Client, ClientError, uri};

/// The body of a state, and what its answer said of it.
pub struct StateBody {
    bytes: Vec<u8>,
    /// Serial, lineage and versions.
    pub state: State,
    /// Which version it is, where the bucket keeps them.
    pub version_id: Option<String>,
    /// When it was written, ISO 8601.
    pub last_modified: String,
    /// Its entity tag, with its quotes.
    pub(super) etag: Option<String>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no state to look at.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The object is something else.
    #[error("not a state: {0}")]
    NotAState(#[from] NotAState),
    /// There is only a lock.
    #[error("locked, but never written")]
    NotWritten,
    /// The body is above what this client reads.
    #[error("larger than {} MiB, not read", bytes_max >> 20)]
    TooLarge {
        /// The largest that it reads.
        bytes_max: usize,
    },
    /// A state whose facts can be read, but not the rest.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The object cannot be read at all.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Client {
    /// Reads the state at `key`, or one version of it.
    ///
    /// # Errors
    /// [`StateError::NotAState`], [`StateError::TooLarge`] and [`StateError::Client`].
    pub async fn read_state(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<StateBody, StateError> {
        self.read_state_in(None, bucket, key, version).await
    }

    /// The same, once there is room for a body of `size_bytes`; the body keeps that room.
    pub(super) async fn read_state_within(
        &self,
        room: Arc<Semaphore>,
        size_bytes: u64,
        (bucket, key, version): (&str, &str, Option<&str>),
    ) -> Result<StateBody, StateError> {
        // A body that is too large is given up at its first piece.
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX).min(self.state_bytes_max());
        let kib = size.div_ceil(KIB).clamp(1, self.bodies_kib_max());
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        // Never closed, so never an error.
        let room = room.acquire_many_owned(kib).await.ok();
        self.read_state_in(room, bucket, key, version).await
    }

    async fn read_state_in(
        &self,
        room: Option<OwnedSemaphorePermit>,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<StateBody, StateError> {
        let response = self.get_state(bucket, key, version).await?;
        let version_id = text_of(response.headers(), "x-amz-version-id");
        let etag = text_of(response.headers(), header::ETAG.as_str());
        let last_modified = last_modified(response.headers());
        let (bytes_max, mut bytes) = (self.state_bytes_max(), Vec::new());
        let state = self.facts(response, bytes_max, |piece| bytes.extend_from_slice(piece)).await?;
        Ok(StateBody { state, bytes, version_id, last_modified, etag, _room: room })
    }

    /// The serial of a version; its body is not kept, so that it may be larger than those that are.
    pub(super) async fn serial_of(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<u64, StateError> {
        let response = self.get_state(bucket, key, Some(version)).await?;
        let state = self.facts(response, DOCUMENT_BYTES_MAX, |_| ()).await?;
        Ok(state.serial)
    }

    async fn get_state(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Response<AnswerBody>, ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::GET, uri::object_path(bucket, key)).query(&query);
        self.send(request).await
    }

    /// Reads a state of at most `bytes_max`, which goes to `take` piece by piece.
    async fn facts(
        &self,
        response: Response<AnswerBody>,
        bytes_max: usize,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<State, StateError> {
        let length = text_of(response.headers(), header::CONTENT_LENGTH.as_str());
        let length: Option<usize> = length.and_then(|length| length.parse().ok());
        let is_announced = length.is_some_and(|length| length > bytes_max);
        let (mut reader, mut bytes) = (StateReader::new(), 0);
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            reader.push(&data)?;
            bytes += data.len();
            if is_announced || bytes > bytes_max {
                return Err(StateError::TooLarge { bytes_max });
            }
            take(&data);
        }
        Ok(reader.finish()?)
    }
}

impl StateBody {
    /// All of it.
    ///
    /// # Errors
    /// [`StateError::Document`] of an encrypted state, an unknown format or one beyond the limits.
    pub fn document(&self) -> Result<Document<'_>, StateError> {
        match Document::parse(&self.bytes) {
            Err(DocumentError::NotAState(error)) => Err(StateError::NotAState(error)),
            parsed => Ok(parsed?),
        }
    }

    /// The body as it is stored, with every secret in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[cfg(test)]
impl StateBody {
    /// One that no endpoint has given.
    pub(super) fn in_memory(bytes: Vec<u8>) -> Result<Self, NotAState> {
        let state = State::parse(&bytes)?;
        let last_modified = String::new();
        Ok(Self { bytes, state, version_id: None, last_modified, etag: None, _room: None })
    }
}

impl fmt::Debug for StateBody {
    /// Without the body, which holds secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StateBody").field("state", &self.state).finish_non_exhaustive()
    }
}

impl StateError {
    /// Itself where a list goes on and says why one object was not read: it is no state, or this
    /// caller may not read it. The client's error where the list ends with it.
    pub(super) fn of_one_object(self) -> Result<Self, ClientError> {
        match self {
            Self::Client(ClientError::Service(error)) if error.status.is_client_error() => {
                Ok(Self::Client(ClientError::Service(error)))
            }
            Self::Client(error) => Err(error),
            error => Ok(error),
        }
    }
}

pub(super) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Lists of S3 say it in ISO 8601, headers as RFC 9110 does.
pub(crate) fn last_modified(headers: &HeaderMap) -> String {
    let text = text_of(headers, header::LAST_MODIFIED.as_str()).unwrap_or_default();
    match rfc2822::DateTimeParser::new().parse_timestamp(&text) {
        Ok(time) => time.to_string(),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_the_time_as_lists_do() {
        let rows =
            [("Sun, 22 Nov 2026 03:51:00 GMT", "2026-11-22T03:51:00Z"), ("yesterday", "yesterday")];
        for (header, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::LAST_MODIFIED, header.parse().unwrap());
            assert_eq!(last_modified(&headers), expected);
        }
    }
}
