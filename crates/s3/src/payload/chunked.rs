//! Decodes `aws-chunked` content, incrementally: bytes in as they arrive, data out, no copies.
//!
//! `size-hex[;chunk-signature=hex]\r\n data \r\n … 0[;chunk-signature=hex]\r\n trailer \r\n`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>). Data is handed out
//! before its chunk's signature is checked, since a chunk may be gigabytes; the error comes after
//! it, and whoever collects the body commits nothing until the end. Knows no sockets and no time.

use bytes::{Buf, Bytes};
use ring::digest;
use tidelock_auth::sigv4::ChunkSigner;

use super::PayloadError;
use super::trailer::Trailer;

/// Sixteen digits of size, a signature of 64, the name between them, and some air.
const CHUNK_HEADER_BYTES_MAX: usize = 256;
/// A checksum field or a signature.
const TRAILER_LINE_BYTES_MAX: usize = 1024;
const SIGNATURE_EXTENSION: &str = "chunk-signature=";

/// What must be true of the whole body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Announced {
    /// `x-amz-decoded-content-length`.
    pub(crate) decoded_bytes: u64,
    /// The names in `x-amz-trailer`, in lower case.
    pub(crate) trailer: Vec<String>,
}

/// What came out of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Some of the object's bytes; never empty.
    Data(Bytes),
    /// All input is used up and the end is not there yet.
    NeedInput,
    /// The body is whole.
    End,
}

/// The state of one body.
pub(crate) struct ChunkDecoder {
    announced: Announced,
    signatures: Option<Signatures>,
    input: Bytes,
    line: Vec<u8>,
    state: State,
    decoded_bytes: u64,
    trailer: Trailer,
}

struct Signatures {
    signer: ChunkSigner,
    chunk: digest::Context,
    provided: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data { remaining_bytes: u64 },
    DataEnd,
    Trailer,
    End,
}

impl ChunkDecoder {
    /// A decoder at the start of a body; `signer` where chunks are signed.
    pub(crate) fn new(announced: Announced, signer: Option<ChunkSigner>) -> Self {
        let signatures = signer.map(|signer| Signatures {
            signer,
            chunk: digest::Context::new(&digest::SHA256),
            provided: String::new(),
        });
        Self {
            announced,
            signatures,
            input: Bytes::new(),
            line: Vec::new(),
            state: State::Header,
            decoded_bytes: 0,
            trailer: Trailer::default(),
        }
    }

    /// Gives the decoder more input. Only after [`Step::NeedInput`].
    pub(crate) fn push(&mut self, input: Bytes) {
        debug_assert!(self.input.is_empty(), "the last input is used up");
        self.input = input;
    }

    /// Works on the input until there is something to say.
    pub(crate) fn step(&mut self) -> Result<Step, PayloadError> {
        while !self.input.is_empty() {
            match self.state {
                State::Header => self.header()?,
                State::Data { remaining_bytes } => return self.data(remaining_bytes),
                State::DataEnd => self.data_end()?,
                State::Trailer => self.trailer_line()?,
                // What follows the end is nobody's: the length of the request is HTTP's matter.
                State::End => self.input.clear(),
            }
        }
        Ok(if self.state == State::End { Step::End } else { Step::NeedInput })
    }

    /// There is no more input. Some clients leave out the last line end.
    pub(crate) fn finish(&mut self) -> Result<(), PayloadError> {
        match self.state {
            State::End => Ok(()),
            State::Trailer => {
                let line = std::mem::take(&mut self.line);
                if !trim_line_end(&line).is_empty() {
                    self.trailer.line(trim_line_end(&line))?;
                }
                self.end()
            }
            State::Header | State::Data { .. } | State::DataEnd => Err(PayloadError::Incomplete),
        }
    }

