//! Who answers a request: S3, the JSON API, Terraform's `http` backend, the console, or the pages for
//! operators.
//!
//! Around all of them: limits on requests in work, one log line and one count each, and a panic
//! that costs one request only. What an answer says is decided elsewhere.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request,
};
use http_body_util::Full;
use hyper::body::Incoming;
use tidelock_console::LOOKS_AGAIN;
use tidelock_meta::{Clock, Health, MetaStore};
use tidelock_s3::{ErrorCode, Operation, Peer, RequestId, Requester, ResponseBody, S3Service};
use tidelock_store::{AuditEvent, ConnectionId, Conversation, Entropy, Protocol, Store};

use crate::api::{self, Answer, Api};
use crate::config::Secret;
use crate::console::{self, ConsolePages, Within};
use crate::forwarded::Proxies;
use crate::framing;
use crate::metrics::Metrics;
use crate::observe::{InWork, Inbound, ObservedBody, ReceivedBody};
use crate::pace::Turn;
use crate::room::Room;
use crate::target::Target;
use crate::tfhttp::{self, TfHttp};

/// The media type that Prometheus asks for.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that answers on one listener.
pub(crate) struct Dispatch {
    pub(crate) s3: S3Service,
    pub(crate) api: Api,
    pub(crate) tfhttp: TfHttp,
    pub(crate) console: ConsolePages,
    /// Told of every request, for the audit log; everything else goes through the services.
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) metrics_token: Option<Secret>,
    pub(crate) domains: Vec<String>,
    /// Places for requests in work.
    pub(crate) room: Room,
    /// Whose word is taken for where requests come from.
    pub(crate) proxies: Proxies,
    /// Whether new work is welcome: false until the store is open and from shutdown on.
    pub(crate) ready: AtomicBool,
    /// Names the connections.
    pub(crate) connections: Connections,
    /// Asked for its health; everything else goes through the services.
    pub(crate) meta: Arc<dyn MetaStore>,
}

/// Names connections: this server's own 8 bytes, and a number.
pub(crate) struct Connections {
    server: [u8; 8],
    next: AtomicU64,
}

impl Connections {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut server = [0; 8];
        entropy.fill(&mut server);
        Self { server, next: AtomicU64::new(0) }
    }

    /// A connection that was just opened.
    pub(crate) fn next(&self) -> Arc<Conversation> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.server);
        id[8..].copy_from_slice(&number.to_be_bytes());
        Arc::new(Conversation::new(ConnectionId(id)))
    }
}

