//! One event on its way: signed, posted, taken or not. Knows nothing of what is sent, nor of what
//! becomes of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use ring::hmac;
use tidelock_meta::Clock;

use crate::outgoing::{HttpClient, http_client, innermost};

/// Time until a receiver's answer begins, the connection included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const SIGNATURE: &str = "x-tidelock-signature";
const EVENT: &str = "x-tidelock-event";
const DELIVERY: &str = "x-tidelock-delivery";
const TIMESTAMP: &str = "x-tidelock-timestamp";

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
