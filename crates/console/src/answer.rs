//! Pages, redirects and events, with the headers that all of them carry.

use askama::Template;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// What a browser may load and run for a page: the console's own files, and nothing that stands in the
/// page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";
const HTML: &str = "text/html; charset=utf-8";
const EVENTS: &str = "text/event-stream";

/// Events for a page that follows what happens, until the stream ends.
pub type Events = BoxStream<'static, Bytes>;

/// What the body of an answer is.
pub enum Body {
    /// These bytes.
    Whole(Bytes),
    /// Server-sent events.
    Events(Events),
}

/// Names the page that an answer is, for logs and counters; in the answer's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageName(pub &'static str);

/// Somebody was not signed in, and the endpoint has not been asked; in the answer's extensions, for the
/// audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRefused {
    /// The code of an error.
    pub code: &'static str,
    /// Why, without secrets.
    pub reason: String,
}

/// A page.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response<Body> {
    let text = page.render().unwrap_or_else(|error| format!("this page cannot be shown: {error}"));
    secured(status, HTML, Body::Whole(text.into()))
}

/// A stream of server-sent events.
pub(crate) fn events(events: Events) -> Response<Body> {
    let mut response = secured(StatusCode::OK, EVENTS, Body::Events(events));
    // Some proxies collect an answer before they pass it on.
    let name = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
    response
}

/// Sends the browser on with a GET.
pub(crate) fn see_other(place: &str) -> Response<Body> {
    let mut response = secured(StatusCode::SEE_OTHER, HTML, Body::Whole(Bytes::new()));
    if let Ok(value) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// The same answer with one more cookie.
pub(crate) fn with_cookie(mut response: Response<Body>, cookie: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A file that does not change under its name.
pub(crate) fn file(media_type: &'static str, text: &'static str) -> Response<Body> {
    let body = Body::Whole(Bytes::from_static(text.as_bytes()));
    let mut response = secured(StatusCode::OK, media_type, body);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}

fn secured(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
