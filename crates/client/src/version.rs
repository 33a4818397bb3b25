//! Lists of object versions and delete markers.

use http::Method;
use serde::Serialize;

use crate::connection::Outgoing;
use crate::object::{etag, size};
use crate::xml::Element;
use crate::{Client, ClientError, uri};

/// A version or a delete marker as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectVersion {
    /// Key of the object.
    pub key: String,
    /// Version id; `null` where it was written without versioning.
    pub version_id: String,
    /// Whether a plain GET answers with it.
    pub is_latest: bool,
    /// Whether it marks a deletion and has no body.
    pub delete_marker: bool,
    /// Bytes; 0 of a delete marker.
    pub size: u64,
    /// When it was written, ISO 8601.
    pub last_modified: String,
    /// Entity tag, without its quotes; empty of a delete marker.
    pub etag: String,
}

/// A list of versions, page by page, in order of keys and newest first.
#[derive(Debug)]
pub struct VersionPages<'a> {
    client: &'a Client,
    bucket: &'a str,
    prefix: &'a str,
    /// Key and version that the next page begins after.
    marker: Option<(String, String)>,
    done: bool,
}

impl Client {
    /// The versions and delete markers of `bucket` whose keys begin with `prefix`.
    pub fn list_versions<'a>(&'a self, bucket: &'a str, prefix: &'a str) -> VersionPages<'a> {
        VersionPages { client: self, bucket, prefix, marker: None, done: false }
    }
}

impl VersionPages<'_> {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectVersion>>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let mut query = vec![("versions", ""), ("encoding-type", "url"), ("prefix", self.prefix)];
        if let Some((key, version)) = &self.marker {
            query.push(("key-marker", key));
            query.push(("version-id-marker", version));
        }
        let request = Outgoing::new(Method::GET, uri::bucket_path(self.bucket)).query(&query);
        let root = Element::parse(&self.client.document(request).await?.body)?;
        let encoded = root.text_of("EncodingType") == Some("url");
        let versions = root
            .children()
            .filter(|(name, _)| matches!(*name, "Version" | "DeleteMarker"))
            .map(|(name, element)| decode(element, name == "DeleteMarker", encoded))
            .collect::<Result<_, _>>()?;
        let marker = |name: &str| root.text_of(name).unwrap_or_default();
        let key = decode_key(marker("NextKeyMarker"), encoded);
        self.done = !root.is_true("IsTruncated") || key.is_empty();
        self.marker = Some((key, marker("NextVersionIdMarker").to_owned()));
        Ok(Some(versions))
    }
}

pub(crate) fn decode(
    element: &Element,
    delete_marker: bool,
    encoded: bool,
) -> Result<ObjectVersion, ClientError> {
    Ok(ObjectVersion {
        key: decode_key(element.required("Key")?, encoded),
        version_id: element.required("VersionId")?.to_owned(),
        is_latest: element.is_true("IsLatest"),
        delete_marker,
        size: if delete_marker { 0 } else { size(element)? },
        last_modified: element.text_of("LastModified").unwrap_or_default().to_owned(),
        etag: etag(element),
    })
}

pub(crate) fn decode_key(text: &str, encoded: bool) -> String {
    if encoded { uri::decode_key(text) } else { text.to_owned() }
}
