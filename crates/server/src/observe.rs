//! One request from its arrival to the last byte of its answer: counted, timed and logged once.
//!
//! The log line carries what filters well and nothing that is secret: no query string, no header,
//! no body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tidelock_meta::Clock;
use tidelock_s3::{RequestId, ResponseBody, StreamError};
use tidelock_store::AuditEvent;

use crate::metrics::{Finished, Metrics};
use crate::pace::Turn;
use crate::room;
use crate::target::Target;

const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
/// Code of a request whose client went away before its answer began.
const CODE_GONE: &str = "ClientGone";
/// Code of an answer that broke off in the middle.
const CODE_BROKEN: &str = "AnswerBroken";
/// What nginx logs for a client that went away; no client ever sees it.
const STATUS_GONE: u16 = 499;

/// A request in work. Dropping it ends it, whatever became of it.
pub(crate) struct InWork {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    started: Duration,
    place: Place,
    received: Arc<Received>,
    request_id: Option<RequestId>,
    operation: &'static str,
    code: &'static str,
    status: u16,
    sent_bytes: u64,
    quiet: bool,
    held: Option<room::Place>,
}

/// What a request was about, where its path does not say it as those of S3 do; in an answer's
/// extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// The user, access key or webhook.
    pub(crate) subject: Option<String>,
    /// The refused version.
    pub(crate) refused_version: Option<String>,
}

impl InWork {
    /// A request whose headers have just arrived.
    pub(crate) fn begin(clock: Arc<dyn Clock>, metrics: Arc<Metrics>, target: Target) -> Self {
        metrics.requests_in_flight.inc();
        let Target { bucket, key, .. } = target;
        Self {
            started: clock.monotonic(),
            clock,
            metrics,
            place: Place { bucket, key, ..Place::default() },
            received: Arc::default(),
            request_id: None,
            operation: "Unknown",
            code: CODE_GONE,
            status: STATUS_GONE,
            sent_bytes: 0,
            quiet: false,
            held: None,
        }
    }

    /// Holds a place among the requests in work until the answer is sent.
    pub(crate) fn hold(&mut self, place: room::Place) {
        self.held = Some(place);
    }

    /// Whether the body was not read to its end. Then the connection is of no further use: bytes of the body may
    /// come, or the next request, from a client that waited for `100 Continue` in vain (RFC 9110, section
    /// 10.1.1).
    pub(crate) fn leaves_body(&self) -> bool {
        !self.received.to_the_end.load(Ordering::Relaxed)
    }

    /// Logs at debug level only: probes and scrapes come every few seconds.
    pub(crate) fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The answer begins.
    pub(crate) fn answered(
        &mut self,
        response: &Response<ResponseBody>,
        operation: &'static str,
        code: &'static str,
    ) {
        let extensions = response.extensions();
        self.request_id = extensions.get::<RequestId>().copied();
        if let Some(place) = extensions.get::<Place>() {
            self.place = place.clone();
        }
        self.operation = operation;
        self.code = code;
        self.status = response.status().as_u16();
    }

    /// What the audit log is told of a request that was answered.
    pub(crate) fn audit_event(&self, response: &Response<ResponseBody>) -> AuditEvent {
        let version_id = response.headers().get(VERSION_ID);
        let Place { bucket, key, subject, refused_version } = self.place.clone();
        AuditEvent {
            action: self.operation.into(),
            code: self.code.into(),
            bucket: bucket.unwrap_or_default(),
            key: key.unwrap_or_default(),
            version_id: version_id
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
                .unwrap_or_default(),
            subject: subject.unwrap_or_default(),
            refused_version: refused_version.unwrap_or_default(),
            ..AuditEvent::default()
        }
    }

    fn log(&self, duration: Duration) {
        // To the microsecond: finer digits are noise, and a line has to be read.
        let duration_ms = duration.as_micros() as f64 / 1e3;
        let (bucket, key) = (self.place.bucket.as_deref(), self.place.key.as_deref());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = self.request_id.as_ref().map(RequestId::request_id),
                    op = self.operation,
                    bucket,
                    key,
                    status = self.status,
                    code = self.code,
                    duration_ms,
                    bytes.received = self.received.bytes.load(Ordering::Relaxed),
                    bytes.sent = self.sent_bytes,
                    "request"
                )
            };
        }
        // Why readiness is refused is logged once, where it is found out.
        if self.quiet {
            line!(debug);
        } else if self.status >= 500 {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let duration = self.clock.monotonic().saturating_sub(self.started);
        self.metrics.requests_in_flight.dec();
        self.metrics.request_finished(&Finished {
            operation: self.operation,
            code: self.code,
            duration,
            received_bytes: self.received.bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes,
        });
        if !self.quiet {
            let has_failed = self.status >= 500;
            self.metrics.history.request_ended(self.clock.now(), has_failed);
        }
        self.log(duration);
    }
}

/// Where a request's body comes from.
pub(crate) enum Inbound {
    /// A connection.
    Wire(Incoming),
    /// This process.
    Within(Full<Bytes>),
}

/// A request's body that counts what was read of it: what a header announces may be anything.
pub(crate) struct ReceivedBody {
    body: Inbound,
    received: Arc<Received>,
}

/// How far a request's body was read.
#[derive(Debug, Default)]
pub(crate) struct Received {
    bytes: AtomicU64,
    to_the_end: AtomicBool,
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(context),
            Self::Within(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Within(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Within(body) => body.size_hint(),
        }
    }
}

impl ReceivedBody {
    pub(crate) fn new(body: Inbound, request: &InWork) -> Self {
        let body = Self { body, received: request.received.clone() };
        body.note_end();
        body
    }

    fn note_end(&self) {
        if self.body.is_end_stream() {
            self.received.to_the_end.store(true, Ordering::Relaxed);
        }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.received.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.note_end();
            }
            Some(Err(_)) => {}
            None => self.received.to_the_end.store(true, Ordering::Relaxed),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that ends its request when the last byte is out, or the client has gone.
pub(crate) struct ObservedBody {
    body: ResponseBody,
    request: InWork,
    turn: Option<Turn>,
}

impl ObservedBody {
    pub(crate) fn new(body: ResponseBody, request: InWork, turn: Option<Turn>) -> Self {
        turn.iter().for_each(Turn::to_client);
        Self { body, request, turn }
    }
}

impl Body for ObservedBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        self.turn.iter().for_each(Turn::to_server);
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        self.turn.iter().for_each(Turn::to_client);
        match &polled {
            Some(Ok(frame)) => {
                self.request.sent_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Some(Err(error)) => {
                self.request.code = CODE_BROKEN;
                tracing::error!(
                    request.id = self.request.request_id.as_ref().map(RequestId::request_id),
                    error = %error,
                    "an answer broke off"
                );
            }
            None => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
