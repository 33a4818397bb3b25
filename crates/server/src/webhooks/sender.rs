//! One event on its way: signed, posted, taken or not. Knows nothing of what is sent, nor of what
//! becomes of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::hmac;
use rustls::{ClientConfig, RootCertStore};
use tidelock_meta::Clock;

/// Time for a connection to a receiver.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time until a receiver's answer begins, the connection included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const SIGNATURE: &str = "x-tidelock-signature";
const EVENT: &str = "x-tidelock-event";
const DELIVERY: &str = "x-tidelock-delivery";
const TIMESTAMP: &str = "x-tidelock-timestamp";

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Posts events.
pub(crate) struct Sender {
    /// Made for the first event: most servers send none, and the machine's certificates are many.
    http: LazyLock<Result<HttpClient, rustls::Error>>,
    clock: Arc<dyn Clock>,
}

/// What is posted.
pub(crate) struct Letter<'a> {
    pub(crate) url: &'a str,
    pub(crate) secret: &'a [u8],
    pub(crate) kind: &'a str,
    /// The same for every try.
    pub(crate) delivery: &'a str,
    pub(crate) body: Bytes,
}

impl Sender {
    /// A sender that trusts what the machine trusts when the first event is sent.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { http: LazyLock::new(http_client), clock }
    }

    /// Posts `letter`.
    ///
    /// # Errors
    ///
    /// Why the receiver has not taken it, in words for an operator.
    pub(crate) async fn send(&self, letter: Letter<'_>) -> Result<(), String> {
        let request = request(letter, self.clock.now() / 1000)?;
        let http = self.http.as_ref().map_err(ToString::to_string)?;
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, http.request(request)).await;
        let response = sent
            .map_err(|_elapsed| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?
            .map_err(|error| innermost(&error))?;
        match response.status().is_success() {
            true => Ok(()),
            // Redirects are not followed: the receiver is who the operator has named.
            false => Err(format!("the receiver answered {}", response.status())),
        }
    }
}

fn request(letter: Letter<'_>, now_s: i64) -> Result<Request<Full<Bytes>>, String> {
    let uri: Uri = letter.url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let signature = signature(letter.secret, now_s, &letter.body);
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::USER_AGENT, concat!("tidelock/", env!("CARGO_PKG_VERSION")))
        .header(EVENT, letter.kind)
        .header(DELIVERY, letter.delivery)
        .header(TIMESTAMP, now_s)
        .header(SIGNATURE, format!("sha256={signature}"))
        .body(Full::new(letter.body))
        .map_err(|error| error.to_string())
}

/// HMAC-SHA256 of `timestamp.body`, hex: a receiver that looks at the time takes no old event twice.
fn signature(secret: &[u8], now_s: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{now_s}.").as_bytes());
    context.update(body);
    hex::encode(context.sign())
}

fn http_client() -> Result<HttpClient, rustls::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls_config()?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // A machine without roots still reaches receivers that speak plain HTTP.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_is_and_is_signed() {
        let body = Bytes::from_static(b"{}");
        let letter = Letter {
            url: "http://127.0.0.1:1/hook",
            secret: b"secret",
            kind: "lock.acquired",
            delivery: "d1",
            body,
        };
        let request = request(letter, 1_800_000_000).unwrap();
        // printf '1800000000.{}' | openssl dgst -sha256 -hmac secret
        let expected = [
            (EVENT, "lock.acquired"),
            (DELIVERY, "d1"),
            (TIMESTAMP, "1800000000"),
            (SIGNATURE, "sha256=bb7079132825ac793cea8c013c1dd24d926b9b02132245b10588d9e5c0df70d7"),
        ];
        for (name, value) in expected {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        assert_eq!(request.uri().path(), "/hook");
    }
}
