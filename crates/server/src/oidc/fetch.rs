//! A provider's documents, fetched within limits of time and size. What they say is `auth`'s to know.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use tidelock_auth::oidc::{
    DISCOVERY_BYTES_MAX, Discovery, KEY_SET_BYTES_MAX, KeySet, discovery_url,
};

use crate::config::is_secure_url;
use crate::outgoing::{HttpClient, http_client, innermost};

/// Time for a document, the connection included.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches.
pub(super) struct Fetcher {
    /// Made for the first token: most servers take none, and the machine's certificates are many.
    http: LazyLock<Result<HttpClient, rustls::Error>>,
}

impl Fetcher {
    pub(super) fn new() -> Self {
        Self { http: LazyLock::new(http_client) }
    }

    /// The keys of an issuer, as it publishes them now.
    ///
    /// # Errors
    ///
    /// In words for an operator.
    pub(super) async fn keys(&self, issuer: &str) -> Result<KeySet, String> {
        let document = self.get(&discovery_url(issuer), DISCOVERY_BYTES_MAX).await?;
        let discovery = Discovery::parse(&document, issuer).map_err(|error| error.to_string())?;
        if !is_secure_url(&discovery.jwks_uri) {
            return Err("the jwks_uri is neither https nor of this machine".to_owned());
        }
        let document = self.get(&discovery.jwks_uri, KEY_SET_BYTES_MAX).await?;
        KeySet::parse(&document).map_err(|error| error.to_string())
    }

    async fn get(&self, url: &str, bytes_max: usize) -> Result<Bytes, String> {
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("tidelock/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::new()))
            .map_err(|error| format!("{url}: {error}"))?;
        let http = self.http.as_ref().map_err(ToString::to_string)?;
        let fetching = async {
            let response = http.request(request).await.map_err(|error| innermost(&error))?;
            if !response.status().is_success() {
                return Err(format!("answered {}", response.status()));
            }
            let body = Limited::new(response.into_body(), bytes_max).collect().await;
            Ok(body.map_err(|error| error.to_string())?.to_bytes())
        };
        let fetched = tokio::time::timeout(DOCUMENT_TIMEOUT, fetching).await;
        let waited = || format!("no answer within {} s", DOCUMENT_TIMEOUT.as_secs());
        fetched.unwrap_or_else(|_elapsed| Err(waited())).map_err(|error| format!("{url}: {error}"))
    }
}
