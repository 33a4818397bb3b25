//! How a request's body is bound to its signature: `x-amz-content-sha256`.
//!
//! Says what is to be checked; the body itself is read and checked elsewhere.

use ring::digest;

use super::error::AuthError;

/// The body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The body comes in chunks, each signed.
pub const STREAMING_SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
/// The body comes in signed chunks, then signed trailers.
pub const STREAMING_SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
/// The body comes in chunks, then trailers; nothing of it is signed.
pub const STREAMING_UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// The SHA-256 of nothing.
pub const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How the body is bound to the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadMode {
    /// The body must have this SHA-256.
    SignedHash([u8; 32]),
    /// The body is taken as it comes.
    Unsigned,
    /// The body is `aws-chunked`.
    Chunked {
        /// Each chunk (and the trailer, if there is one) carries a signature.
        signed: bool,
        /// Trailers follow the last chunk.
        trailer: bool,
    },
    /// Nothing was declared, as clients of services other than S3 do: the signature covers the
    /// body's hash, so verifying takes [`super::SignedRequest::with_body`] first.
    Undeclared,
}

impl PayloadMode {
    /// Reads the value of `x-amz-content-sha256`. The modes of SigV4A (`ECDSA`) are refused like
    /// any other text.
    ///
    /// # Errors
    /// [`AuthError::InvalidContentSha256`].
    pub fn parse(value: &[u8]) -> Result<Self, AuthError> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        Ok(match text {
            UNSIGNED_PAYLOAD => Self::Unsigned,
            STREAMING_SIGNED => Self::Chunked { signed: true, trailer: false },
            STREAMING_SIGNED_TRAILER => Self::Chunked { signed: true, trailer: true },
            STREAMING_UNSIGNED_TRAILER => Self::Chunked { signed: false, trailer: true },
            _ => Self::SignedHash(hash(value)?),
        })
    }
}

/// The SHA-256 of `body` in the form that `x-amz-content-sha256` carries.
pub fn payload_hash(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

fn hash(value: &[u8]) -> Result<[u8; 32], AuthError> {
    let mut hash = [0; 32];
    match hex::decode_to_slice(value, &mut hash) {
        Ok(()) => Ok(hash),
        Err(_) => Err(invalid(value)),
    }
}

pub(crate) fn invalid(value: &[u8]) -> AuthError {
    AuthError::InvalidContentSha256 { value: String::from_utf8_lossy(value).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let empty = digest::digest(&digest::SHA256, b"");
        let empty: [u8; 32] = empty.as_ref().try_into().unwrap();
        let upper = EMPTY_PAYLOAD.to_uppercase();
        let rows: &[(&str, Option<PayloadMode>)] = &[
            (EMPTY_PAYLOAD, Some(PayloadMode::SignedHash(empty))),
            (&upper, Some(PayloadMode::SignedHash(empty))),
            (UNSIGNED_PAYLOAD, Some(PayloadMode::Unsigned)),
            (STREAMING_SIGNED, Some(PayloadMode::Chunked { signed: true, trailer: false })),
            (STREAMING_SIGNED_TRAILER, Some(PayloadMode::Chunked { signed: true, trailer: true })),
            (
                STREAMING_UNSIGNED_TRAILER,
                Some(PayloadMode::Chunked { signed: false, trailer: true }),
            ),
            ("STREAMING-UNSIGNED-PAYLOAD", None),
            ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", None),
            ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", None),
            ("unsigned-payload", None),
            (&EMPTY_PAYLOAD[1..], None),
            ("", None),
        ];
        for (value, expected) in rows {
            let invalid = AuthError::InvalidContentSha256 { value: (*value).to_owned() };
            let expected = expected.ok_or(invalid);
            assert_eq!(PayloadMode::parse(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(payload_hash(b""), EMPTY_PAYLOAD);
    }
}
