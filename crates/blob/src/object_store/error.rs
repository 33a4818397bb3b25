//! What a foreign store's failures mean, and how they are told: its words, and no URL, signature or
//! credential, all of which its answers may repeat.

use std::error::Error;
use std::io;

use crate::BlobError;

/// Longest text of a foreign store that is passed on.
const WORDS_BYTES_MAX: usize = 300;

const TOO_MANY_REQUESTS: u16 = 429;
const SERVICE_UNAVAILABLE: u16 = 503;
const INSUFFICIENT_STORAGE: u16 = 507;

/// What the failure of a request means to the caller. Never [`BlobError::NotFound`]: whether a blob is
/// missing, or only its bucket, is for the caller to find out.
pub(super) fn failure(error: &object_store::Error) -> BlobError {
    let words = words(error);
    match status(&deepest_of(error).1) {
        Some(INSUFFICIENT_STORAGE) => BlobError::NoSpace,
        Some(TOO_MANY_REQUESTS | SERVICE_UNAVAILABLE) => BlobError::Overloaded(words),
        _ => BlobError::Io(io::Error::other(words)),
    }
}

/// A failure told in words that may be shown and logged.
pub(super) fn words(error: &object_store::Error) -> String {
    let kind = match error {
        object_store::Error::NotFound { .. } => "not found: ",
        object_store::Error::PermissionDenied { .. } => "access denied: ",
        object_store::Error::Unauthenticated { .. } => "not authenticated: ",
        _ => "",
    };
    let (deepest, told) = deepest_of(error);
    let code = element(&told, "Code");
    let message = element(&told, "Message");
    let mut words = match (status(&told), code, message) {
        (Some(status), Some(code), Some(message)) => format!("{kind}{status} {code}: {message}"),
        (Some(status), Some(code), None) => format!("{kind}{status} {code}"),
        (Some(status), None, _) => format!("{kind}status {status}"),
        (None, Some(code), _) => format!("{kind}{code}"),
        (None, None, _) => format!("{kind}{}", without_url(&deepest)),
    };
    // They may come from anybody, and go into a log.
    words.retain(|letter| !letter.is_control());
    if let Some((end, _)) = words.char_indices().find(|(at, _)| *at >= WORDS_BYTES_MAX) {
        words.truncate(end);
    }
    words
}

/// Settings that were refused, told in words. What those quote may be a piece of a credential, so it is
/// left out.
pub(super) fn words_without_quotes(error: &object_store::Error) -> String {
    let mut words = words(error);
    for mark in ['"', '`', '\''] {
        if let (Some(first), Some(last)) = (words.find(mark), words.rfind(mark)) {
            // A quote that does not end was cut off.
            let end = if first < last { last + mark.len_utf8() } else { words.len() };
            words.replace_range(first..end, "(not shown)");
        }
    }
    words
}

/// The innermost cause, such as "Connection refused", and the text of the cause that tells a status (the
/// library keeps its type for itself), or of the innermost one.
fn deepest_of(error: &object_store::Error) -> (String, String) {
    let mut cause: &dyn Error = error;
    let mut told = None;
    while let Some(next) = cause.source() {
        cause = next;
        told = told.or_else(|| Some(cause.to_string()).filter(|text| status(text).is_some()));
    }
    let deepest = cause.to_string();
    (deepest.clone(), told.unwrap_or(deepest))
}

/// The HTTP client puts the URL last, and a URL may carry a signature.
fn without_url(text: &str) -> &str {
    text.split_once(" for url (").map_or(text, |(before, _)| before)
}

/// The status in the library's "status code: 503 Service Unavailable".
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The text of an XML element without attributes.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(text: &str) -> object_store::Error {
        let cause: io::Error = io::Error::other(text.to_owned());
        object_store::Error::Generic { store: "S3", source: Box::new(cause) }
    }

    #[test]
    fn failures_are_told_without_what_must_stay_secret() {
        let answer = |status: &str, body: &str| {
            format!(
                "Error performing PUT http://h/b?uploadId=1 - Server returned non-2xx status \
                 code: {status}: <Error>{body}<SignatureProvided>hunter2</SignatureProvided></Error>"
            )
        };
        let slow = "<Code>SlowDown</Code><Message>Please reduce your request rate.</Message>";
        let rows = [
            (
                answer("503 Service Unavailable", slow),
                "the blob store is overloaded: 503 SlowDown: Please reduce your request rate.",
            ),
            (answer("507 Insufficient Storage", ""), "there is no space left for blobs"),
            (
                answer("403 Forbidden", "<Code>SignatureDoesNotMatch</Code>"),
                "the blob store failed: 403 SignatureDoesNotMatch",
            ),
            (answer("500 Internal Server Error", ""), "the blob store failed: status 500"),
            ("Connection refused".to_owned(), "the blob store failed: Connection refused"),
            (
                "too many redirects for url (https://h/c?sig=hunter2)".to_owned(),
                "the blob store failed: too many redirects",
            ),
            (
                answer("400 Bad Request", "<Code>Odd</Code><Message>a\r\nb</Message>"),
                "the blob store failed: 400 Odd: ab",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(failure(&foreign(&text)).to_string(), expected);
        }
    }

    #[test]
    fn refused_settings_are_told_without_their_values() {
        let long = format!("invalid type: string \"{}", "x".repeat(2 * WORDS_BYTES_MAX));
        let rows = [
            ("Missing region", "Missing region"),
            (
                "invalid type: string \"a\"b\", expected",
                "invalid type: string (not shown), expected",
            ),
            ("unknown `a` and 'b' here", "unknown (not shown) and (not shown) here"),
            (&long, "invalid type: string (not shown)"),
        ];
        for (text, expected) in rows {
            assert_eq!(words_without_quotes(&foreign(text)), expected);
        }
    }
}
