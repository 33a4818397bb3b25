//! Where a body comes from: the protocol layer's decoder, or another object.

use async_trait::async_trait;
use bytes::Bytes;
use tidelock_meta::record::version::ChecksumAlgorithm;

/// Why a body could not be read. Opaque here; the layer that made the source knows what it is and
/// can downcast it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(pub Box<dyn std::error::Error + Send + Sync>);

/// Gives a body piece by piece.
#[async_trait]
pub trait BodySource: Send {
    /// The next bytes; none at the end. An error means that the body must not be stored: it is cut
    /// short, its signature is wrong, or the client is gone.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError>;

    /// The checksum in the trailer, once the end was reached.
    fn trailing_checksum(&self) -> Option<(ChecksumAlgorithm, Vec<u8>)> {
        None
    }
}

/// A body that is in memory.
#[derive(Debug)]
pub struct BytesSource(Option<Bytes>);

impl BytesSource {
    /// Gives these bytes at once.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Some(bytes.into()))
    }
}

#[async_trait]
impl BodySource for BytesSource {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        Ok(self.0.take())
    }
}
