//! The chain of signatures through an `aws-chunked` body, made and verified.
//!
//! Finds no chunk in a body: it is told each chunk's hash and signature.
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.

use ring::digest;
use thiserror::Error;

use super::canonical::{line, write_hex};
use super::key::{Signature, SigningKey};
use super::payload::EMPTY_PAYLOAD;
use super::timestamp::AmzDate;

const CHUNK_ALGORITHM: &str = "AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER_ALGORITHM: &str = "AWS4-HMAC-SHA256-TRAILER";

/// A chunk or a trailer is not what was signed. AWS: `SignatureDoesNotMatch`, 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)]
pub struct ChunkSignatureMismatch;

/// The running end of a chain of chunk signatures, which starts at the request's own.
#[derive(Clone, Debug)]
pub struct ChunkSigner {
    key: SigningKey,
    date: AmzDate,
    scope: String,
    previous: Signature,
    /// The string to sign; kept so that a chunk allocates nothing.
    message: Vec<u8>,
}

impl ChunkSigner {
    pub(crate) fn new(key: SigningKey, date: AmzDate, scope: &str, seed: Signature) -> Self {
        Self { key, date, scope: scope.to_owned(), previous: seed, message: Vec::new() }
    }

    /// Takes the next chunk's signature (64 hexadecimal digits) and the SHA-256 of its data; the
    /// last chunk is empty and has one too.
    ///
    /// # Errors
    /// [`ChunkSignatureMismatch`]; the chain then stays where it was.
    pub fn verify_chunk(
        &mut self,
        signature: &[u8],
        data_sha256: &[u8; 32],
    ) -> Result<(), ChunkSignatureMismatch> {
        self.write_chunk(data_sha256);
        self.advance(signature)
    }

    /// Takes the trailer's signature (`x-amz-trailer-signature`) and the trailing headers that
    /// stand before it, in the order sent.
    ///
    /// # Errors
    /// [`ChunkSignatureMismatch`].
    pub fn verify_trailer<'t>(
        &mut self,
        signature: &[u8],
        trailers: impl IntoIterator<Item = (&'t str, &'t [u8])>,
    ) -> Result<(), ChunkSignatureMismatch> {
        self.write_trailer(trailers);
        self.advance(signature)
    }

    /// Signs the next chunk, whose data has this SHA-256: 64 hexadecimal digits.
    pub fn sign_chunk(&mut self, data_sha256: &[u8; 32]) -> String {
        self.write_chunk(data_sha256);
        self.sign()
    }

    /// Signs the trailer: the value of `x-amz-trailer-signature`.
    pub fn sign_trailer<'t>(
        &mut self,
        trailers: impl IntoIterator<Item = (&'t str, &'t [u8])>,
    ) -> String {
        self.write_trailer(trailers);
        self.sign()
    }

    fn advance(&mut self, signature: &[u8]) -> Result<(), ChunkSignatureMismatch> {
        let signature = Signature::parse(signature).ok_or(ChunkSignatureMismatch)?;
        if !self.key.verifies(&self.message, &signature) {
            return Err(ChunkSignatureMismatch);
        }
        self.previous = signature;
        Ok(())
    }

    fn sign(&mut self) -> String {
        self.previous = self.key.sign(&self.message);
        self.previous.as_str().to_owned()
    }

    fn write_chunk(&mut self, data_sha256: &[u8; 32]) {
        self.start(CHUNK_ALGORITHM);
        // The hash of a chunk's extensions, of which the rule knows none.
        line(&mut self.message, EMPTY_PAYLOAD.as_bytes());
        write_hex(data_sha256, &mut self.message);
    }

    fn write_trailer<'t>(&mut self, trailers: impl IntoIterator<Item = (&'t str, &'t [u8])>) {
        let mut hash = digest::Context::new(&digest::SHA256);
        for (name, value) in trailers {
            hash.update(name.trim().to_ascii_lowercase().as_bytes());
            hash.update(b":");
            hash.update(value.trim_ascii());
            hash.update(b"\n");
        }
        self.start(TRAILER_ALGORITHM);
        write_hex(hash.finish().as_ref(), &mut self.message);
    }

    fn start(&mut self, algorithm: &str) {
        self.message.clear();
        line(&mut self.message, algorithm.as_bytes());
        line(&mut self.message, self.date.as_str().as_bytes());
        line(&mut self.message, self.scope.as_bytes());
        line(&mut self.message, self.previous.as_bytes());
    }
}