    /// The trailer's fields, names in lower case; whole only after the end.
    pub(crate) fn take_trailer(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.trailer).into_fields()
    }

    fn header(&mut self) -> Result<(), PayloadError> {
        let malformed = PayloadError::MalformedChunk;
        let Some(line) = self.line(CHUNK_HEADER_BYTES_MAX).map_err(|_| malformed.clone())? else {
            return Ok(());
        };
        let text = std::str::from_utf8(&line).map_err(|_| malformed.clone())?;
        let (size, extension) = text.split_once(';').unwrap_or((text, ""));
        let size_bytes = parse_size(size).ok_or(malformed)?;
        if let Some(signatures) = &mut self.signatures {
            let provided = extension.trim().strip_prefix(SIGNATURE_EXTENSION);
            signatures.provided =
                provided.map(str::to_owned).ok_or(PayloadError::ChunkSignature)?;
        }
        self.decoded_bytes = self.decoded_bytes.saturating_add(size_bytes);
        if self.decoded_bytes > self.announced.decoded_bytes {
            return Err(PayloadError::TooLong);
        }
        if size_bytes == 0 {
            self.check_chunk()?;
            self.state = State::Trailer;
        } else {
            self.state = State::Data { remaining_bytes: size_bytes };
        }
        Ok(())
    }

    fn data(&mut self, remaining_bytes: u64) -> Result<Step, PayloadError> {
        let here = usize::try_from(remaining_bytes).unwrap_or(usize::MAX).min(self.input.len());
        let data = self.input.split_to(here);
        if let Some(signatures) = &mut self.signatures {
            signatures.chunk.update(&data);
        }
        let remaining_bytes = remaining_bytes - here as u64;
        self.state = if remaining_bytes == 0 {
            self.check_chunk()?;
            State::DataEnd
        } else {
            State::Data { remaining_bytes }
        };
        Ok(Step::Data(data))
    }

    fn data_end(&mut self) -> Result<(), PayloadError> {
        match self.line(b"\r\n".len()).map_err(|_| PayloadError::MalformedChunk)? {
            Some(line) if line.is_empty() => self.state = State::Header,
            Some(_) => return Err(PayloadError::MalformedChunk),
            None => {}
        }
        Ok(())
    }

    fn trailer_line(&mut self) -> Result<(), PayloadError> {
        match self.line(TRAILER_LINE_BYTES_MAX)? {
            Some(line) if line.is_empty() => self.end(),
            Some(line) => self.trailer.line(&line),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), PayloadError> {
        if self.decoded_bytes != self.announced.decoded_bytes {
            return Err(PayloadError::Incomplete);
        }
        if !self.trailer.matches(&self.announced.trailer) {
            return Err(PayloadError::MalformedTrailer);
        }
        self.check_trailer()?;
        self.state = State::End;
        Ok(())
    }

    /// A whole line without its end, or nothing if it is not whole yet.
    fn line(&mut self, line_bytes_max: usize) -> Result<Option<Vec<u8>>, PayloadError> {
        let found = self.input.iter().position(|byte| *byte == b'\n');
        let taken = found.map_or(self.input.len(), |at| at + 1);
        if self.line.len() + taken > line_bytes_max {
            return Err(PayloadError::MalformedTrailer);
        }
        self.line.extend_from_slice(&self.input[..taken]);
        self.input.advance(taken);
        if found.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.truncate(trim_line_end(&line).len());
        Ok(Some(line))
    }

    fn check_chunk(&mut self) -> Result<(), PayloadError> {
        let Some(signatures) = &mut self.signatures else { return Ok(()) };
        let fresh = digest::Context::new(&digest::SHA256);
        let hash = std::mem::replace(&mut signatures.chunk, fresh).finish();
        let mut sha256 = [0; digest::SHA256_OUTPUT_LEN];
        sha256.copy_from_slice(hash.as_ref());
        let verified = signatures.signer.verify_chunk(signatures.provided.as_bytes(), &sha256);
        verified.map_err(|_| PayloadError::ChunkSignature)
    }

    fn check_trailer(&mut self) -> Result<(), PayloadError> {
        let Some(signatures) = &mut self.signatures else { return Ok(()) };
        if self.announced.trailer.is_empty() {
            return Ok(());
        }
        let provided = self.trailer.signature().ok_or(PayloadError::ChunkSignature)?;
        let verified = signatures.signer.verify_trailer(provided.as_bytes(), self.trailer.fields());
        verified.map_err(|_| PayloadError::ChunkSignature)
    }
}

