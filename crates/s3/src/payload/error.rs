//! What can be wrong with a request body before its content matters.

use crate::error::{ErrorCode, S3Error};

/// Why a body cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadError {
    /// The client went away, or sent fewer bytes than it announced.
    #[error("the body ended early")]
    Incomplete,
    /// More bytes than announced in `x-amz-decoded-content-length`.
    #[error("the body is longer than announced")]
    TooLong,
    /// Nothing came for the whole of the read timeout.
    #[error("the body stopped coming")]
    TimedOut,
    /// A chunk header is not `size[;chunk-signature=…]`.
    #[error("a chunk is malformed")]
    MalformedChunk,
    /// A chunk's or the trailer's signature does not match.
    #[error("a chunk's signature does not match")]
    ChunkSignature,
    /// The trailer is not well-formed, too long, or not the one announced.
    #[error("the trailer is malformed")]
    MalformedTrailer,
    /// The bytes are not those of the signed `x-amz-content-sha256`.
    #[error("the body does not match its signed hash")]
    ContentSha256 {
        /// What the client signed, in hex.
        client: String,
        /// What arrived, in hex.
        computed: String,
    },
    /// A document over its limit.
    #[error("the document is too large")]
    DocumentTooLarge,
    /// A form's file over what its policy allows.
    #[error("the file is too large")]
    FileTooLarge {
        /// So many bytes came until now.
        size_bytes: u64,
        /// So many may come.
        bytes_max: u64,
    },
    /// A form's file under what its policy asks for.
    #[error("the file is too small")]
    FileTooSmall {
        /// So many bytes came.
        size_bytes: u64,
        /// So many have to come.
        bytes_min: u64,
    },
}

impl From<PayloadError> for S3Error {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Incomplete => Self::new(ErrorCode::IncompleteBody),
            PayloadError::TooLong => Self::with_message(
                ErrorCode::IncompleteBody,
                "The request body is longer than the x-amz-decoded-content-length header said",
            ),
            PayloadError::TimedOut => Self::new(ErrorCode::RequestTimeout),
            PayloadError::MalformedChunk => Self::with_message(
                ErrorCode::IncompleteBody,
                "The request body is not well-formed aws-chunked content",
            ),
            PayloadError::ChunkSignature => Self::new(ErrorCode::SignatureDoesNotMatch),
            PayloadError::MalformedTrailer => Self::new(ErrorCode::MalformedTrailerError),
            PayloadError::ContentSha256 { client, computed } => {
                Self::new(ErrorCode::XAmzContentSHA256Mismatch)
                    .field("ClientComputedContentSHA256", client)
                    .field("S3ComputedContentSHA256", computed)
            }
            PayloadError::DocumentTooLarge => Self::new(ErrorCode::MaxMessageLengthExceeded),
            PayloadError::FileTooLarge { size_bytes, bytes_max } => {
                Self::new(ErrorCode::EntityTooLarge)
                    .field("ProposedSize", size_bytes.to_string())
                    .field("MaxSizeAllowed", bytes_max.to_string())
            }
            PayloadError::FileTooSmall { size_bytes, bytes_min } => {
                Self::new(ErrorCode::EntityTooSmall)
                    .field("ProposedSize", size_bytes.to_string())
                    .field("MinSizeAllowed", bytes_min.to_string())
            }
        }
    }
}
