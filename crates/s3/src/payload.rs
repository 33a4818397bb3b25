//! The request body: framing taken off, signatures checked, bytes handed on as they arrive.
//!
//! Knows how bytes travel; knows nothing of what they mean.

mod chunked;
mod error;
mod plain;
mod trailer;

pub(crate) use chunked::{Announced, ChunkDecoder, Step};
pub(crate) use error::PayloadError;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use tidelock_auth::sigv4::{ChunkSigner, PayloadMode};
use tidelock_store::{BodyError, BodySource, ChecksumAlgorithm};

use self::plain::PlainChecker;
use crate::authn::Authenticated;
use crate::checksum::{self, Algorithm};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::StreamError;

const DECODED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

/// The body as the connection gives it, whatever the connection is.
pub type WireBody = BoxBody<Bytes, StreamError>;

/// What a refused client may still send before the connection is closed on it.
const DRAIN_BYTES_MAX: usize = 1 << 20;
/// How long it may take for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads on after a refusal, within limits: a client that is cut off while it sends sees a reset
/// connection and not the answer. One that waits for `100 Continue` sends nothing.
pub async fn drain(body: &mut WireBody, headers: &HeaderMap) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let reading = async {
        let mut drained_bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained_bytes += frame.data_ref().map_or(0, Bytes::len);
            if drained_bytes > DRAIN_BYTES_MAX {
                return;
            }
        }
    };
    // Late or not: there is nothing to do about it but to answer.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}

/// How the bytes on the wire become the bytes of the object.
#[derive(Debug, Clone)]
pub(crate) enum Framing {
    /// As they are; with the hash they must have, if it was signed.
    Plain {
        /// The value of `x-amz-content-sha256`.
        sha256: Option<[u8; 32]>,
    },
    /// `aws-chunked`.
    Chunked {
        /// What must be true of the whole.
        announced: Announced,
        /// Where chunks are signed.
        signer: Option<Box<ChunkSigner>>,
    },
}

/// A request body that can be read once.
pub struct Payload {
    body: WireBody,
    framing: State,
    content_bytes: Option<u64>,
    idle_timeout: Duration,
}

enum State {
    Plain(Box<PlainChecker>),
    Chunked(Box<ChunkDecoder>),
    Done { trailer: Vec<(String, String)> },
}

impl Payload {
    /// The body of a request by `caller`: framed, and checked while it is read, as its signature says.
    ///
    /// # Errors
    ///
    /// `MissingContentLength` or `InvalidArgument` where a chunked body does not say its length.
    pub fn of(
        caller: &Authenticated,
        headers: &HeaderMap,
        body: WireBody,
        idle_timeout: Duration,
    ) -> Result<Self, S3Error> {
        let (framing, content_bytes) = framing_of(caller, headers)?;
        Ok(Self::new(body, framing, content_bytes, idle_timeout))
    }

    /// A body that announces `content_bytes` bytes of content (not of wire), if it does.
    pub(crate) fn new(
        body: WireBody,
        framing: Framing,
        content_bytes: Option<u64>,
        idle_timeout: Duration,
    ) -> Self {
        let framing = match framing {
            Framing::Plain { sha256 } => {
                State::Plain(Box::new(PlainChecker::new(sha256, content_bytes)))
            }
            Framing::Chunked { announced, signer } => {
                State::Chunked(Box::new(ChunkDecoder::new(announced, signer.map(|signer| *signer))))
            }
        };
        Self { body, framing, content_bytes, idle_timeout }
    }

    /// Reads on after a refusal, as [`drain`] does.
    pub async fn drain(&mut self, headers: &HeaderMap) {
        drain(&mut self.body, headers).await;
    }

    /// Bytes of content, as announced.
    pub(crate) fn content_bytes(&self) -> Option<u64> {
        self.content_bytes
    }