impl std::fmt::Debug for ChunkDecoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChunkDecoder")
            .field("announced", &self.announced)
            .field("state", &self.state)
            .field("decoded_bytes", &self.decoded_bytes)
            .finish_non_exhaustive()
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoded = Result<(Vec<u8>, Vec<(String, String)>), PayloadError>;

    fn decode(announced: Announced, pieces: &[&[u8]]) -> Decoded {
        let mut decoder = ChunkDecoder::new(announced, None);
        let mut data = Vec::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            while let Step::Data(bytes) = decoder.step()? {
                data.extend_from_slice(&bytes);
            }
        }
        decoder.finish()?;
        Ok((data, decoder.take_trailer()))
    }

    fn announced(decoded_bytes: u64, trailer: &[&str]) -> Announced {
        let trailer = trailer.iter().map(|name| (*name).to_owned()).collect();
        Announced { decoded_bytes, trailer }
    }

    fn check(
        wire: &str,
        decoded_bytes: u64,
        trailer: &[&str],
        expected: Result<&str, PayloadError>,
    ) {
        let decoded = decode(announced(decoded_bytes, trailer), &[wire.as_bytes()]);
        let data = decoded.map(|(data, _)| String::from_utf8(data).unwrap());
        assert_eq!(data, expected.map(str::to_owned), "{wire:?}");
    }

    #[test]
    fn bodies_are_decoded_or_refused() {
        use PayloadError::{Incomplete, MalformedChunk, MalformedTrailer, TooLong};
        let crc = &["x-amz-checksum-crc32"];
        check("3\r\nabc\r\n0\r\n\r\n", 3, &[], Ok("abc"));
        check("3;chunk-signature=00\r\nabc\r\n0;chunk-signature=00\r\n\r\n", 3, &[], Ok("abc"));
        check("1\r\na\r\n2\r\nbc\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n", 3, crc, Ok("abc"));
        check("3\r\nabc\r\n0\r\nX-Amz-Checksum-Crc32: AA== \n\r\n", 3, crc, Ok("abc"));
        check("0\r\n\r\n", 0, &[], Ok(""));
        check("3\r\nabc\r\n0\r\n", 3, &[], Ok("abc"));
        check("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AA==", 3, crc, Ok("abc"));
        check("3\r\nabc\r\n0\r\n\r\n", 4, &[], Err(Incomplete));
        check("3\r\nabc\r\n0\r\n\r\n", 2, &[], Err(TooLong));
        check("3\r\nab", 3, &[], Err(Incomplete));
        check("3\r\nabc\r\n", 3, &[], Err(Incomplete));
        check("", 0, &[], Err(Incomplete));
        check("3\r\nabcd\r\n0\r\n\r\n", 3, &[], Err(MalformedChunk));
        check("x\r\nabc\r\n0\r\n\r\n", 3, &[], Err(MalformedChunk));
        check("-3\r\nabc\r\n0\r\n\r\n", 3, &[], Err(MalformedChunk));
        check("fffffffffffffffff\r\n", 3, &[], Err(MalformedChunk));
        check(&"0".repeat(300), 3, &[], Err(MalformedChunk));
        check("0\r\n\r\n", 0, crc, Err(MalformedTrailer));
        check("0\r\nother:1\r\n\r\n", 0, crc, Err(MalformedTrailer));
        check("0\r\nx-amz-checksum-crc32:AA==\r\n\r\n", 0, &[], Err(MalformedTrailer));
        check("0\r\nno colon\r\n\r\n", 0, crc, Err(MalformedTrailer));
    }

    proptest! {
        #[test]
        fn any_split_of_the_wire_gives_the_same(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nx-amz-checksum-crc32:AA==\r\n\r\n");
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            at.push(0);
            at.push(wire.len());
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|two| &wire[two[0]..two[1]]).collect();
            let data = chunks.concat();
            let trailer = vec![("x-amz-checksum-crc32".to_owned(), "AA==".to_owned())];
            let announced = announced(data.len() as u64, &["x-amz-checksum-crc32"]);
            prop_assert_eq!(decode(announced, &pieces), Ok((data, trailer)));
        }
    }
}
