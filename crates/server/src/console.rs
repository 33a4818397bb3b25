//! The console's place in the server: it is answered here, and what it asks is asked of this process.
//!
//! A page's requests are signed by its user's session and answered by the same services as everybody's,
//! with the browser's address as theirs. They only do not pass through a socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use http::{Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use jiff::Timestamp;
use tidelock_console::{
    AnswerBody, Body as PageBody, Config, Console, Credentials, Events, FORM_BYTES_MAX, Now, Oidc,
    PREFIX, PageName, Seal, Settings, SignInRefused, Transport, TransportError,
};
use tidelock_meta::Clock;
use tidelock_s3::{Peer, ResponseBody};
use tidelock_store::{AuditEvent, Entropy, Protocol, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::api::Answer;
use crate::backend_block::Backend;
use crate::config::ConsoleOidc;
use crate::dispatch::Dispatch;
use crate::oidc::SignInProvider;

/// What the console's cookies are sealed for.
const PURPOSE: &str = "console session";
/// Pages that follow what happens at once; each looks every second, and keeps its connection.
const FOLLOWERS_MAX: usize = 64;
/// Where requests within the process seem to go: it has to be a URL, and not that of a bucket.
const WITHIN: &str = "http://127.0.0.1";

/// The console, as the dispatcher sees it.
pub(crate) struct ConsolePages {
    console: Console,
    body_timeout: Duration,
    followers: Arc<Semaphore>,
}

/// Carries a page's requests to the services of this process.
#[derive(Clone)]
pub(crate) struct Within {
    dispatch: Arc<Dispatch>,
    peer: Peer,
}

/// Seals cookies with the store's keyring, so that every server of the store opens them.
struct StoreSeal {
    store: Arc<Store>,
    entropy: Arc<dyn Entropy>,
}

/// Whether the console answers at `path`.
pub(crate) fn is_path(path: &str) -> bool {
    let rest = path.strip_prefix(PREFIX);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl ConsolePages {
    /// The console of a server that `backend` describes to people; its key is not looked at. It takes people
    /// over the provider of `oidc`, too.
    pub(crate) fn new(
        backend: Backend,
        oidc: Option<ConsoleOidc>,
        store: Arc<Store>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        body_timeout: Duration,
    ) -> Self {
        let nobody = Credentials {
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
        };
        let settings = Settings {
            endpoint: Uri::from_static(WITHIN),
            region: backend.region.clone(),
            credentials: nobody,
            ca_bundle: None,
        };
        let block = move |bucket: &str, key: &str| {
            Backend { bucket: bucket.to_owned(), ..backend.clone() }.block_of(key)
        };
        let config = Config {
            settings,
            backend: Arc::new(block),
            oidc: oidc.map(|oidc| of_provider(oidc, clock.clone())),
            version: env!("CARGO_PKG_VERSION"),
        };
        let now = Now::new(move || {
            Timestamp::from_millisecond(clock.now()).unwrap_or(Timestamp::UNIX_EPOCH)
        });
        let seal = Arc::new(StoreSeal { store, entropy });
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Self { console: Console::new(config, seal, now), body_timeout, followers }
    }

    /// Answers a request whose path [`is_path`].
    pub(crate) async fn answer<B>(&self, request: Request<B>, within: Within) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let reading = Limited::new(body, FORM_BYTES_MAX).collect();
        let body = match tokio::time::timeout(self.body_timeout, reading).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge"),
            Err(_elapsed) => return refused(StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
        };
        let (stopped, sender) = (within.dispatch.clone(), within.peer.clone());
        let is_secure = within.peer.secure;
        let response = self.console.answer((&head, &body), is_secure, Arc::new(within)).await;
        if let Some(refused) = response.extensions().get() {
            // STS would have said so, had it been asked.
            stopped.store.note(&sender.unproven(Protocol::S3, &head, ""), &event(refused));
        }
        let page = response.extensions().get::<PageName>();
        let operation = page.map_or("ConsolePage", |page| page.0);
        let code = code(response.status());
        let response = response.map(|body| match body {
            PageBody::Whole(bytes) => ResponseBody::full(bytes),
            PageBody::Events(events) => match self.followers.clone().try_acquire_owned() {
                Ok(place) => ResponseBody::of_stream(while_serving(events, stopped, place)),
                // The browser asks again by itself.
                Err(_) => ResponseBody::empty(),
            },
        });
        Answer { response, operation, code }
    }
}

/// The identity provider as the console sees it.
fn of_provider(settings: ConsoleOidc, clock: Arc<dyn Clock>) -> Oidc {
    Oidc {
        name: settings.name.clone(),
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        scope: settings.scope.clone(),
        role_arn: settings.role_arn.clone(),
        provider: Arc::new(SignInProvider::new(settings, clock)),
    }
}

/// What the audit log is told of a sign-in that came to nothing.
fn event(refused: &SignInRefused) -> AuditEvent {
    AuditEvent {
        code: refused.code.into(),
        message: refused.reason.clone(),
        ..AuditEvent::new("ConsoleSignIn")
    }
}

/// A page that follows what happens does not keep a server that is to go down.
fn while_serving(
    events: Events,
    dispatch: Arc<Dispatch>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Bytes> + Send {
    events.take_while(move |_| {
        let _held = &place;
        std::future::ready(dispatch.is_ready())
    })
}

fn refused(status: StatusCode, code: &'static str) -> Answer {
    let mut response = Response::new(ResponseBody::full("the request is too long or too slow\n"));
    *response.status_mut() = status;
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Answer { response, operation: "ConsolePage", code }
}

/// What a page's status counts as.
fn code(status: StatusCode) -> &'static str {
    match status {
        status if status.is_success() || status.is_redirection() => "OK",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "AccessDenied",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT => "Conflict",
        status if status.is_client_error() => "InvalidRequest",
        _ => "InternalError",
    }
}

impl Within {
    pub(crate) fn new(dispatch: Arc<Dispatch>, peer: Peer) -> Self {
        Self { dispatch, peer }
    }
}

impl std::fmt::Debug for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Within").field("peer", &self.peer.address).finish_non_exhaustive()
    }
}

impl Transport for Within {
    fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>> {
        let within = self.clone();
        Box::pin(async move {
            // As HTTP/1.1 has it on the wire: the host stands in its header.
            if let Some(path) = request.uri().path_and_query() {
                *request.uri_mut() = Uri::from(path.clone());
            }
            let answer = within.dispatch.answer_within(request, within.peer).await;
            Ok(answer.map(|body| body.map_err(TransportError::new).boxed_unsync()))
        })
    }
}

impl Seal for StoreSeal {
    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        self.store.seal_text(PURPOSE, plain)
    }

    fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.store.open_text(PURPOSE, sealed)
    }

    fn random(&self, bytes: &mut [u8]) {
        self.entropy.fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::OWN_PREFIX;

    #[test]
    fn the_console_answers_below_its_path() {
        assert!(PREFIX.starts_with(OWN_PREFIX));
        let rows = [
            ("/_/console", true),
            ("/_/console/", true),
            ("/_/console/state", true),
            ("/_/consoles", false),
            ("/_/api/v1/users", false),
        ];
        for (path, expected) in rows {
            assert_eq!(is_path(path), expected, "{path}");
        }
    }
}
