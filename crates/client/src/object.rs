//! Operations on single objects, and lists of them.

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use crate::connection::Outgoing;
use crate::xml::{Element, escape};
use crate::{Client, ClientError, ServiceError, uri};

/// Objects of one DeleteObjects request (Amazon S3 API Reference, DeleteObjects).
const DELETE_OBJECTS_MAX: usize = 1000;

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, ISO 8601.
    pub last_modified: String,
    /// Entity tag, without its quotes.
    pub etag: String,
}

/// Names an object, or one version of it, in a DeleteObjects request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectIdentifier {
    /// Key of the object.
    pub key: String,
    /// The version; without one it is the object, as DELETE understands it.
    pub version_id: Option<String>,
}

/// A list of objects, page by page, in order of their keys.
#[derive(Debug)]
pub struct ObjectPages<'a> {
    client: &'a Client,
    bucket: &'a str,
    prefix: &'a str,
    token: Option<String>,
    done: bool,
}

impl Client {
    /// The objects of `bucket` whose keys begin with `prefix`.
    pub fn list_objects<'a>(&'a self, bucket: &'a str, prefix: &'a str) -> ObjectPages<'a> {
        ObjectPages { client: self, bucket, prefix, token: None, done: false }
    }

    /// Deletes the object, or one version of it; in a versioned bucket without `version` this
    /// leaves a delete marker.
    ///
    /// # Errors
    /// See [`ClientError`]; an object that is not there is no error, as on S3.
    pub async fn delete_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(), ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::DELETE, uri::object_path(bucket, key)).query(&query);
        self.send(request).await.map(drop)
    }

    /// Deletes all of `doomed`, many with one request.
    ///
    /// # Errors
    /// See [`ClientError`]; the first that could not be deleted, while others were.
    pub async fn delete_objects(
        &self,
        bucket: &str,
        doomed: &[ObjectIdentifier],
    ) -> Result<(), ClientError> {
        let (listed, odd): (Vec<_>, Vec<_>) = doomed.iter().partition(|it| it.fits_in_xml());
        for chunk in listed.chunks(DELETE_OBJECTS_MAX) {
            self.delete_chunk(bucket, chunk).await?;
        }
        for ObjectIdentifier { key, version_id } in odd {
            self.delete_object(bucket, key, version_id.as_deref()).await?;
        }
        Ok(())
    }

    async fn delete_chunk(
        &self,
        bucket: &str,
        chunk: &[&ObjectIdentifier],
    ) -> Result<(), ClientError> {
        let objects: String = chunk.iter().map(|doomed| doomed.element()).collect();
        let body = format!(
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>{objects}\
             </Delete>"
        );
        let request = Outgoing::new(Method::POST, uri::bucket_path(bucket))
            .query(&[("delete", "")])
            .body(Bytes::from(body))
            .checksummed()
            .repeatable();
        let root = Element::parse(&self.document(request).await?.body)?;
        // Status 200 whatever became of the single ones.
        let Some(element) = root.child("Error") else { return Ok(()) };
        let error = ServiceError::within(element)
            .ok_or_else(|| ClientError::Malformed("an Error has no Code".to_owned()))?;
        let key = element.text_of("Key").unwrap_or_default();
        Err(ServiceError { message: format!("{key}: {}", error.message), ..error }.into())
    }
}

impl ObjectIdentifier {
    /// XML 1.0 has no way to write most control characters, and parsers change line ends.
    fn fits_in_xml(&self) -> bool {
        !self.key.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
    }

    fn element(&self) -> String {
        let version =
            self.version_id.iter().map(|id| format!("<VersionId>{}</VersionId>", escape(id)));
        let version: String = version.collect();
        format!("<Object><Key>{}</Key>{version}</Object>", escape(&self.key))
    }
}

impl ObjectPages<'_> {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Vec<Object>>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", self.prefix)];
        if let Some(token) = &self.token {
            query.push(("continuation-token", token));
        }
        let request = Outgoing::new(Method::GET, uri::bucket_path(self.bucket)).query(&query);
        let root = Element::parse(&self.client.document(request).await?.body)?;
        let encoded = root.text_of("EncodingType") == Some("url");
        let objects = root
            .children()
            .filter(|(name, _)| *name == "Contents")
            .map(|(_, element)| decode(element, encoded))
            .collect::<Result<_, _>>()?;
        self.token = root.text_of("NextContinuationToken").map(str::to_owned);
        self.done = !root.is_true("IsTruncated") || self.token.is_none();
        Ok(Some(objects))
    }
}

pub(crate) fn decode(element: &Element, encoded: bool) -> Result<Object, ClientError> {
    let key = element.required("Key")?;
    Ok(Object {
        key: if encoded { uri::decode_key(key) } else { key.to_owned() },
        size: size(element)?,
        last_modified: element.text_of("LastModified").unwrap_or_default().to_owned(),
        etag: etag(element),
    })
}

pub(crate) fn size(element: &Element) -> Result<u64, ClientError> {
    let text = element.required("Size")?;
    text.parse().map_err(|_invalid| ClientError::Malformed(format!("size '{text}'")))
}

pub(crate) fn etag(element: &Element) -> String {
    element.text_of("ETag").unwrap_or_default().trim_matches('"').to_owned()
}
