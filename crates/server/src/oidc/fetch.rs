//! A provider's documents, fetched within limits of time and size; and tokens, exchanged for codes. What they
//! say is `auth`'s to know. No redirect is followed.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use tidelock_auth::oidc::{
    DISCOVERY_BYTES_MAX, Discovery, KEY_SET_BYTES_MAX, KeySet, discovery_url,
};

use crate::config::is_secure_url;
use crate::outgoing::{HttpClient, http_client, innermost};

/// Time for a document, the connection included.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer with tokens, in bytes: access and refresh tokens, which are dropped, come along.
const TOKENS_BYTES_MAX: usize = 64 << 10;
const FORM: &str = "application/x-www-form-urlencoded";
const USER_AGENT: &str = concat!("tidelock/", env!("CARGO_PKG_VERSION"));

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
        let discovery = self.discovery(issuer).await?;
        if !is_secure_url(&discovery.jwks_uri) {
            return Err("the jwks_uri is neither https nor of this machine".to_owned());
        }
        let document = self.get(&discovery.jwks_uri, KEY_SET_BYTES_MAX).await?;
        KeySet::parse(&document).map_err(|error| error.to_string())
    }

    /// What an issuer says of itself now.
    ///
    /// # Errors
    ///
    /// In words for an operator.
    pub(super) async fn discovery(&self, issuer: &str) -> Result<Discovery, String> {
        let document = self.get(&discovery_url(issuer), DISCOVERY_BYTES_MAX).await?;
        Discovery::parse(&document, issuer).map_err(|error| error.to_string())
    }

    /// What the token endpoint at `url` answers to `form`, whatever its status.
    ///
    /// # Errors
    ///
    /// In words for an operator.
    pub(super) async fn post(
        &self,
        url: &str,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, FORM);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(form)));
        self.ask(url, request, TOKENS_BYTES_MAX).await
    }

    async fn get(&self, url: &str, bytes_max: usize) -> Result<Bytes, String> {
        let request = Request::get(url).body(Full::new(Bytes::new()));
        let (status, body) = self.ask(url, request, bytes_max).await?;
        if status.is_success() { Ok(body) } else { Err(format!("{url}: answered {status}")) }
    }

    async fn ask(
        &self,
        url: &str,
        request: Result<Request<Full<Bytes>>, http::Error>,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = request.map_err(|error| format!("{url}: {error}"))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let http = self.http.as_ref().map_err(ToString::to_string)?;
        let asking = async {
            let response = http.request(request).await.map_err(|error| innermost(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), bytes_max).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let asked = tokio::time::timeout(DOCUMENT_TIMEOUT, asking).await;
        let waited = || format!("no answer within {} s", DOCUMENT_TIMEOUT.as_secs());
        asked.unwrap_or_else(|_elapsed| Err(waited())).map_err(|error| format!("{url}: {error}"))
    }
}
