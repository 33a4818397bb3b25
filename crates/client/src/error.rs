//! What can go wrong, by what the caller can do about it.

use std::fmt;

use http::StatusCode;

use crate::xml::Element;

/// Why an operation has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint answered with an error.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The endpoint cannot be reached, or broke off.
    #[error("{endpoint}: {reason}")]
    Transport {
        /// Where the request went.
        endpoint: String,
        /// The innermost cause, in words.
        reason: String,
    },
    /// The answer is not what S3 would send.
    #[error("the answer cannot be understood: {0}")]
    Malformed(String),
    /// The trusted certificates cannot be loaded.
    #[error("{path}: {reason}")]
    Trust {
        /// The CA bundle, or what stands for the machine's own roots.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The local file or pipe failed.
    #[error(transparent)]
    Local(#[from] std::io::Error),
    /// The caller gave the operation up.
    #[error("interrupted")]
    Interrupted,
}

/// An error answer of S3 or of the JSON API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// HTTP status.
    pub status: StatusCode,
    /// S3's code, e.g. `NoSuchBucket`; made from the status where an answer has no body.
    pub code: String,
    /// S3's message.
    pub message: String,
    /// `x-amz-request-id`, for the operator of the endpoint.
    pub request_id: Option<String>,
}

/// Errors by what the caller will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bucket, object, user or key is not there.
    NotFound,
    /// The caller may not, or is not who it says.
    Denied,
    /// It is there already, or in the way.
    Conflict,
    /// Nobody answers; trying later may help.
    Unavailable,
    /// The caller gave it up.
    Interrupted,
    /// Anything else.
    Other,
}

impl ClientError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Service(error) => match error.status {
                StatusCode::NOT_FOUND => ErrorKind::NotFound,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
                StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => ErrorKind::Conflict,
                status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                    ErrorKind::Unavailable
                }
                _ => ErrorKind::Other,
            },
            Self::Transport { .. } => ErrorKind::Unavailable,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Malformed(_) | Self::Trust { .. } | Self::Local(_) => ErrorKind::Other,
        }
    }

    /// Whether the condition of a write did not hold; a guard refuses with codes of its own.
    pub(crate) fn is_of_condition(&self) -> bool {
        matches!(self.code(), Some("PreconditionFailed" | "ConditionalRequestConflict"))
    }

    /// Whether the endpoint does not know what it was asked for.
    pub(crate) fn is_not_implemented(&self) -> bool {
        matches!(self, Self::Service(error) if error.status == StatusCode::NOT_IMPLEMENTED)
    }

    /// S3's code, when the endpoint answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Service(error) => Some(&error.code),
            Self::Transport { .. }
            | Self::Malformed(_)
            | Self::Trust { .. }
            | Self::Local(_)
            | Self::Interrupted => None,
        }
    }
}

impl std::error::Error for ServiceError {}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, request_id, .. } = self;
        write!(f, "{code}: {message}")?;
        request_id.iter().try_for_each(|id| write!(f, " (request {id})"))
    }
}

impl ServiceError {
    /// From an answer that is not a success: S3's XML, the JSON API's object, or nothing at all.
    pub(crate) fn decode(status: StatusCode, request_id: Option<String>, body: &[u8]) -> Self {
        let (code, message) = decode_xml(body).or_else(|| decode_json(body)).unwrap_or_else(|| {
            let reason = status.canonical_reason().unwrap_or("an unknown status");
            (reason.replace(' ', ""), format!("the endpoint answered {status}"))
        });
        Self { status, code, message, request_id }
    }

    /// The error that `element` of an answer with status 200 tells, if it is one.
    pub(crate) fn within(element: &Element) -> Option<Self> {
        let code = element.text_of("Code")?;
        let status = match code {
            "AccessDenied" => StatusCode::FORBIDDEN,
            "PreconditionFailed" => StatusCode::PRECONDITION_FAILED,
            "ConditionalRequestConflict" => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = element.text_of("Message").unwrap_or_default();
        Some(Self { status, code: code.to_owned(), message: message.to_owned(), request_id: None })
    }
}

fn decode_xml(body: &[u8]) -> Option<(String, String)> {
    let document = Element::parse(body).ok()?;
    // STS and IAM wrap their error in an ErrorResponse.
    let error = document.child("Error").unwrap_or(&document);
    Some((error.text_of("Code")?.to_owned(), error.text_of("Message").unwrap_or("").to_owned()))
}

fn decode_json(body: &[u8]) -> Option<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Answer {
        #[serde(alias = "__type")]
        code: String,
        #[serde(default, alias = "Message")]
        message: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    // DynamoDB puts the name of its interface before the code.
    let code = answer.code.rsplit_once('#').map_or(answer.code.as_str(), |(_, code)| code);
    Some((code.to_owned(), answer.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_forms_have_a_code_and_a_message() {
        let rows: &[(u16, &str, &str, &str)] = &[
            (
                404,
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>No &lt;key&gt;</Message></Error>",
                "NoSuchKey",
                "No <key>",
            ),
            (
                403,
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>m</Message></Error></ErrorResponse>",
                "AccessDenied",
                "m",
            ),
            (409, r#"{"code":"UserExists","message":"m"}"#, "UserExists", "m"),
            (400, r#"{"__type":"com.x#NoTable","Message":"m"}"#, "NoTable", "m"),
            (404, "", "NotFound", "the endpoint answered 404 Not Found"),
            (502, "<html>", "BadGateway", "the endpoint answered 502 Bad Gateway"),
        ];
        for (status, body, code, message) in rows {
            let status = StatusCode::from_u16(*status).unwrap();
            let error = ServiceError::decode(status, None, body.as_bytes());
            assert_eq!((error.code.as_str(), error.message.as_str()), (*code, *message));
        }
        let named = ServiceError::decode(StatusCode::FORBIDDEN, Some("7Q2M".to_owned()), b"");
        assert_eq!(
            named.to_string(),
            "Forbidden: the endpoint answered 403 Forbidden (request 7Q2M)"
        );
    }
}
