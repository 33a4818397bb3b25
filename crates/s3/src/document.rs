//! The XML document in a request's body: read within a limit and held against its digests.

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use ring::digest;
use tidelock_store::{BodySource as _, ChecksumAlgorithm, ChecksumExpectation};

use crate::call::Call;
use crate::checksum;
use crate::error::{ErrorCode, S3Error, S3Result};

/// Configurations of a bucket, tags of an object.
pub(crate) const CONFIGURATION_BYTES_MAX: usize = 64 << 10;
/// A thousand keys or ten thousand parts, with every character escaped.
pub(crate) const LIST_BYTES_MAX: usize = 8 << 20;

/// Whether a document must come with a digest of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// Checked where it is given.
    Optional,
    /// `Content-MD5` or a checksum must be there, as AWS demands of DeleteObjects.
    Required,
}

/// Reads the body.
///
/// # Errors
///
/// `MaxMessageLengthExceeded` over the limit, `BadDigest` where a digest does not match, and what
/// reading a body can end with.
pub(crate) async fn read(
    call: &mut Call<'_>,
    document_bytes_max: usize,
    integrity: Integrity,
) -> S3Result<Bytes> {
    let content_md5 = checksum::content_md5(&call.headers)?;
    let asked = checksum::request_of(&call.headers)?;
    if integrity == Integrity::Required && content_md5.is_none() && asked.is_none() {
        return Err(S3Error::invalid_request(
            "Missing required header for this request: Content-MD5",
        ));
    }
    let document = call.payload.collect(document_bytes_max).await?;
    if content_md5.is_some_and(|md5| md5 != <[u8; 16]>::from(Md5::digest(&document))) {
        return Err(S3Error::new(ErrorCode::BadDigest));
    }
    if let Some(asked) = asked {
        let expected = match asked.expectation {
            ChecksumExpectation::Computed => return Ok(document),
            ChecksumExpectation::Value(value) => Some(value),
            ChecksumExpectation::Trailer => {
                call.payload.trailing_checksum().map(|(_, value)| value)
            }
        };
        if expected != Some(digest_of(asked.algorithm, &document)) {
            return Err(checksum::mismatch_of(&call.headers));
        }
    }
    Ok(document)
}

fn digest_of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let crc32 = |algorithm| (crc_fast::checksum(algorithm, bytes) as u32).to_be_bytes().to_vec();
    match algorithm {
        ChecksumAlgorithm::Crc32 => crc32(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => crc32(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => {
            crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes().to_vec()
        }
        ChecksumAlgorithm::Sha1 => {
            digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
        }
        ChecksumAlgorithm::Sha256 => digest::digest(&digest::SHA256, bytes).as_ref().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_their_check_values() {
        for (algorithm, expected) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ] {
            assert_eq!(hex::encode(digest_of(algorithm, b"123456789")), expected);
        }
    }
}
