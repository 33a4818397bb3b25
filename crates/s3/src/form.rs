//! `multipart/form-data` as browsers send it (RFC 7578): fields first, in memory and bounded, then one
//! file, as it arrives.
//!
//! Knows nothing of what the fields mean.

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, header};
use tidelock_store::{BodyError, BodySource};

use crate::encryption::SECRET_HEADERS;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::payload::{Payload, PayloadError};

/// All fields before the file, with their heads (AWS: 20 KB).
pub(crate) const FIELDS_BYTES_MAX: usize = 20 << 10;
/// Longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// The field with the file; nothing after it counts.
const FILE: &str = "file";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// What stands for the name that the file has at the client.
const FILE_NAME: &str = "${filename}";

/// A form on its way in.
pub(crate) struct Form {
    payload: Payload,
    buffer: BytesMut,
    /// So many bytes of the buffer were looked through already.
    seen_bytes: usize,
    /// What stands between two parts.
    delimiter: Vec<u8>,
    room_bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fields,
    File,
    Done,
}

/// What stands before the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// By lower-case name, in the order they came.
    pub(crate) fields: Vec<(String, String)>,
    /// The name that the file has at the client.
    pub(crate) file_name: String,
}

impl Fields {
    /// Puts the name of the file into all fields that ask for it.
    pub(crate) fn expand(&mut self) {
        // Some browsers send the whole path.
        let name = self.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        for (_, value) in &mut self.fields {
            *value = value.replace(FILE_NAME, name);
        }
    }

    /// A field by its lower-case name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// The head of a part.
struct Head {
    name: String,
    file_name: Option<String>,
}

impl Form {
    /// The form in a body.
    ///
    /// # Errors
    ///
    /// `PreconditionFailed` for a body of another kind, as AWS answers.
    pub(crate) fn new(payload: Payload, headers: &HeaderMap) -> S3Result<Self> {
        let boundary = boundary_of(headers).ok_or_else(|| {
            S3Error::new(ErrorCode::PreconditionFailed)
                .field("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
        })?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first delimiter needs no line before it.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        let (seen_bytes, room_bytes) = (0, FIELDS_BYTES_MAX);
        Ok(Self { payload, buffer, seen_bytes, delimiter, room_bytes, state: State::Fields })
    }

    /// Reads up to the file.
    ///
    /// # Errors
    ///
    /// `MaxPostPreDataLengthExceededError` over 20 KB, `MalformedPOSTRequest`, `InvalidArgument` for a field
    /// that comes twice and for a form without a file.
    pub(crate) async fn fields(&mut self) -> S3Result<Fields> {
        let mut found = Fields::default();
        // What stands before the first part is nothing.
        self.up_to_delimiter().await?;
        loop {
            let Some(head) = self.head().await? else {
                return Err(S3Error::invalid_argument(
                    "POST requires exactly one file upload per request.",
                    FILE,
                    "0",
                ));
            };
            let name = head.name.to_ascii_lowercase();
            if name == FILE {
                found.file_name = head.file_name.unwrap_or_default();
                self.state = State::File;
                return Ok(found);
            }
            let value = self.up_to_delimiter().await?;
            let value = String::from_utf8(value.to_vec()).map_err(|_| malformed())?;
            if found.value(&name).is_some() {
                let shown = if SECRET_HEADERS.contains(&name.as_str()) { "" } else { &value };
                return Err(S3Error::invalid_argument(
                    "POST has a field more than once.",
                    name.as_str(),
                    shown,
                ));
            }
            found.fields.push((name, value));
        }
    }

    /// Reads on after a refusal, within limits.
    pub(crate) async fn drain(&mut self, headers: &HeaderMap) {
        self.payload.drain(headers).await;
    }

    /// The head of the next part; none at the end of the form. The delimiter has been read.
    async fn head(&mut self) -> S3Result<Option<Head>> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        let head = self.up_to(END_OF_HEAD).await?;
        let head = std::str::from_utf8(&head).map_err(|_| malformed())?;
        Ok(Some(Head::parse(head).ok_or_else(malformed)?))
    }

    async fn up_to_delimiter(&mut self) -> S3Result<Bytes> {
        let delimiter = self.delimiter.clone();
        self.up_to(&delimiter).await
    }

