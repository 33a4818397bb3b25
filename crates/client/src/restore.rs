//! Copies of objects, and what was deleted or written over, put in front again.

use http::{HeaderMap, Method, header};
use serde::Serialize;

use crate::connection::Outgoing;
use crate::xml::Element;
use crate::{Client, ClientError, ErrorKind, ObjectVersion, ServiceError, uri};

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct CopySource<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Key of the object.
    pub key: &'a str,
    /// One version of it.
    pub version: Option<&'a str>,
}

/// What became of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The version was copied onto its key: it is the newest again, and nothing was lost.
    Copied,
    /// So many delete markers were taken away from above the newest version.
    Undeleted(usize),
    /// There was nothing to do: it is there.
    Current,
    /// There is no version of it any more.
    Nothing,
}

/// What is said of an object without its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectHead {
    /// Bytes.
    pub size: u64,
    /// Media type.
    pub content_type: String,
    /// When it was written, ISO 8601.
    pub last_modified: String,
    /// Entity tag, without its quotes.
    pub etag: String,
    /// Its version, in a bucket that has had versioning.
    pub version_id: String,
    /// How it is encrypted: `AES256`, `aws:kms`.
    pub encryption: String,
}

impl Client {
    /// What is said of an object, or of one version of it; none where there is none, or a delete marker.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn head_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectHead>, ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::HEAD, uri::object_path(bucket, key)).query(&query);
        match self.send(request).await {
            Ok(response) => Ok(Some(ObjectHead::of(response.headers()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(ClientError::Service(error))
                if error.status == http::StatusCode::METHOD_NOT_ALLOWED =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies an object, with what is said of it, to `key` in `bucket`: at most 5 GiB, as S3 has it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn copy_object(
        &self,
        source: &CopySource<'_>,
        bucket: &str,
        key: &str,
    ) -> Result<(), ClientError> {
        let path = uri::object_path(source.bucket, source.key);
        let version = source.version.map(|id| format!("?versionId={}", uri::segment(id)));
        let request = Outgoing::new(Method::PUT, uri::object_path(bucket, key))
            .header("x-amz-copy-source", path + &version.unwrap_or_default());
        let root = Element::parse(&self.document(request).await?.body)?;
        // A copy that takes long begins with status 200, whatever becomes of it.
        match ServiceError::within(&root) {
            Some(error) if root.name() == "Error" => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Puts `version` of an object in front again; without one, what its delete markers hide.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn restore_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Restored, ClientError> {
        let markers = match version {
            Some(id) => {
                let source = CopySource { bucket, key, version: Some(id) };
                return self.copy_object(&source, bucket, key).await.map(|()| Restored::Copied);
            }
            None => self.markers_above(bucket, key).await?,
        };
        let Some(markers) = markers else { return Ok(Restored::Nothing) };
        for marker in &markers {
            self.delete_object(bucket, key, Some(&marker.version_id)).await?;
        }
        Ok(if markers.is_empty() { Restored::Current } else { Restored::Undeleted(markers.len()) })
    }

    /// The delete markers above the newest version; none where there is no version.
    async fn markers_above(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Vec<ObjectVersion>>, ClientError> {
        let mut markers = Vec::new();
        let mut pages = self.list_versions(bucket, key);
        while let Some(page) = pages.next().await? {
            for version in page {
                // In order: what is not of this key comes after all that is.
                match (version.key == key, version.delete_marker) {
                    (true, true) => markers.push(version),
                    (true, false) => return Ok(Some(markers)),
                    (false, _) => return Ok(None),
                }
            }
        }
        Ok(None)
    }
}

impl ObjectHead {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let owned = |name: &str| text(name).unwrap_or_default().to_owned();
        Self {
            size: text(header::CONTENT_LENGTH.as_str())
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
            content_type: owned(header::CONTENT_TYPE.as_str()),
            last_modified: text(header::LAST_MODIFIED.as_str()).map(iso).unwrap_or_default(),
            etag: owned(header::ETAG.as_str()).trim_matches('"').to_owned(),
            version_id: owned("x-amz-version-id"),
            encryption: owned("x-amz-server-side-encryption"),
        }
    }
}

/// A date of HTTP as ISO 8601 writes it; what is none stays.
fn iso(date: &str) -> String {
    let parsed = jiff::fmt::rfc2822::parse(date);
    parsed.map_or_else(|_| date.to_owned(), |time| time.timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let rows =
            [("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"), ("yesterday", "yesterday")];
        for (date, expected) in rows {
            assert_eq!(iso(date), expected);
        }
    }
}
