//! AWS Signature Version 4 for S3: verified in two steps, and made.
//!
//! [`parse`] reads a request's claim; the caller looks the secret up by
//! [`SignedRequest::access_key_id`], gets the [`SigningKey`] (through a [`SigningKeyCache`] if it
//! likes) and calls [`SignedRequest::verify`]. What comes back says how the body is to be checked
//! ([`PayloadMode`]) and, for signed chunks, checks them ([`ChunkSigner`]). [`Signer`] is the other
//! side of all this. Nothing here reads a body, a clock or a key store.
//!
//! The rules: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>.

mod cache;
mod canonical;
mod chunk;
mod credential;
mod error;
mod key;
mod parse;
mod payload;
mod presigned;
mod request;
mod sign;
mod timestamp;
mod verify;

pub use cache::SigningKeyCache;
pub use canonical::{encode_path, encode_query};
pub use chunk::{ChunkSignatureMismatch, ChunkSigner};
pub use credential::Scope;
pub use error::{AuthError, Malformed, QueryFault, SignatureMismatch};
pub use key::SigningKey;
pub use parse::{Claim, parse};
pub use payload::{
    EMPTY_PAYLOAD, PayloadMode, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER, UNSIGNED_PAYLOAD, payload_hash,
};
pub use request::RequestHead;
pub use sign::{InvalidExpiry, Signed, Signer};
pub use verify::{SignedRequest, Verified};

pub(crate) use credential::Credential;
pub(crate) use key::Signature;
pub(crate) use timestamp::AmzDate;

/// The one algorithm spoken here.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The most that a request's date may differ from the server's, in milliseconds (AWS: 15 minutes).
pub const SKEW_MS_MAX: i64 = 15 * 60 * 1000;

/// The longest life of a presigned URL, in seconds (AWS: seven days).
pub const PRESIGN_EXPIRES_S_MAX: u32 = 7 * 24 * 60 * 60;

/// The most signed headers a request may name: bounds the work an unverified request can cause.
pub(crate) const SIGNED_HEADERS_MAX: usize = 128;
