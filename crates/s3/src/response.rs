//! What goes back: the body type and the few shapes all answers have.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tidelock_store::{BodySource as _, ObjectReader};

/// An answer on its way to the client.
pub type Response = http::Response<ResponseBody>;

/// Headers of an answer: so many fit without growing the map.
const HEADERS_TYPICAL: usize = 20;

/// Why an answer stopped in the middle: the connection is closed, since the status is already out.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>;

/// The body of an answer.
pub struct ResponseBody(Inner);

enum Inner {
    Bytes(Option<Bytes>),
    /// No bytes, but the length that a GET would have: the answer to HEAD.
    Omitted,
    Stream {
        stream: ByteStream,
        remaining_bytes: u64,
    },
    /// As long as it lasts.
    Endless(ByteStream),
}

impl ResponseBody {
    /// Nothing.
    pub fn empty() -> Self {
        Self(Inner::Bytes(None))
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(Inner::Bytes((!bytes.is_empty()).then_some(bytes)))
    }

    /// Nothing, and no `Content-Length: 0` of its own: the answer has one already.
    pub fn omitted() -> Self {
        Self(Inner::Omitted)
    }

    /// What `stream` brings, however long it lasts.
    pub fn of_stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Inner::Endless(Box::pin(stream.map(Ok))))
    }

    /// What `reader` reads, which is exactly `length_bytes` bytes.
    pub fn of_reader(reader: ObjectReader, length_bytes: u64) -> Self {
        if length_bytes == 0 {
            return Self::empty();
        }
        let stream = stream::try_unfold(reader, |mut reader| async move {
            let next = reader.next().await.map_err(StreamError::from)?;
            Ok(next.map(|bytes| (bytes, reader)))
        });
        Self(Inner::Stream { stream: Box::pin(stream), remaining_bytes: length_bytes })
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ResponseBody").field("size", &self.size_hint().exact()).finish()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut self.0 {
            Inner::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Omitted => Poll::Ready(None),
            Inner::Stream { stream, remaining_bytes } => {
                let polled = std::task::ready!(stream.as_mut().poll_next(context));
                Poll::Ready(polled.map(|result| {
                    let bytes = result?;
                    *remaining_bytes = remaining_bytes.saturating_sub(bytes.len() as u64);
                    Ok(Frame::data(bytes))
                }))
            }
            Inner::Endless(stream) => {
                let polled = std::task::ready!(stream.as_mut().poll_next(context));
                Poll::Ready(polled.map(|result| result.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Bytes(bytes) => bytes.is_none(),
            Inner::Omitted => true,
            Inner::Stream { remaining_bytes, .. } => *remaining_bytes == 0,
            Inner::Endless(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Bytes(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Inner::Omitted | Inner::Endless(_) => SizeHint::default(),
            Inner::Stream { remaining_bytes, .. } => SizeHint::with_exact(*remaining_bytes),
        }
    }
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Response {
    with_body(status, ResponseBody::empty())
}

/// An XML document.
pub(crate) fn xml(status: StatusCode, document: String) -> Response {
    let mut response = with_body(status, ResponseBody::full(document));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// An XML document with status 200.
pub(crate) fn ok_xml(document: String) -> Response {
    xml(StatusCode::OK, document)
}

/// A status and a body.
pub(crate) fn with_body(status: StatusCode, body: ResponseBody) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS_TYPICAL);
    response
}

/// Sets a header, unless the value cannot travel in one (control characters).
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        response.headers_mut().insert(name, value);
    }
}

/// Sets a header that has a fixed value.
pub(crate) fn set_static(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
