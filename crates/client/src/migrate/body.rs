//! What is remembered of a body once it was read: its hash, its length, and whether it is a state.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use ring::digest::{Context, SHA256};
use tidelock_tfstate::{DOCUMENT_BYTES_MAX, StateReader};

use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// A body that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) sha256: [u8; HASH_BYTES],
    /// Bytes.
    pub(super) size: u64,
    pub(super) is_state: bool,
}

/// A body while it is read.
pub(super) struct BodyReader {
    hash: Context,
    size: u64,
    /// None once it is known to be no state.
    state: Option<StateReader>,
}

impl Body {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut reader = BodyReader::new();
        reader.push(bytes);
        reader.finish()
    }

    /// Whether these are the bytes.
    pub(super) fn is_of(&self, bytes: &[u8]) -> bool {
        let found = ring::digest::digest(&SHA256, bytes);
        self.size == bytes.len() as u64 && found.as_ref() == self.sha256
    }

    /// A name for a version that has none where it comes from.
    pub(super) fn name(&self) -> String {
        let hex: String = self.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }
}

impl BodyReader {
    pub(super) fn new() -> Self {
        Self { hash: Context::new(&SHA256), size: 0, state: Some(StateReader::new()) }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.size += piece.len() as u64;
        let is_none = self.state.as_mut().is_some_and(|reader| reader.push(piece).is_err());
        if is_none {
            self.state = None;
        }
    }

    pub(super) fn finish(self) -> Body {
        let mut sha256 = [0; HASH_BYTES];
        sha256.copy_from_slice(self.hash.finish().as_ref());
        let is_state = self.state.is_some_and(|reader| reader.finish().is_ok());
        Body { sha256, size: self.size, is_state }
    }
}

impl Client {
    /// Reads a version without keeping it.
    pub(super) async fn look_into(
        &self,
        (bucket, key): (&str, &str),
        version: Option<&str>,
    ) -> Result<(HeaderMap, Body), ClientError> {
        let mut reader = BodyReader::new();
        let headers = self.read_version((bucket, key), version, |it| reader.push(it)).await?;
        Ok((headers, reader.finish()))
    }

    /// Reads a version whole.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Local`] above [`DOCUMENT_BYTES_MAX`].
    pub(super) async fn read_whole(
        &self,
        (bucket, key): (&str, &str),
        version: Option<&str>,
    ) -> Result<Bytes, ClientError> {
        let (mut bytes, mut is_over) = (Vec::new(), false);
        let keep = |piece: &[u8]| {
            is_over |= bytes.len() + piece.len() > DOCUMENT_BYTES_MAX;
            if !is_over {
                bytes.extend_from_slice(piece);
            }
        };
        self.read_version((bucket, key), version, keep).await?;
        if is_over {
            return Err(ClientError::Local(too_large()));
        }
        Ok(Bytes::from(bytes))
    }

    async fn read_version(
        &self,
        (bucket, key): (&str, &str),
        version: Option<&str>,
        mut piece: impl FnMut(&[u8]),
    ) -> Result<HeaderMap, ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::GET, uri::object_path(bucket, key)).query(&query);
        let response = self.send(request).await?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            if let Ok(data) = frame.into_data() {
                piece(&data);
            }
        }
        Ok(head.headers)
    }
}

/// A body that is not held in memory.
pub(super) fn too_large() -> std::io::Error {
    std::io::Error::other(format!("larger than {} MiB", DOCUMENT_BYTES_MAX >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_known_by_their_bytes() {
        let state = br#"{"version":4,"serial":1,"lineage":"l"}"#;
        let rows: [(&[u8], bool); 4] =
            [(state, true), (b"{}", false), (b"", false), (b"\xff", false)];
        for (bytes, is_state) in rows {
            let body = Body::of(bytes);
            assert_eq!((body.is_state, body.size), (is_state, bytes.len() as u64));
            assert!(body.is_of(bytes) && !body.is_of(b"other"));
            let mut pieces = BodyReader::new();
            bytes.chunks(5).for_each(|piece| pieces.push(piece));
            assert_eq!(pieces.finish(), body);
        }
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Body::of(b"").name(), empty);
    }
}
