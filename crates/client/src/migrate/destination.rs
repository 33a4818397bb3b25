//! The bucket that states go to: what is there, and one more version of it.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, header};

use super::history::{Event, Front, Keeping, Past};
use crate::connection::Outgoing;
use crate::state::{READS_IN_FLIGHT_MAX, VersionHistory};
use crate::{Client, ClientError, ObjectVersion, uri};

/// The version that a copy was made of: its id at the source, or `sha256:…` where it has none.
const MIGRATED_FROM: &str = "x-amz-meta-tidelock-migrated-from";
/// When that version was written.
const MIGRATED_WRITTEN: &str = "x-amz-meta-tidelock-migrated-written";
/// What the S3 backend writes states with.
const CONTENT_TYPE: &str = "application/json";

/// A bucket.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    client: &'a Client,
    bucket: &'a str,
    keeping: Keeping,
}

impl<'a> Destination<'a> {
    pub(super) async fn open(client: &'a Client, bucket: &'a str) -> Result<Self, ClientError> {
        let versioning = client.bucket_settings(bucket).await?.versioning;
        let keeping = match versioning.as_deref() {
            Some("Enabled") => Keeping::Versions,
            _ => Keeping::Current,
        };
        Ok(Self { client, bucket, keeping })
    }

    pub(super) fn client(&self) -> &'a Client {
        self.client
    }

    pub(super) fn bucket(&self) -> &'a str {
        self.bucket
    }

    pub(super) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// What is there.
    pub(super) async fn past(&self, key: &str) -> Result<Past, ClientError> {
        if self.keeping == Keeping::Current {
            return self.current(key).await;
        }
        let mut versions = match self.client.state_history(self.bucket, key).await? {
            VersionHistory::Known(versions) => versions,
            VersionHistory::NotSupported => return self.current(key).await,
        };
        versions.reverse();
        let events: Vec<Event> = stream::iter(&versions)
            .map(|version| self.event(key, version))
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        Ok(Past::of(events))
    }

    async fn current(&self, key: &str) -> Result<Past, ClientError> {
        let (headers, body) = match self.client.look_into((self.bucket, key), None).await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(Past::default()),
            Err(error) => return Err(error),
        };
        Ok(Past::of([Event {
            body: Some(body),
            version_id: None,
            written: String::new(),
            migrated_from: text_of(&headers, MIGRATED_FROM),
            etag: text_of(&headers, header::ETAG.as_str()),
        }]))
    }

    async fn event(&self, key: &str, version: &ObjectVersion) -> Result<Event, ClientError> {
        let id = version.version_id.as_str();
        let (headers, body) = if version.delete_marker {
            (HeaderMap::new(), None)
        } else {
            let (headers, body) = self.client.look_into((self.bucket, key), Some(id)).await?;
            (headers, Some(body))
        };
        Ok(Event {
            body,
            version_id: Some(id.to_owned()),
            written: version.last_modified.clone(),
            migrated_from: text_of(&headers, MIGRATED_FROM),
            etag: text_of(&headers, header::ETAG.as_str()),
        })
    }

    /// Writes `event` where `front` stands; none of `bytes` is a delete marker. Answers what stands there
    /// then.
    ///
    /// # Errors
    /// See [`ClientError`]; [`crate::ErrorKind::Conflict`] where something else stands there.
    pub(super) async fn write(
        &self,
        key: &str,
        event: &Event,
        bytes: Option<Bytes>,
        front: Front,
    ) -> Result<Front, ClientError> {
        let Some(bytes) = bytes else {
            self.client.delete_object(self.bucket, key, None).await?;
            return Ok(Front::Nothing);
        };
        let mut request = Outgoing::new(Method::PUT, uri::object_path(self.bucket, key))
            .header("content-type", CONTENT_TYPE)
            .header(MIGRATED_FROM, event.name());
        if !event.written.is_empty() {
            request = request.header(MIGRATED_WRITTEN, event.written.as_str());
        }
        request = match front {
            Front::Nothing => request.header("if-none-match", "*"),
            Front::Object(Some(etag)) => request.header("if-match", etag),
            Front::Object(None) => request,
        };
        let answer = self.client.send(request.body(bytes).checksummed()).await?;
        Ok(Front::Object(text_of(answer.headers(), header::ETAG.as_str())))
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