/// Counts one connection for as long as it lives.
pub(crate) struct OpenConnection(Arc<Metrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Where a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entrance {
    /// From a connection: it needs a place among the requests in work.
    Listener,
    /// From this process: it has the place of the request which it is made for.
    Within,
}

impl Dispatch {
    /// Answers one request; `turn` is its place among those of its connection.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        turn: Option<Turn>,
    ) -> Response<ObservedBody> {
        let peer = self.proxies.client_of(peer, request.headers());
        let target = self.target(&request);
        if target.own && console::is_path(request.uri().path()) {
            return Box::pin(self.answer_console(request, target, peer, turn)).await;
        }
        let request = request.map(Inbound::Wire);
        self.answer_service(request, target, (peer, Entrance::Listener), turn).await
    }

    /// Answers a request that this process itself makes for somebody at `peer`, in the room of the request
    /// that it is made for.
    pub(crate) async fn answer_within(
        &self,
        request: Request<Full<Bytes>>,
        peer: Peer,
    ) -> Response<ObservedBody> {
        let target = self.target(&request);
        let request = request.map(Inbound::Within);
        self.answer_service(request, target, (peer, Entrance::Within), None).await
    }

    async fn answer_service(
        &self,
        request: Request<Inbound>,
        target: Target,
        (peer, entrance): (Peer, Entrance),
        turn: Option<Turn>,
    ) -> Response<ObservedBody> {
        let protocol = protocol_of(target.own, request.uri().path());
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let mut in_work = InWork::begin(clock, metrics, target);
        let request = request.map(|body| ReceivedBody::new(body, &in_work));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let waits = waits_for_body(&request);
        let looks_again = entrance == Entrance::Within && says_again(request.headers());
        let sender = peer.clone();
        let answering = async {
            if framing::is_ambiguous(&request) {
                return self.refuse_ambiguous(&request);
            }
            match protocol {
                Some(protocol) => {
                    self.serve(request, (peer, protocol), entrance, &mut in_work).await
                }
                None => self.answer_page(&request, &mut in_work),
            }
        };
        let answer = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_panic| {
            // The panic hook has logged where and why.
            self.refuse(ErrorCode::InternalError, &method, &path)
        });
        let Answer { mut response, operation, code } = answer;
        announce_end(&mut response, waits, &in_work);
        in_work.answered(&response, operation, code);
        if looks_again && response.status().is_success() {
            in_work.quiet();
        } else if let Some(protocol) = protocol {
            self.audit(in_work.audit_event(&response), &response, &sender, protocol);
        }
        response.map(|body| ObservedBody::new(body, in_work, turn))
    }

    /// Tells the audit log of a request that it has not been told of: one that has written something
    /// was told of in the commit that wrote it.
    fn audit(
        &self,
        event: AuditEvent,
        response: &Response<ResponseBody>,
        sender: &Peer,
        protocol: Protocol,
    ) {
        match response.extensions().get::<Requester>() {
            Some(Requester(principal)) if principal.origin.audited.is_set() => {}
            Some(Requester(principal)) => self.store.note(principal, &event),
            // It broke before anybody looked at who sent it.
            None => {
                let (parts, ()) = Request::new(()).into_parts();
                let id = request_id(response).unwrap_or_default();
                self.store.note(&sender.unproven(protocol, &parts, id), &event);
            }
        }
    }

    /// Whether new work is welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Counts a connection until the result is dropped.
    pub(crate) fn connection_opened(&self) -> OpenConnection {
        self.metrics.connections.inc();
        OpenConnection(self.metrics.clone())
    }

    /// Answers a request of a browser. What its page does for it is audited, not the page.
    async fn answer_console(
        self: &Arc<Self>,
        request: Request<Incoming>,
        target: Target,
        peer: Peer,
        turn: Option<Turn>,
    ) -> Response<ObservedBody> {
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let mut in_work = InWork::begin(clock, metrics, target);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let waits = waits_for_body(&request);
        let request = request.map(|body| ReceivedBody::new(Inbound::Wire(body), &in_work));
        let answering = async {
            if framing::is_ambiguous(&request) {
                return self.refuse_ambiguous(&request);
            }
            let (parts, body) = request.into_parts();
            // Until the answer begins: one that follows what happens may never end.
            let Some(_place) = self.room.enter(&peer, &parts) else {
                return self.refuse(ErrorCode::SlowDown, &method, &path);
            };
            let request = Request::from_parts(parts, body);
            self.console.answer(request, Within::new(self.clone(), peer)).await
        };
        let answer = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_panic| {
            // The panic hook has logged where and why.
            self.refuse(ErrorCode::InternalError, &method, &path)
        });
        let Answer { mut response, operation, code } = answer;
        announce_end(&mut response, waits, &in_work);
        in_work.answered(&response, operation, code);
        response.map(|body| ObservedBody::new(body, in_work, turn))
    }

    fn target<B>(&self, request: &Request<B>) -> Target {
        // The same choice as the signature's: the header, else HTTP/2's authority.
        let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = || request.uri().authority().map(http::uri::Authority::as_str);
        let host = header.or_else(authority).unwrap_or_default();
        Target::of(host, request.uri().path(), &self.domains)
    }

    /// Lets a service answer, if there is room.
    async fn serve(
        &self,
        request: Request<ReceivedBody>,
        (peer, protocol): (Peer, Protocol),
        entrance: Entrance,
        in_work: &mut InWork,
    ) -> Answer {
        let (mut parts, body) = request.into_parts();
        if entrance == Entrance::Listener {
            let Some(place) = self.room.enter(&peer, &parts) else {
                return self.refuse_overload(&parts, &peer, protocol);
            };
            parts.extensions.insert(place.turnstile());
            in_work.hold(place);
        }
        let request = Request::from_parts(parts, body);
        match protocol {
            Protocol::TerraformHttp => Box::pin(self.tfhttp.answer(request, peer)).await,
            Protocol::Api => Box::pin(self.api.answer(request, &peer)).await,
            Protocol::S3 | Protocol::Server => self.answer_s3(request, peer).await,
        }
    }

    async fn answer_s3(&self, request: Request<ReceivedBody>, peer: Peer) -> Answer {
        let response = self.s3.handle(request, peer).await;
        let operation = response.extensions().get::<Operation>().map(|op| op.as_str());
        let code = response.extensions().get::<ErrorCode>().map(|code| code.as_str());
        Answer { operation: operation.unwrap_or("Unknown"), code: code.unwrap_or("OK"), response }
    }

    /// Probes and scrapes must get through when the limit on requests is reached.
    fn answer_page<B>(&self, request: &Request<B>, in_work: &mut InWork) -> Answer {
        in_work.quiet();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page("UnknownPage", "MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED, "");
        }
        match request.uri().path() {
            "/_/health/live" => page("HealthLive", "OK", StatusCode::OK, "live\n"),
            "/_/health/ready" => self.readiness_page(),
            "/_/metrics" => self.metrics_page(request),
            _ => page("UnknownPage", "NotFound", StatusCode::NOT_FOUND, "nothing is here\n"),
        }
    }

    fn refuse_overload(&self, parts: &request::Parts, peer: &Peer, protocol: Protocol) -> Answer {
        let mut answer = match protocol {
            Protocol::TerraformHttp => self.tfhttp.refuse_overload(),
            Protocol::S3 | Protocol::Api | Protocol::Server => {
                self.refuse(ErrorCode::SlowDown, &parts.method, parts.uri.path())
            }
        };
        let id = request_id(&answer.response).unwrap_or_default();
        let sender = peer.unproven(protocol, parts, id);
        answer.response.extensions_mut().insert(Requester(sender));
        answer
    }

    /// Whatever follows on the connection may be a part of this request, for somebody else.
    fn refuse_ambiguous<B>(&self, request: &Request<B>) -> Answer {
        let path = request.uri().path();
        let mut answer = self.refuse(ErrorCode::InvalidRequest, request.method(), path);
        if request.version() <= Version::HTTP_11 {
            let close = HeaderValue::from_static("close");
            answer.response.headers_mut().insert(header::CONNECTION, close);
        }
        answer
    }

    /// An error in S3's form for a request that no service has answered.
    fn refuse(&self, code: ErrorCode, method: &Method, path: &str) -> Answer {
        let response = self.s3.refuse(code, method, path);
        Answer { response, operation: "Unknown", code: code.as_str() }
    }

    fn readiness_page(&self) -> Answer {
        let refusal = if self.is_ready() {
            match self.meta.health() {
                Health::Serving => return page("HealthReady", "OK", StatusCode::OK, "ready\n"),
                Health::ReadOnly(reason) => format!("reads only: {reason}\n"),
                Health::Unavailable(reason) => format!("unavailable: {reason}\n"),
            }
        } else {
            "not ready\n".to_owned()
        };
        page("HealthReady", "NotReady", StatusCode::SERVICE_UNAVAILABLE, refusal)
    }

    fn metrics_page<B>(&self, request: &Request<B>) -> Answer {
        let authorization = request.headers().get(header::AUTHORIZATION);
        let given = authorization.and_then(bearer);
        let allowed = match (&self.metrics_token, given) {
            (None, _) => true,
            (Some(token), Some(given)) => equal_in_constant_time(token.expose().as_bytes(), given),
            (Some(_), None) => false,
        };
        if !allowed {
            let status = StatusCode::UNAUTHORIZED;
            let mut answer = page("Metrics", "Unauthorized", status, "a bearer token is needed\n");
            let challenge = HeaderValue::from_static("Bearer");
            answer.response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return answer;
        }
        let mut answer = page("Metrics", "OK", StatusCode::OK, self.metrics.encode());
        let media_type = HeaderValue::from_static(OPENMETRICS);
        answer.response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        answer
    }
}

