//! What a request is refused with: an S3 error code, its message, and the fields AWS adds to it.
//!
//! Knows how an error looks on the wire; knows nothing of why the domain refused.

mod auth;
mod code;
mod store;

pub use code::ErrorCode;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::request_id::RequestId;
use crate::response::{self, Response};
use crate::xml::{CONTROL_NAMESPACE, XmlWriter};

/// One refusal, as it is written to the client.
///
/// The document is `<Error><Code/><Message/>` followed by the extra fields in the order they were
/// added, then `<RequestId/><HostId/>`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
#[derive(Debug, Clone)]
pub struct S3Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    extra: Vec<(&'static str, String)>,
    headers: Option<Box<HeaderMap>>,
    cause: Option<Box<str>>,
    is_of_source: bool,
}

/// What every operation answers.
pub(crate) type S3Result<T> = Result<T, S3Error>;

impl S3Error {
    /// The code with its own default message.
    pub fn new(code: ErrorCode) -> Self {
        let message = Cow::Borrowed(code.message());
        Self { code, message, extra: Vec::new(), headers: None, cause: None, is_of_source: false }
    }

    /// The code with a message of its own.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// Adds an element after `<Message>`.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// Keeps what went wrong inside, for the log; the client is not told.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: &dyn std::error::Error) -> Self {
        self.cause = Some(cause.to_string().into_boxed_str());
        self
    }

    /// Says that it is about what was to be copied.
    #[must_use]
    pub(crate) fn of_copy_source(self) -> Self {
        Self { is_of_source: true, ..self }
    }

    /// Whether it is about what was to be copied, not about where to.
    pub(crate) fn is_of_copy_source(&self) -> bool {
        self.is_of_source
    }

    /// What went wrong inside.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// `InvalidArgument` about one argument.
    pub fn invalid_argument(
        message: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self::with_message(ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// `InvalidRequest` with its reason.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(ErrorCode::InvalidRequest, message)
    }

    /// `NotImplemented` naming the header that asks for what is not there.
    pub fn header_not_implemented(header: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotImplemented).field("Header", header)
    }

    /// `MalformedXML`.
    pub fn malformed_xml() -> Self {
        Self::new(ErrorCode::MalformedXML)
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The elements AWS adds to this code.
    pub fn extra(&self) -> &[(&'static str, String)] {
        &self.extra
    }

    /// The elements of the error inside a list of results (`DeleteObjects`): code and message.
    pub(crate) fn write_code_and_message(&self, xml: &mut XmlWriter) {
        xml.text("Code", self.code.as_str());
        xml.text("Message", &self.message);
    }

    /// The whole document.
    pub(crate) fn to_xml(&self, resource: &str, id: &RequestId) -> String {
        let mut xml = XmlWriter::document();
        xml.element("Error", |xml| {
            self.write_code_and_message(xml);
            for (name, value) in &self.extra {
                xml.text(name, value);
            }
            if self.code.names_resource() {
                xml.text("Resource", resource);
            }
            xml.text("RequestId", id.request_id());
            xml.text("HostId", id.host_id());
        });
        xml.finish()
    }

    /// The answer of S3 Control, whose clients look for the code one element deeper.
    pub(crate) fn into_control_response(self, id: &RequestId) -> Response {
        let document = XmlWriter::document_in("ErrorResponse", CONTROL_NAMESPACE, |xml| {
            xml.element("Error", |xml| self.write_code_and_message(xml));
            xml.text("RequestId", id.request_id());
            xml.text("HostId", id.host_id());
        });
        let mut response = response::xml(self.code.status(), document);
        response.extensions_mut().insert(self.code);
        response
    }

    /// The answer to a request: no body for HEAD and 304, the document otherwise.
    pub(crate) fn into_response(self, method: &Method, resource: &str, id: &RequestId) -> Response {
        let bodyless = *method == Method::HEAD || self.code == ErrorCode::NotModified;
        let mut response = if bodyless {
            response::empty(self.code.status())
        } else {
            response::xml(self.code.status(), self.to_xml(resource, id))
        };
        if let Some(headers) = self.headers {
            response.headers_mut().extend(*headers);
        }
        response.extensions_mut().insert(self.code);
        response
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl std::fmt::Display for S3Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for S3Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: S3Error, expected_inside: &str) {
        let id = RequestId::from_random([7; 24]);
        let xml = error.to_xml("/bucket/key", &id);
        let ids = format!(
            "<RequestId>{}</RequestId><HostId>{}</HostId></Error>",
            id.request_id(),
            id.host_id()
        );
        let expected =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{expected_inside}{ids}");
        assert_eq!(xml, expected);
    }

    #[test]
    fn documents_have_the_fields_of_aws_in_order() {
        check(
            S3Error::new(ErrorCode::NoSuchKey).field("Key", "a&b"),
            "<Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>a&amp;b</Key>",
        );
        check(
            S3Error::new(ErrorCode::PreconditionFailed).field("Condition", "If-None-Match"),
            "<Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified \
             did not hold</Message><Condition>If-None-Match</Condition>",
        );
        check(
            S3Error::new(ErrorCode::InternalError),
            "<Code>InternalError</Code><Message>We encountered an internal error. Please try again.\
             </Message><Resource>/bucket/key</Resource>",
        );
    }
}
