//! Digests of bodies: the MD5 that becomes the entity tag, and the checksum asked for.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use ring::digest;
use tidelock_meta::record::version::{Checksum, ChecksumAlgorithm, ChecksumType};

use crate::encryption::is_customers;
use crate::object::ObjectInfo;

/// The checksum a body gets when nobody asks for one, as AWS does since 2024-12.
pub(crate) const DEFAULT_ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

/// What a request says of its body's checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksumRequest {
    /// Which algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What it must come to.
    pub expectation: ChecksumExpectation,
}

/// What a checksum must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksumExpectation {
    /// This, known before the body.
    Value(Vec<u8>),
    /// What the trailer behind the body says ([`crate::BodySource::trailing_checksum`]).
    Trailer,
    /// Anything: only the algorithm was named.
    Computed,
}

/// One running checksum.
enum Running {
    Crc(CrcAlgorithm, crc_fast::Digest),
    Ring(digest::Context),
}

/// MD5 and one checksum of a body, in one pass.
pub struct Digester {
    md5: Md5,
    algorithm: ChecksumAlgorithm,
    running: Running,
    length: u64,
}

/// What a [`Digester`] ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Checksum,
    pub(crate) length: u64,
}

impl Digester {
    /// Nothing digested yet.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self { md5: Md5::new(), algorithm, running: Running::new(algorithm), length: 0 }
    }

    /// Digests the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.md5.update(bytes);
        self.running.update(bytes);
    }

    pub(crate) fn finish(self) -> Digests {
        let checksum = Checksum {
            algorithm: self.algorithm,
            kind: ChecksumType::FullObject,
            value: self.running.finish(),
            parts: None,
        };
        Digests { md5: self.md5.finalize().into(), checksum, length: self.length }
    }
}

/// Digests a body that is read again, to be compared with what was known when it was written.
#[derive(Debug)]
pub struct BodyDigest(Digester);

impl BodyDigest {
    /// For the body of an object.
    pub fn new(info: &ObjectInfo) -> Self {
        let known = info.checksum.as_ref().map(|checksum| checksum.algorithm);
        Self(Digester::new(known.unwrap_or(ChecksumAlgorithm::Crc32c)))
    }

    /// Digests the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Whether this is the body: its length, and its entity tag and checksum where they are of the body as a whole. Those
    /// of a client's key (SSE-C) say nothing here, nor do those of parts.
    pub fn is_of(self, info: &ObjectInfo) -> bool {
        let digests = self.0.finish();
        let is_customers = is_customers(&info.settings.controls.encryption);
        let tag_holds = is_customers || info.etag.parts.is_some() || info.etag.md5 == digests.md5;
        let whole = info.checksum.as_ref().filter(|known| {
            !is_customers && known.kind == ChecksumType::FullObject && known.parts.is_none()
        });
        let checksum_holds = whole.is_none_or(|known| known.value == digests.checksum.value);
        digests.length == info.size && tag_holds && checksum_holds
    }
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digester").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Running {
    fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Sha1 => {
                Self::Ring(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
            }
            ChecksumAlgorithm::Sha256 => Self::Ring(digest::Context::new(&digest::SHA256)),
            ChecksumAlgorithm::Crc32 => Self::crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Crc32c => Self::crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc64Nvme => Self::crc(CrcAlgorithm::Crc64Nvme),
        }
    }

    fn crc(algorithm: CrcAlgorithm) -> Self {
        Self::Crc(algorithm, crc_fast::Digest::new(algorithm))
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, crc) => crc.update(bytes),
            Self::Ring(context) => context.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(algorithm, crc) => crc_bytes(algorithm, crc.finalize()),
            Self::Ring(context) => context.finish().as_ref().to_vec(),
        }
    }
}

fn crc_bytes(algorithm: CrcAlgorithm, crc: u64) -> Vec<u8> {
    match algorithm {
        CrcAlgorithm::Crc64Nvme => crc.to_be_bytes().to_vec(),
        _ => (crc as u32).to_be_bytes().to_vec(),
    }
}

fn crc_algorithm(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

/// The type a multipart upload's checksum has when only the algorithm was named.
pub(crate) fn default_multipart_type(algorithm: ChecksumAlgorithm) -> ChecksumType {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => ChecksumType::FullObject,
        _ => ChecksumType::Composite,
    }
}

/// The checksum of a multipart object from those of its parts, each with its length; none if it
/// cannot be had (a full-object SHA cannot be put together).
pub(crate) fn combine(
    algorithm: ChecksumAlgorithm,
    kind: ChecksumType,
    parts: &[(&[u8], u64)],
) -> Option<Checksum> {
    let count = u32::try_from(parts.len()).ok()?;
    match kind {
        ChecksumType::Composite => {
            let mut running = Running::new(algorithm);
            for (value, _) in parts {
                running.update(value);
            }
            Some(Checksum { algorithm, kind, value: running.finish(), parts: Some(count) })
        }
        ChecksumType::FullObject => {
            let crc = crc_algorithm(algorithm)?;
            let mut combined = crc_number(&[]);
            for (index, (value, length)) in parts.iter().enumerate() {
                let next = crc_number(value);
                combined = if index == 0 {
                    next
                } else {
                    crc_fast::checksum_combine(crc, combined, next, *length)
                };
            }
            Some(Checksum { algorithm, kind, value: crc_bytes(crc, combined), parts: Some(count) })
        }
    }
}

fn crc_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The entity tag of a multipart object: the MD5 of its parts' MD5s.
pub(crate) fn multipart_md5<'a>(parts: impl Iterator<Item = &'a [u8; 16]>) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(algorithm: ChecksumAlgorithm, hex_of_123456789: &str) {
        let mut digester = Digester::new(algorithm);
        digester.update(b"12345");
        digester.update(b"6789");
        let digests = digester.finish();
        assert_eq!(hex::encode(digests.checksum.value), hex_of_123456789, "{algorithm:?}");
        assert_eq!(hex::encode(digests.md5), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(digests.length, 9);
    }

    #[test]
    fn check_values() {
        check(ChecksumAlgorithm::Crc32, "cbf43926");
        check(ChecksumAlgorithm::Crc32c, "e3069283");
        check(ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888");
        check(ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        check(
            ChecksumAlgorithm::Sha256,
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        );
    }

    fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Vec<u8> {
        let mut digester = Digester::new(algorithm);
        digester.update(bytes);
        digester.finish().checksum.value
    }

    proptest! {
        #[test]
        fn full_object_checksums_come_together_from_parts(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..6),
        ) {
            for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
                let values: Vec<_> = parts.iter().map(|part| checksum(algorithm, part)).collect();
                let known: Vec<_> =
                    values.iter().zip(&parts).map(|(value, part)| (value.as_slice(), part.len() as u64)).collect();
                let whole = combine(algorithm, ChecksumType::FullObject, &known).unwrap();
                prop_assert_eq!(whole.value, checksum(algorithm, &parts.concat()));
            }
        }
    }
}