    /// What stands before `end`, which is passed over.
    async fn up_to(&mut self, end: &[u8]) -> S3Result<Bytes> {
        loop {
            if let Some(bytes) = self.find(end) {
                let room = self.room_bytes.checked_sub(bytes + end.len()).ok_or_else(too_long)?;
                self.room_bytes = room;
                let before = self.buffer.split_to(bytes).freeze();
                self.buffer.advance(end.len());
                self.seen_bytes = 0;
                return Ok(before);
            }
            self.more().await?;
        }
    }

    /// Where `wanted` begins in the buffer. What was looked through is not looked through again.
    fn find(&mut self, wanted: &[u8]) -> Option<usize> {
        let found = position(&self.buffer[self.seen_bytes..], wanted);
        match found {
            Some(at) => Some(self.seen_bytes + at),
            None => {
                self.seen_bytes = self.buffer.len().saturating_sub(wanted.len() - 1);
                None
            }
        }
    }

    /// More of the fields.
    async fn more(&mut self) -> S3Result<()> {
        if self.buffer.len() > self.room_bytes {
            return Err(too_long());
        }
        match self.payload.next().await? {
            Some(bytes) => self.buffer.extend_from_slice(&bytes),
            None => return Err(malformed()),
        }
        Ok(())
    }

    /// The next bytes of the file: all that cannot be the beginning of the delimiter.
    async fn file_bytes(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if self.state != State::File {
                return Ok(None);
            }
            if let Some(end) = position(&self.buffer, &self.delimiter) {
                self.state = State::Done;
                let last = self.buffer.split_to(end).freeze();
                if !last.is_empty() {
                    return Ok(Some(last));
                }
                continue;
            }
            let safe = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if safe > 0 {
                return Ok(Some(self.buffer.split_to(safe).freeze()));
            }
            match self.payload.next().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Err(BodyError(Box::new(PayloadError::Incomplete))),
            }
        }
    }
}

/// The file of a form, which has to have a size.
pub(crate) struct FileBody<'a> {
    pub(crate) form: &'a mut Form,
    pub(crate) bytes_min: u64,
    pub(crate) bytes_max: u64,
    pub(crate) read_bytes: u64,
}

#[async_trait]
impl BodySource for FileBody<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let next = self.form.file_bytes().await?;
        self.read_bytes += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let size_bytes = self.read_bytes;
        let refusal = if size_bytes > self.bytes_max {
            PayloadError::FileTooLarge { size_bytes, bytes_max: self.bytes_max }
        } else if next.is_none() && size_bytes < self.bytes_min {
            PayloadError::FileTooSmall { size_bytes, bytes_min: self.bytes_min }
        } else {
            return Ok(next);
        };
        Err(BodyError(Box::new(refusal)))
    }
}

impl Head {
    /// Reads `Content-Disposition: form-data; name="…"; filename="…"` among the lines of a head.
    fn parse(head: &str) -> Option<Self> {
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
        })?;
        let (kind, mut rest) = disposition.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return None;
        }
        let (mut name, mut file_name) = (None, None);
        loop {
            let (parameter, value, after) = parameter(rest)?;
            match parameter.to_ascii_lowercase().as_str() {
                "name" => name = Some(value),
                "filename" => file_name = Some(value),
                _ => {}
            }
            match after.trim_start().strip_prefix(';') {
                Some(more) => rest = more,
                None => break,
            }
        }
        Some(Self { name: name.filter(|name| !name.is_empty())?, file_name })
    }
}

/// The first parameter of `text`, with what follows it. Quoted text escapes quotes with a backslash, or
/// as browsers do with `%22`.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let Some(quoted) = rest.trim_start().strip_prefix('"') else {
        let (value, after) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        return Some((name.trim(), value.trim().to_owned(), after));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => {
                return Some((name.trim(), value.replace("%22", "\""), &quoted[at + 1..]));
            }
            // A backslash escapes quotes and itself; in names of files it stands for itself.
            other => {
                if escaped && other != '"' && other != '\\' {
                    value.push('\\');
                }
                value.push(other);
                escaped = false;
            }
        }
    }
    None
}

