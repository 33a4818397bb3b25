//! The rules of a bucket, read and kept.

use std::sync::Arc;

use http::{HeaderMap, request};
use tidelock_store::StorageError;

use super::CorsRequest;
use crate::error::{S3Error, S3Result};
use crate::route::Operation;
use crate::service::S3Service;
use crate::xml::documents::CorsDocument;

/// How often a document may be replaced while it is read.
const ATTEMPTS_MAX: usize = 4;

impl S3Service {
    /// The rules of the bucket `name`; none inside if it has none, none outside if there is no such
    /// bucket. Costs the bucket's row, and its document once.
    pub(crate) async fn cors_of(&self, name: &str) -> S3Result<Option<Option<Arc<CorsDocument>>>> {
        let Ok(name) = name.parse() else { return Ok(None) };
        for _ in 0..ATTEMPTS_MAX {
            let Some((bucket, id)) = self.store.bucket_cors(&name).await? else { return Ok(None) };
            let Some(id) = id else { return Ok(Some(None)) };
            if let Some(rules) = self.cors.get(id) {
                return Ok(Some(Some(rules)));
            }
            // Without it: another document has replaced this one, or the bucket is gone.
            let Some(content) = self.store.bucket_document(bucket, id).await? else { continue };
            let rules = CorsDocument::parse(&content).map_err(|error| {
                StorageError::Corrupt(format!("CORS rules of bucket {name}: {error}"))
            })?;
            let rules = Arc::new(rules);
            self.cors.keep(id, Arc::clone(&rules));
            return Ok(Some(Some(rules)));
        }
        Err(S3Error::from(StorageError::Overloaded("the CORS rules are being changed".to_owned())))
    }

    /// The headers that the rules of the bucket `name` give to the answer to a request, if a page sent
    /// it. What cannot be read gives none: the answer itself will tell.
    pub(crate) async fn cors_headers(
        &self,
        parts: &request::Parts,
        operation: Operation,
        name: Option<&str>,
    ) -> HeaderMap {
        if matches!(operation, Operation::PreflightBucket | Operation::PreflightObject) {
            return HeaderMap::new();
        }
        let (Some(name), Some(asked)) = (name, CorsRequest::of(&parts.method, &parts.headers))
        else {
            return HeaderMap::new();
        };
        let rules = self.cors_of(name).await.ok().flatten().flatten();
        rules.and_then(|rules| rules.answer(&asked)).unwrap_or_default()
    }
}
