//! One request before it is signed, and its signature.

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{RequestHead, Signer, payload_hash};

use crate::{ClientError, Settings, uri};

/// A request that can be signed and sent, more than once if need be.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// What is signed for the body, where that is not its hash.
    payload: Option<String>,
    repeatable: bool,
    /// Of the credential scope; none where nobody signs.
    service: Option<&'static str>,
}

impl Outgoing {
    /// Without query, headers and body; `path` is escaped already.
    pub(crate) fn new(method: Method, path: String) -> Self {
        let repeatable = method != Method::POST;
        let (query, headers, body) = (String::new(), Vec::new(), Bytes::new());
        let service = Some("s3");
        Self { method, path, query, headers, body, payload: None, repeatable, service }
    }

    pub(crate) fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.query = uri::query(pairs);
        self
    }

    /// With one more header, which is signed.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Signed for `payload`, the name of a payload mode or the hash of another body, instead of for
    /// the hash of its own.
    pub(crate) fn payload(self, payload: impl Into<String>) -> Self {
        Self { payload: Some(payload.into()), ..self }
    }

    pub(crate) fn json(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| ClientError::Malformed(error.to_string()))?;
        Ok(self.header("content-type", "application/json").body(Bytes::from(body)))
    }

    /// With the checksum header that S3 asks for where a lost byte would change a setting.
    pub(crate) fn checksummed(mut self) -> Self {
        let sum = digest(&SHA256, &self.body);
        let sum = base64::engine::general_purpose::STANDARD.encode(sum);
        self.headers.push(("x-amz-checksum-sha256", sum));
        self
    }

    /// A POST that may be sent twice.
    pub(crate) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    /// Signed for another service than S3.
    pub(crate) fn of_service(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }

    /// With no signature.
    pub(crate) fn unsigned(self) -> Self {
        Self { service: None, ..self }
    }

    /// Whether sending it twice has the effect of sending it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// The request on the wire, good for the skew that S3 allows.
    pub(crate) fn sign(
        &self,
        settings: &Settings,
        now: jiff::Timestamp,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let host = host(&settings.endpoint);
        let signature = self.signature(settings, &host, now)?;
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.uri(&settings.endpoint)?)
            .header(header::HOST, &host);
        if matches!(self.method, Method::PUT | Method::POST) {
            // hyper leaves it out of an empty body, and S3 wants it of every upload.
            request = request.header(header::CONTENT_LENGTH, self.body.len());
        }
        for (name, value) in self.headers.iter().chain(&signature) {
            let value = HeaderValue::from_str(value)
                .map_err(|error| ClientError::Malformed(format!("{name}: {error}")))?;
            request = request.header(*name, value);
        }
        request
            .body(Full::new(self.body.clone()))
            .map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// The headers that sign it.
    fn signature(
        &self,
        settings: &Settings,
        host: &str,
        now: jiff::Timestamp,
    ) -> Result<Vec<(&'static str, String)>, ClientError> {
        let Some(service) = self.service else { return Ok(Vec::new()) };
        let mut headers: Vec<(&str, &[u8])> = vec![("host", host.as_bytes())];
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let head = RequestHead {
            method: self.method.as_str(),
            path: &self.path,
            query: &self.query,
            headers: &headers,
            authority: None,
        };
        let payload = self.payload.clone().unwrap_or_else(|| payload_hash(&self.body));
        Ok(with_signer(settings, service, |signer| signer.sign(&head, &payload, now))?.headers)
    }

    /// The URL that stands for this request, for whoever has it, for `expires_s` seconds. Its headers and
    /// its body are not part of it.
    pub(crate) fn presign(
        self,
        settings: &Settings,
        expires_s: u32,
        now: jiff::Timestamp,
    ) -> Result<Uri, ClientError> {
        let host = host(&settings.endpoint);
        let head = RequestHead {
            method: self.method.as_str(),
            path: &self.path,
            query: &self.query,
            headers: &[("host", host.as_bytes())],
            authority: None,
        };
        let query = with_signer(settings, "s3", |signer| signer.presign(&head, expires_s, now))?;
        let query = query.map_err(|error| ClientError::Malformed(error.to_string()))?;
        Self { query, ..self }.uri(&settings.endpoint)
    }

    fn uri(&self, endpoint: &Uri) -> Result<Uri, ClientError> {
        let target = match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        };
        let mut parts = endpoint.clone().into_parts();
        let target = target.parse().map_err(|error| {
            ClientError::Malformed(format!("the request cannot be written as a URI: {error}"))
        })?;
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).map_err(|error| ClientError::Malformed(error.to_string()))
    }
}

/// Has the credentials of `settings` sign something.
pub(crate) fn with_signer<T>(
    settings: &Settings,
    service: &str,
    sign: impl FnOnce(&Signer<'_>) -> T,
) -> Result<T, ClientError> {
    let credentials = &settings.credentials;
    let access_key_id = AccessKeyId::parse(credentials.access_key_id.as_str())
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    let secret = SecretAccessKey::new(credentials.secret_access_key.as_str());
    Ok(sign(&Signer {
        access_key_id: &access_key_id,
        secret: &secret,
        session_token: credentials.session_token.as_deref(),
        region: &settings.region,
        service,
    }))
}

/// The authority, without the port that its scheme has anyway.
pub(crate) fn host(endpoint: &Uri) -> String {
    let host = endpoint.host().unwrap_or_default();
    let default = if endpoint.scheme_str() == Some("https") { 443 } else { 80 };
    match endpoint.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_is_what_other_clients_send() {
        let rows = [
            ("http://localhost:9000", "localhost:9000"),
            ("http://a.test:80", "a.test"),
            ("https://a.test:443", "a.test"),
            ("https://[::1]:9000", "[::1]:9000"),
        ];
        for (endpoint, expected) in rows {
            assert_eq!(host(&endpoint.parse().unwrap()), expected);
        }
    }
}
