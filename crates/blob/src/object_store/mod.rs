//! Blobs in any object store: S3 and what speaks it, Google Cloud Storage, Azure, a shared directory.
//!
//! ```text
//! s3://BUCKET/PREFIX?region=R&endpoint=URL&path_style=true|false
//! gs://BUCKET/PREFIX
//! az://CONTAINER/PREFIX?account=NAME
//! file:///DIRECTORY
//!
//! PREFIX/00 .. ff/<the other 30 hex digits>    a blob: whole, never written again
//! ```
//!
//! **Write-once.** Ids are random, so that no two writers ever mean the same one: nothing here leans on
//! a foreign store's conditional writes. An id that is there is refused all the same, by one request.
//!
//! **Durable.** A body is one PUT, or a multipart upload whose completion makes it visible: it exists
//! from the moment the store acknowledges, as durable as the store says. A crash leaves at most an
//! upload that was not completed, which no request shows and the store bills: give the bucket a
//! lifecycle rule with `AbortIncompleteMultipartUpload`. Writers here abort what they give up.
//!
//! **Whole.** Uploads carry a SHA-256 that S3 checks. Of what is read the length is checked here; the
//! bytes are by those who wrote them, as every chunk of a body is sealed by AES-256-GCM above.
//!
//! `s3://` and `file://` are tested; `gs://` and `az://` come with the library and are not.

pub mod archive;
mod client;
mod error;
mod location;
mod reader;
mod remote;
mod writer;

use std::fmt;
use std::path::Path as FilePath;

use async_trait::async_trait;

use crate::fs::FsBlobStore;
use crate::{BlobError, BlobId, BlobReader, BlobStore, BlobWriter};
use location::{Location, Scheme};
use remote::RemoteBlobs;

/// Why a place for blobs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none of a place for blobs.
    #[error("{0}")]
    Url(String),
    /// The URL has a parameter that its scheme does not know.
    #[error("unknown parameter {name:?}: {scheme}:// takes {known}")]
    Parameter {
        /// What it has.
        name: String,
        /// Of the URL.
        scheme: &'static str,
        /// What it may have, in words.
        known: String,
    },
    /// The settings do not make a client.
    #[error("cannot use this place for blobs: {0}")]
    Settings(String),
    /// The directory cannot be opened.
    #[error("cannot open the blob directory: {0}")]
    Directory(#[source] std::io::Error),
}

/// A [`BlobStore`] that any number of servers share.
pub struct ObjectStoreBlobs {
    location: Location,
    place: Box<dyn BlobStore>,
}

impl ObjectStoreBlobs {
    /// Opens the place that `url` names, with the settings and credentials in `variables`: those of
    /// `AWS_*`, `GOOGLE_*` or `AZURE_*` that the URL's scheme knows; others are ignored. What the URL says
    /// goes before. Plain HTTP is used when an endpoint says `http://`, and never else. No requests;
    /// `file://` makes its directory, and blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; none names a secret.
    pub fn open(
        url: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, OpenError> {
        let location: Location = url.parse()?;
        let place: Box<dyn BlobStore> = match location.scheme {
            Scheme::File => {
                let directory = FilePath::new(&location.container);
                Box::new(FsBlobStore::open_shared(directory).map_err(OpenError::Directory)?)
            }
            Scheme::S3 | Scheme::Gs | Scheme::Az => {
                let variables: Vec<_> = variables.into_iter().collect();
                let client = client::build(&location, &variables)?;
                Box::new(RemoteBlobs::new(client, location.prefix.clone()))
            }
        };
        Ok(Self { location, place })
    }
}

/// The URL; it holds no secret.
impl fmt::Display for ObjectStoreBlobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(formatter)
    }
}

impl fmt::Debug for ObjectStoreBlobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectStoreBlobs({})", self.location)
    }
}

#[async_trait]
impl BlobStore for ObjectStoreBlobs {
    async fn create(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.place.create(id).await
    }

    async fn open(&self, id: BlobId) -> Result<Box<dyn BlobReader>, BlobError> {
        self.place.open(id).await
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        self.place.delete(id).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        self.place.list(after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::conformance;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_directory_conforms() {
        let directory = TempDir::new().unwrap();
        let url = format!("file://{}", directory.path().display());
        let blobs = ObjectStoreBlobs::open(&url, []).unwrap();
        assert_eq!(blobs.to_string(), url);
        conformance::run(&blobs).await.unwrap();
    }

    #[test]
    fn places_open_with_the_settings_they_need() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "top-secret"),
            ("AWS_CONDITIONAL_PUT", "nonsense that must be ignored"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "dG9wLXNlY3JldA=="),
            ("HOME", "/root"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Making an HTTPS client fails where no TLS provider can be had.
        for url in [
            "s3://bucket/prefix",
            "s3://bucket?region=eu-central-1",
            "s3://bucket/p?endpoint=https://s3.example.com&path_style=false",
            "s3://bucket/p?endpoint=http%3A%2F%2F127.0.0.1:9000",
            "az://container/prefix",
            "az://container/prefix?account=other",
        ] {
            let blobs = ObjectStoreBlobs::open(url, variables.clone());
            let shown = format!("{:?}", blobs.unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    /// What cannot be made sense of may be a secret all the same.
    #[test]
    fn settings_that_are_refused_are_not_repeated() {
        let rows = [
            ("gs://bucket", "GOOGLE_SERVICE_ACCOUNT_KEY", r#""hunter2""#),
            ("gs://bucket", "GOOGLE_SERVICE_ACCOUNT_KEY", r#"{"private_key": "hunter2"}"#),
            (
                "gs://bucket",
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                r#"{"private_key": "hunter2", "private_key_id": "", "client_email": "", "disable_oauth": "hunter2"}"#,
            ),
            ("gs://bucket", "GOOGLE_APPLICATION_CREDENTIALS", "/hunter2"),
            ("az://container?account=a", "AZURE_STORAGE_ACCOUNT_KEY", "hunter2!"),
            ("az://container?account=a", "AZURE_STORAGE_SAS_KEY", "hunter2%ff"),
            ("s3://bucket?path_style=hunter2", "AWS_REGION", "hunter2"),
            ("s3://bucket", "AWS_ENDPOINT_URL", "hunter2"),
        ];
        for (url, name, value) in rows {
            let opened = ObjectStoreBlobs::open(url, [(name.to_owned(), value.to_owned())]);
            let Err(error) = opened else { continue };
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2"), "{name}: {text}");
        }
    }
}
