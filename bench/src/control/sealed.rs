//! Large bodies: sealed in the chunks that Tidelock seals them in (docs/format.md, "Bodies"), and opened
//! while they stream.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Plaintext of a chunk.
pub const CHUNK_BYTES: usize = 31_744;
const TAG_BYTES: usize = 16;
/// Chunks that are read at once.
const CHUNKS_READ: usize = 8;
/// Body id, number of the chunk, whether it is the last.
const ASSOCIATED_BYTES: usize = 21;

/// A body that is sealed and not yet written.
pub struct SealedBytes {
    bytes: Vec<u8>,
    size: usize,
    key: Arc<LessSafeKey>,
}

/// Where it is.
#[derive(Clone)]
pub struct Sealed {
    file: Arc<File>,
    offset: u64,
    size: usize,
    key: Arc<LessSafeKey>,
}

/// Seals while a body comes.
pub struct Sealer {
    sealed: SealedBytes,
    /// Where the chunk begins that is not full.
    begin: usize,
    number: u32,
}

impl Sealer {
    /// For a body of so many bytes.
    pub fn new(size: u64) -> Option<Self> {
        let size = usize::try_from(size).ok()?;
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).ok()?;
        let key = Arc::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?));
        let bytes = Vec::with_capacity(sealed_length(size));
        Some(Self { sealed: SealedBytes { bytes, size, key }, begin: 0, number: 0 })
    }

    /// The next bytes.
    pub fn push(&mut self, mut data: &[u8]) -> Option<()> {
        while !data.is_empty() {
            let room = CHUNK_BYTES - (self.sealed.bytes.len() - self.begin);
            let (now, later) = data.split_at(room.min(data.len()));
            self.sealed.bytes.extend_from_slice(now);
            data = later;
            if room == now.len() {
                self.seal()?;
            }
        }
        Some(())
    }

    /// All of it.
    pub fn finish(mut self) -> Option<SealedBytes> {
        if self.sealed.bytes.len() > self.begin {
            self.seal()?;
        }
        (self.sealed.bytes.len() == sealed_length(self.sealed.size)).then_some(self.sealed)
    }

    fn seal(&mut self) -> Option<()> {
        let SealedBytes { bytes, size, key } = &mut self.sealed;
        let (nonce, aad) = chunk(self.number, *size);
        let tag = key.seal_in_place_separate_tag(nonce, aad, &mut bytes[self.begin..]).ok()?;
        bytes.extend_from_slice(tag.as_ref());
        self.begin = bytes.len();
        self.number += 1;
        Some(())
    }
}

impl SealedBytes {
    /// As they are written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sealed {
    /// Written to `file` at `offset`.
    pub fn at(file: Arc<File>, offset: u64, sealed: &SealedBytes) -> Self {
        Self { file, offset, size: sealed.size, key: Arc::clone(&sealed.key) }
    }
}

/// The answer's body: reads some chunks, opens each, and gives each on as it is.
pub struct Opening {
    sealed: Sealed,
    number: u32,
    left: usize,
    ready: Vec<Bytes>,
}

impl Opening {
    /// From the beginning.
    pub fn of(sealed: Sealed) -> Self {
        Self { left: sealed.size, sealed, number: 0, ready: Vec::new() }
    }

    /// Reads and opens the next chunks, the last of them first.
    fn read(&mut self) -> Option<()> {
        let plain = self.left.min(CHUNKS_READ * CHUNK_BYTES);
        let mut bytes = vec![0; sealed_length(plain)];
        let at = u64::from(self.number) * (CHUNK_BYTES + TAG_BYTES) as u64;
        self.sealed.file.read_exact_at(&mut bytes, self.sealed.offset + at).ok()?;
        let mut lengths = Vec::with_capacity(CHUNKS_READ);
        for sealed in bytes.chunks_mut(CHUNK_BYTES + TAG_BYTES) {
            let (nonce, aad) = chunk(self.number, self.sealed.size);
            lengths.push(self.sealed.key.open_in_place(nonce, aad, sealed).ok()?.len());
            self.number += 1;
        }
        let bytes = Bytes::from(bytes);
        let begins = (0..lengths.len()).map(|at| at * (CHUNK_BYTES + TAG_BYTES));
        self.ready = begins.zip(lengths).map(|(at, length)| bytes.slice(at..at + length)).collect();
        self.ready.reverse();
        self.left -= plain;
        Some(())
    }
}

impl Body for Opening {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ready.is_empty() && self.left > 0 && self.read().is_none() {
            // The body ends too early, and the client sees it.
            self.left = 0;
        }
        Poll::Ready(self.ready.pop().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        let ready: usize = self.ready.iter().map(Bytes::len).sum();
        SizeHint::with_exact((self.left + ready) as u64)
    }
}

fn sealed_length(size: usize) -> usize {
    size + size.div_ceil(CHUNK_BYTES) * TAG_BYTES
}

fn chunk(number: u32, size: usize) -> (Nonce, Aad<[u8; ASSOCIATED_BYTES]>) {
    let mut nonce = [0; NONCE_LEN];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    let mut associated = [0; ASSOCIATED_BYTES];
    associated[16..20].copy_from_slice(&number.to_be_bytes());
    associated[20] = u8::from((number as usize + 1) * CHUNK_BYTES >= size);
    (Nonce::assume_unique_for_key(nonce), Aad::from(associated))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_sealed_is_opened() {
        for size in [1, CHUNK_BYTES, CHUNK_BYTES + 1, 9 * CHUNK_BYTES, 20 * CHUNK_BYTES + 5] {
            let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut sealer = Sealer::new(size as u64).unwrap();
            body.chunks(1000).for_each(|piece| sealer.push(piece).unwrap());
            let sealed = sealer.finish().unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"before").unwrap();
            file.write_all(sealed.bytes()).unwrap();
            let opening = Opening::of(Sealed::at(Arc::new(file), 6, &sealed));
            assert_eq!(opening.size_hint().exact(), Some(size as u64));
            assert!(opening.collect().await.unwrap().to_bytes() == body, "{size}");
        }
    }
}