    /// The whole body, if it is at most `document_bytes_max` long.
    pub(crate) async fn collect(
        &mut self,
        document_bytes_max: usize,
    ) -> Result<Bytes, PayloadError> {
        let announced = self.content_bytes.unwrap_or(0);
        if announced > document_bytes_max as u64 {
            return Err(PayloadError::DocumentTooLarge);
        }
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.read().await? {
            if whole.len() + bytes.len() > document_bytes_max {
                return Err(PayloadError::DocumentTooLarge);
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// The whole body of another protocol's document, checked like any other.
    ///
    /// # Errors
    ///
    /// `MaxMessageLengthExceeded` over `document_bytes_max`; else what is wrong with the body.
    pub async fn read_document(&mut self, document_bytes_max: usize) -> Result<Bytes, S3Error> {
        Ok(self.collect(document_bytes_max).await?)
    }

    /// The next bytes of content; nothing at the end, when all that was signed has been checked.
    async fn read(&mut self) -> Result<Option<Bytes>, PayloadError> {
        loop {
            match &mut self.framing {
                State::Done { .. } => return Ok(None),
                State::Plain(_) => {}
                State::Chunked(decoder) => match decoder.step()? {
                    Step::Data(bytes) => return Ok(Some(bytes)),
                    // What may follow the end is read too, so that the connection can be used again.
                    Step::NeedInput | Step::End => {}
                },
            }
            let wire = self.wire_bytes().await?;
            match (&mut self.framing, wire) {
                (State::Plain(checker), Some(bytes)) => {
                    checker.update(&bytes)?;
                    return Ok(Some(bytes));
                }
                (State::Plain(checker), None) => {
                    checker.finish()?;
                    self.framing = State::Done { trailer: Vec::new() };
                }
                (State::Chunked(decoder), Some(bytes)) => decoder.push(bytes),
                (State::Chunked(decoder), None) => {
                    decoder.finish()?;
                    self.framing = State::Done { trailer: decoder.take_trailer() };
                }
                (State::Done { .. }, _) => return Ok(None),
            }
        }
    }

    /// The next bytes that are not empty; HTTP's own trailers mean nothing to S3.
    async fn wire_bytes(&mut self) -> Result<Option<Bytes>, PayloadError> {
        loop {
            let frame = tokio::time::timeout(self.idle_timeout, self.body.frame()).await;
            match frame.map_err(|_| PayloadError::TimedOut)? {
                None => return Ok(None),
                Some(Err(_)) => return Err(PayloadError::Incomplete),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_trailers) => {}
                },
            }
        }
    }
}

/// How the body is framed, and how many bytes of content it announces.
fn framing_of(caller: &Authenticated, headers: &HeaderMap) -> S3Result<(Framing, Option<u64>)> {
    Ok(match caller.payload_mode {
        PayloadMode::Chunked { trailer: has_trailer, .. } => {
            let decoded_bytes = decoded_content_length(headers)?;
            let trailer = if has_trailer { checksum::trailer_names(headers) } else { Vec::new() };
            let announced = Announced { decoded_bytes, trailer };
            let signer = caller.chunk_signer.clone().map(Box::new);
            (Framing::Chunked { announced, signer }, Some(decoded_bytes))
        }
        PayloadMode::SignedHash(sha256) => {
            (Framing::Plain { sha256: Some(sha256) }, content_length(headers))
        }
        PayloadMode::Unsigned | PayloadMode::Undeclared => {
            (Framing::Plain { sha256: None }, content_length(headers))
        }
    })
}

fn decoded_content_length(headers: &HeaderMap) -> S3Result<u64> {
    let value = headers.get(DECODED_CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let value = value.ok_or(S3Error::new(ErrorCode::MissingContentLength))?;
    value.trim().parse().map_err(|_| {
        S3Error::invalid_argument(
            "Invalid x-amz-decoded-content-length",
            DECODED_CONTENT_LENGTH.as_str(),
            value,
        )
    })
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[async_trait]
impl BodySource for Payload {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.read().await.map_err(|error| BodyError(Box::new(error)))
    }

    fn trailing_checksum(&self) -> Option<(ChecksumAlgorithm, Vec<u8>)> {
        let State::Done { trailer } = &self.framing else { return None };
        trailer.iter().find_map(|(name, value)| {
            let algorithm = Algorithm::of_header(name)?;
            algorithm.decode(value).ok().map(|digest| (algorithm.kind, digest))
        })
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Payload")
            .field("content_bytes", &self.content_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    const IDLE_TIMEOUT: Duration = Duration::from_millis(20);

    /// A body that gives these pieces and then ends, or stays silent for ever.
    fn payload(
        pieces: &[&'static str],
        silent: bool,
        framing: Framing,
        content_bytes: Option<u64>,
    ) -> Payload {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        let body = match silent {
            false => StreamBody::new(stream::iter(pieces)).map_err(from_infallible).boxed(),
            true => {
                let rest = stream::pending::<Result<Frame<Bytes>, Infallible>>();
                let all = futures_util::StreamExt::chain(stream::iter(pieces), rest);
                StreamBody::new(all).map_err(from_infallible).boxed()
            }
        };
        Payload::new(body, framing, content_bytes, IDLE_TIMEOUT)
    }

    fn from_infallible(error: Infallible) -> StreamError {
        match error {}
    }

    fn chunked(decoded_bytes: u64) -> Framing {
        let trailer = vec!["x-amz-checksum-crc32".to_owned()];
        Framing::Chunked { announced: Announced { decoded_bytes, trailer }, signer: None }
    }

    #[tokio::test]
    async fn bodies_are_collected_or_refused() {
        const PLAIN: Framing = Framing::Plain { sha256: None };
        const WIRE: &[&str] = &["3\r\nab", "c\r\n0\r\nx-amz-checksum", "-crc32:AAAAAA==\r\n\r\n"];
        let rows: [(Payload, Result<&str, PayloadError>); 6] = [
            (payload(&["ab", "", "c"], false, PLAIN, Some(3)), Ok("abc")),
            (payload(&["abc"], false, PLAIN, None), Ok("abc")),
            (payload(&["ab"], false, PLAIN, Some(3)), Err(PayloadError::Incomplete)),
            (payload(&["ab"], true, PLAIN, Some(3)), Err(PayloadError::TimedOut)),
            (payload(&["abcdefghij"], false, PLAIN, None), Err(PayloadError::DocumentTooLarge)),
            (payload(WIRE, false, chunked(3), Some(3)), Ok("abc")),
        ];
        for (number, (mut payload, expected)) in rows.into_iter().enumerate() {
            let collected = payload.collect(9).await;
            let expected = expected.map(|text| Bytes::from_static(text.as_bytes()));
            assert_eq!(collected, expected, "row {number}");
        }
    }

    #[tokio::test]
    async fn the_trailer_is_there_after_the_end() {
        let wire = &["0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"];
        let mut payload = payload(wire, false, chunked(0), Some(0));
        assert_eq!(payload.trailing_checksum(), None);
        assert!(payload.next().await.unwrap().is_none());
        let expected = Some((ChecksumAlgorithm::Crc32, vec![0; 4]));
        assert_eq!(payload.trailing_checksum(), expected);
    }
}