fn boundary_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, mut rest) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    loop {
        let (name, value, after) = parameter(rest)?;
        if name.eq_ignore_ascii_case("boundary") {
            let fits = (1..=BOUNDARY_BYTES_MAX).contains(&value.len());
            return fits.then_some(value);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn malformed() -> S3Error {
    S3Error::new(ErrorCode::MalformedPOSTRequest)
}

fn too_long() -> S3Error {
    S3Error::new(ErrorCode::MaxPostPreDataLengthExceededError)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::payload::Framing;
    use crate::response::StreamError;

    /// A form in pieces of so many bytes.
    fn form(text: &str, piece_bytes: usize) -> Form {
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(piece_bytes)
            .map(|piece| Ok::<_, StreamError>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let body = StreamBody::new(stream::iter(pieces)).boxed();
        let plain = Framing::Plain { sha256: None };
        let payload = Payload::new(body, plain, None, Duration::from_secs(1));
        let mut headers = HeaderMap::new();
        let kind = "multipart/form-data; charset=utf-8; boundary=\"b\"";
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        Form::new(payload, &headers).unwrap()
    }

    fn part(disposition: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    async fn read(text: &str, piece_bytes: usize) -> Result<(Fields, String), String> {
        let mut form = form(text, piece_bytes);
        let fields = form.fields().await.map_err(|error| error.code().as_str().to_owned())?;
        let mut body = FileBody { form: &mut form, bytes_min: 2, bytes_max: 40, read_bytes: 0 };
        let mut file = Vec::new();
        loop {
            match body.next().await {
                Ok(Some(bytes)) => file.extend_from_slice(&bytes),
                Ok(None) => return Ok((fields, String::from_utf8(file).unwrap())),
                Err(error) => return Err(S3Error::from(error).code().as_str().to_owned()),
            }
        }
    }

    #[tokio::test]
    async fn forms_are_read_whole_however_they_arrive() {
        let text = [
            "before\r\n".to_owned(),
            part("name=\"kEy\"", "a/${filename}"),
            part("name=empty", ""),
            part("name=\"quoted\"; x=1", "a\r\n--c"),
            part("name=\"file\"; filename=\"a \\\"b%22.txt\"", "\r\n--xar\r\r\n-- \r\n--"),
            part("name=\"late\"", "nothing"),
            "--b--\r\nafter".to_owned(),
        ]
        .concat();
        for piece_bytes in [1, 2, 3, 7, 1000] {
            let (fields, file) = read(&text, piece_bytes).await.unwrap();
            let expected = [("key", "a/${filename}"), ("empty", ""), ("quoted", "a\r\n--c")];
            let found = fields.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            assert_eq!(found.collect::<Vec<_>>(), expected);
            assert_eq!(fields.file_name, "a \"b\".txt");
            assert_eq!(file, "\r\n--xar\r\r\n-- \r\n--", "{piece_bytes}");
        }
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        let file = part("name=\"file\"", "abc") + "--b--";
        let large = "x".repeat(FIELDS_BYTES_MAX);
        let rows = [
            (String::new(), "MalformedPOSTRequest"),
            ("--b--".to_owned(), "InvalidArgument"),
            (part("name=\"a\"", "1") + "--b--", "InvalidArgument"),
            (part("name=\"a\"", "1"), "MalformedPOSTRequest"),
            (part("name=\"a\"", "1") + &part("name=\"A\"", "2") + &file, "InvalidArgument"),
            (part("name=\"\"", "1") + &file, "MalformedPOSTRequest"),
            (part("nothing", "1") + &file, "MalformedPOSTRequest"),
            (part("name=\"a", "1") + &file, "MalformedPOSTRequest"),
            ("--b\r\nX: y\r\n\r\n1\r\n".to_owned() + &file, "MalformedPOSTRequest"),
            (part("name=\"a\"", &large) + &file, "MaxPostPreDataLengthExceededError"),
            ("x".repeat(2 * FIELDS_BYTES_MAX), "MaxPostPreDataLengthExceededError"),
            (part("name=\"file\"", "abc"), "IncompleteBody"),
            (part("name=\"file\"", "a") + "--b--", "EntityTooSmall"),
            (part("name=\"file\"", &"a".repeat(41)) + "--b--", "EntityTooLarge"),
        ];
        for (text, expected) in rows {
            let shown = &text[..text.len().min(80)];
            assert_eq!(read(&text, 11).await.err().as_deref(), Some(expected), "{shown}");
        }
    }

    #[test]
    fn other_bodies_are_no_forms() {
        for (kind, expected) in [
            ("multipart/form-data; boundary=b", Some("b")),
            ("Multipart/Form-Data; BOUNDARY=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=b", None),
            ("text/plain", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            assert_eq!(boundary_of(&headers).as_deref(), expected, "{kind}");
        }
    }
}
