//! One page of a list, for whoever shows one page: names up to a delimiter are folded into one.

use http::Method;

use crate::connection::Outgoing;
use crate::object::{self, Object};
use crate::version::{self, ObjectVersion, decode_key};
use crate::xml::Element;
use crate::{Client, ClientError, uri};

/// What page of what list.
#[derive(Clone, Copy, Debug)]
pub struct PageOf<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// What the keys begin with.
    pub prefix: &'a str,
    /// Keys are folded at it, after the prefix; none for all keys.
    pub delimiter: Option<&'a str>,
    /// Keys and folded names of one page.
    pub max: usize,
}

/// Objects of one page.
#[derive(Clone, Debug, Default)]
pub struct ObjectsPage {
    /// In order of their keys.
    pub objects: Vec<Object>,
    /// What keys have in common up to the delimiter, in order.
    pub prefixes: Vec<String>,
    /// What the next page is asked for with; none on the last.
    pub next: Option<String>,
}

/// Versions and delete markers of one page.
#[derive(Clone, Debug, Default)]
pub struct VersionsPage {
    /// In order of their keys, and newest first.
    pub versions: Vec<ObjectVersion>,
    /// What keys have in common up to the delimiter, in order.
    pub prefixes: Vec<String>,
    /// Key and version that the next page begins after; none on the last.
    pub next: Option<(String, String)>,
}

impl Client {
    /// The page of objects after `next` of the one before, or the first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn objects_page(
        &self,
        asked: &PageOf<'_>,
        next: Option<&str>,
    ) -> Result<ObjectsPage, ClientError> {
        let max = asked.max.to_string();
        let mut query = vec![("list-type", "2")];
        query.extend(asked.query(&max));
        query.extend(next.map(|token| ("continuation-token", token)));
        let root = self.list_page(asked, &query).await?;
        let encoded = is_encoded(&root);
        let objects = root.children().filter(|(name, _)| *name == "Contents");
        let next = root.text_of("NextContinuationToken").map(str::to_owned);
        Ok(ObjectsPage {
            objects: objects
                .map(|(_, element)| object::decode(element, encoded))
                .collect::<Result<_, _>>()?,
            prefixes: prefixes(&root, encoded),
            next: next.filter(|_| root.is_true("IsTruncated")),
        })
    }

    /// The page of versions after `next` of the one before, or the first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn versions_page(
        &self,
        asked: &PageOf<'_>,
        next: Option<(&str, &str)>,
    ) -> Result<VersionsPage, ClientError> {
        let max = asked.max.to_string();
        let mut query = vec![("versions", "")];
        query.extend(asked.query(&max));
        if let Some((key, version)) = next {
            query.push(("key-marker", key));
            // Names that are folded have none.
            query.extend(
                Some(version).filter(|id| !id.is_empty()).map(|id| ("version-id-marker", id)),
            );
        }
        let root = self.list_page(asked, &query).await?;
        let encoded = is_encoded(&root);
        let versions =
            root.children().filter(|(name, _)| matches!(*name, "Version" | "DeleteMarker"));
        let marker = |name: &str| root.text_of(name).unwrap_or_default();
        let next = (
            decode_key(marker("NextKeyMarker"), encoded),
            marker("NextVersionIdMarker").to_owned(),
        );
        Ok(VersionsPage {
            versions: versions
                .map(|(name, element)| version::decode(element, name == "DeleteMarker", encoded))
                .collect::<Result<_, _>>()?,
            prefixes: prefixes(&root, encoded),
            next: (root.is_true("IsTruncated") && !next.0.is_empty()).then_some(next),
        })
    }

    async fn list_page(
        &self,
        asked: &PageOf<'_>,
        query: &[(&str, &str)],
    ) -> Result<Element, ClientError> {
        let request = Outgoing::new(Method::GET, uri::bucket_path(asked.bucket)).query(query);
        Element::parse(&self.document(request).await?.body)
    }
}

impl<'a> PageOf<'a> {
    fn query(&self, max: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let own = [("encoding-type", "url"), ("prefix", self.prefix), ("max-keys", max)];
        own.into_iter().chain(self.delimiter.map(|delimiter| ("delimiter", delimiter)))
    }
}

fn is_encoded(root: &Element) -> bool {
    root.text_of("EncodingType") == Some("url")
}

fn prefixes(root: &Element, encoded: bool) -> Vec<String> {
    let folded = root.children().filter(|(name, _)| *name == "CommonPrefixes");
    let names = folded.filter_map(|(_, element)| element.text_of("Prefix"));
    names.map(|name| decode_key(name, encoded)).collect()
}
