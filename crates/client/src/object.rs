//! Operations on single objects, and lists of them.

use http::Method;
use serde::Serialize;

use crate::connection::Outgoing;
use crate::xml::Element;
use crate::{Client, ClientError, uri};

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

    /// Whether there is such an object.
    ///
    /// # Errors
    /// See [`ClientError`]; a missing one is an error of kind not found.
    pub async fn head_object(&self, bucket: &str, key: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::HEAD, uri::object_path(bucket, key))).await.map(drop)
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

fn decode(element: &Element, encoded: bool) -> Result<Object, ClientError> {
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