/// What a request speaks; nothing where it asks for a page for operators.
fn protocol_of(own: bool, path: &str) -> Option<Protocol> {
    match own {
        false => Some(Protocol::S3),
        true if path.starts_with(tfhttp::PREFIX) => Some(Protocol::TerraformHttp),
        true if path.starts_with(api::PREFIX) => Some(Protocol::Api),
        true => None,
    }
}

fn request_id(response: &Response<ResponseBody>) -> Option<&str> {
    response.extensions().get::<RequestId>().map(RequestId::request_id)
}

fn page(
    operation: &'static str,
    code: &'static str,
    status: StatusCode,
    text: impl Into<Bytes>,
) -> Answer {
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text_type = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Answer { response, operation, code }
}

/// What follows the word `Bearer`, whatever its case (RFC 9110, section 11.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Takes the same time wherever the first difference is.
pub(crate) fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && std::hint::black_box(difference) == 0
}

/// Whether a page of the console looks once more at what it follows.
fn says_again(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent == LOOKS_AGAIN)
}

/// Whether the client may wait to be asked for the body. In HTTP/2 a stream has nothing behind it.
fn waits_for_body<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT)
}

/// Says that the connection ends with this answer, where nobody can tell what comes next on it.
fn announce_end(response: &mut Response<ResponseBody>, waits: bool, request: &InWork) {
    if waits && request.leaves_body() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
