//! Checksums on the wire: header names, element names, base64.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>. The
//! digests themselves are the domain's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use tidelock_store::{
    Checksum, ChecksumAlgorithm, ChecksumExpectation, ChecksumRequest, ChecksumType,
};

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::xml::XmlWriter;

const SDK_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// What the headers of all algorithms begin with.
const HEADER_PREFIX: &str = "x-amz-checksum-";
/// Headers with this prefix that are no checksums.
const ABOUT_CHECKSUMS: [&str; 3] =
    ["x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"];
/// What follows the prefix for algorithms that AWS has and this store has not.
const NOT_BUILT: [&str; 5] = ["md5", "sha512", "xxhash3", "xxhash64", "xxhash128"];
const MD5_BYTES: usize = 16;

/// An algorithm with its spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm {
    pub(crate) kind: ChecksumAlgorithm,
    name: &'static str,
    header: &'static str,
    element: &'static str,
    digest_bytes: usize,
}

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm {
        kind: ChecksumAlgorithm::Crc32,
        name: "CRC32",
        header: "x-amz-checksum-crc32",
        element: "ChecksumCRC32",
        digest_bytes: 4,
    },
    Algorithm {
        kind: ChecksumAlgorithm::Crc32c,
        name: "CRC32C",
        header: "x-amz-checksum-crc32c",
        element: "ChecksumCRC32C",
        digest_bytes: 4,
    },
    Algorithm {
        kind: ChecksumAlgorithm::Crc64Nvme,
        name: "CRC64NVME",
        header: "x-amz-checksum-crc64nvme",
        element: "ChecksumCRC64NVME",
        digest_bytes: 8,
    },
    Algorithm {
        kind: ChecksumAlgorithm::Sha1,
        name: "SHA1",
        header: "x-amz-checksum-sha1",
        element: "ChecksumSHA1",
        digest_bytes: 20,
    },
    Algorithm {
        kind: ChecksumAlgorithm::Sha256,
        name: "SHA256",
        header: "x-amz-checksum-sha256",
        element: "ChecksumSHA256",
        digest_bytes: 32,
    },
];

impl Algorithm {
    /// The spellings of an algorithm.
    pub(crate) fn of(kind: ChecksumAlgorithm) -> Self {
        match kind {
            ChecksumAlgorithm::Crc32 => ALGORITHMS[0],
            ChecksumAlgorithm::Crc32c => ALGORITHMS[1],
            ChecksumAlgorithm::Crc64Nvme => ALGORITHMS[2],
            ChecksumAlgorithm::Sha1 => ALGORITHMS[3],
            ChecksumAlgorithm::Sha256 => ALGORITHMS[4],
        }
    }

    /// The algorithm of an element in a document.
    pub(crate) fn of_element(element: &str) -> Option<Self> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.element == element)
    }

    /// The algorithm of a header, in any case.
    pub(crate) fn of_header(header: &str) -> Option<Self> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.header.eq_ignore_ascii_case(header))
    }

    fn of_name(name: &str) -> Option<Self> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.name.eq_ignore_ascii_case(name))
    }

    /// `CRC32`, `SHA256`, …
    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// `x-amz-checksum-crc32`, …
    pub(crate) fn header(self) -> HeaderName {
        HeaderName::from_static(self.header)
    }

    /// The digest that a text in base64 stands for.
    pub(crate) fn decode(self, text: &str) -> S3Result<Vec<u8>> {
        let digest = STANDARD.decode(text.trim()).ok();
        digest.filter(|digest| digest.len() == self.digest_bytes).ok_or_else(|| {
            // A text that is no digest is as wrong as one of other bytes.
            let message = format!("Value for {} header is invalid.", self.header);
            S3Error::with_message(ErrorCode::BadDigest, message)
        })
    }
}

/// A digest with the number of its parts, as it is shown: `base64` or `base64-N`.
pub(crate) fn text(checksum: &Checksum) -> String {
    let digest = STANDARD.encode(&checksum.value);
    match (checksum.kind, checksum.parts) {
        (ChecksumType::Composite, Some(parts)) => format!("{digest}-{parts}"),
        _ => digest,
    }
}

/// `COMPOSITE` or `FULL_OBJECT`.
pub(crate) fn type_text(kind: ChecksumType) -> &'static str {
    match kind {
        ChecksumType::Composite => "COMPOSITE",
        ChecksumType::FullObject => "FULL_OBJECT",
    }
}

/// Puts a checksum into a document: its own element, then its type.
pub(crate) fn write_elements(xml: &mut XmlWriter, checksum: &Checksum) {
    xml.text(Algorithm::of(checksum.algorithm).element, &text(checksum));
    xml.text("ChecksumType", type_text(checksum.kind));
}

/// Puts a part's checksum into a document: no type.
pub(crate) fn write_part_element(xml: &mut XmlWriter, checksum: &Checksum) {
    xml.text(Algorithm::of(checksum.algorithm).element, &STANDARD.encode(&checksum.value));
}

/// What the headers of a request with a body say of its checksum.
///
/// # Errors
///
/// `InvalidRequest` for more than one checksum, a malformed one, or names that disagree.
pub(crate) fn request_of(headers: &HeaderMap) -> S3Result<Option<ChecksumRequest>> {
    check_known(headers)?;
    let named = named_algorithm(headers)?;
    let mut sent = sent(headers);
    let (header, second) = (sent.next(), sent.next());
    let trailer = trailer_algorithm(headers)?;
    if second.is_some() || (header.is_some() && trailer.is_some()) {
        return Err(several());
    }
    let Some(algorithm) = header.or(trailer).or(named) else { return Ok(None) };
    if named.is_some_and(|named| named != algorithm) {
        return Err(S3Error::invalid_request(
            "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        ));
    }
    let expectation = match (header, trailer) {
        (Some(algorithm), _) => {
            ChecksumExpectation::Value(algorithm.decode(header_text(headers, algorithm.header())?)?)
        }
        (None, Some(_)) => ChecksumExpectation::Trailer,
        (None, None) => ChecksumExpectation::Computed,
    };
    Ok(Some(ChecksumRequest { algorithm: algorithm.kind, expectation }))
}

/// The one checksum a request states of a whole multipart object: `base64`, or `base64-N` of a
/// composite one.
pub(crate) fn stated(headers: &HeaderMap) -> S3Result<Option<(ChecksumAlgorithm, Vec<u8>)>> {
    check_known(headers)?;
    let mut sent = sent(headers);
    match (sent.next(), sent.next()) {
        (None, _) => Ok(None),
        (Some(found), None) => {
            let text = header_text(headers, found.header())?;
            let digest = text.split_once('-').map_or(text, |(digest, _parts)| digest);
            Ok(Some((found.kind, found.decode(digest)?)))
        }
        (Some(_), Some(_)) => Err(several()),
    }
}

/// The body does not have the checksum that was stated.
pub(crate) fn mismatch() -> S3Error {
    S3Error::with_message(
        ErrorCode::BadDigest,
        "The checksum you specified did not match the calculated checksum.",
    )
}

/// The same, naming the algorithm that the headers of the request name.
pub(crate) fn mismatch_of(headers: &HeaderMap) -> S3Error {
    let Some(algorithm) =
        sent(headers).next().or_else(|| trailer_algorithm(headers).ok().flatten())
    else {
        return mismatch();
    };
    S3Error::with_message(
        ErrorCode::BadDigest,
        format!("The {} you specified did not match the calculated checksum.", algorithm.name),
    )
}

/// The algorithms of which a request sends a checksum in a header.
fn sent(headers: &HeaderMap) -> impl Iterator<Item = Algorithm> {
    let of_checksum = |name: &&HeaderName| name.as_str().starts_with(HEADER_PREFIX);
    headers.keys().filter(of_checksum).filter_map(|name| Algorithm::of_header(name.as_str()))
}

/// Refuses a checksum that would not be checked: whoever sends one relies on it.
fn check_known(headers: &HeaderMap) -> S3Result<()> {
    let is_checksum =
        |name: &&str| name.starts_with(HEADER_PREFIX) && !ABOUT_CHECKSUMS.contains(name);
    let mut checksums = headers.keys().map(HeaderName::as_str).filter(is_checksum);
    match checksums.find(|name| Algorithm::of_header(name).is_none()) {
        None => Ok(()),
        Some(name) if NOT_BUILT.contains(&&name[HEADER_PREFIX.len()..]) => {
            Err(S3Error::header_not_implemented(name))
        }
        Some(_) => Err(S3Error::invalid_request(
            "The algorithm type you specified in x-amz-checksum- header is invalid.",
        )),
    }
}

fn several() -> S3Error {
    S3Error::invalid_request(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    )
}

/// The algorithm that `x-amz-checksum-algorithm` or the SDK's header names.
pub(crate) fn named_algorithm(headers: &HeaderMap) -> S3Result<Option<Algorithm>> {
    for header in [ALGORITHM, SDK_ALGORITHM] {
        if headers.contains_key(&header) {
            let name = header_text(headers, header)?;
            return Algorithm::of_name(name).map(Some).ok_or_else(|| {
                S3Error::invalid_request(
                    "Checksum algorithm provided is unsupported. Please try again with any of the \
                     valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
                )
            });
        }
    }
    Ok(None)
}

/// `x-amz-checksum-type`.
pub(crate) fn named_type(headers: &HeaderMap) -> S3Result<Option<ChecksumType>> {
    if !headers.contains_key(TYPE) {
        return Ok(None);
    }
    match header_text(headers, TYPE)? {
        "COMPOSITE" => Ok(Some(ChecksumType::Composite)),
        "FULL_OBJECT" => Ok(Some(ChecksumType::FullObject)),
        _ => Err(S3Error::invalid_request("Value for x-amz-checksum-type header is invalid.")),
    }
}

/// `Content-MD5`, if there is one.
pub fn content_md5(headers: &HeaderMap) -> S3Result<Option<[u8; MD5_BYTES]>> {
    let Some(value) = headers.get(CONTENT_MD5) else { return Ok(None) };
    let digest = STANDARD.decode(value.as_bytes()).ok();
    let md5 = digest.and_then(|digest| <[u8; MD5_BYTES]>::try_from(digest).ok());
    md5.map(Some).ok_or_else(|| {
        let sent = String::from_utf8_lossy(value.as_bytes());
        S3Error::new(ErrorCode::InvalidDigest).field("Content-MD5", sent)
    })
}

/// The names in `x-amz-trailer`, in lower case.
pub(crate) fn trailer_names(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(TRAILER).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

fn trailer_algorithm(headers: &HeaderMap) -> S3Result<Option<Algorithm>> {
    let names = trailer_names(headers);
    let mut algorithms = names.iter().map(|name| {
        Algorithm::of_header(name).ok_or_else(|| {
            S3Error::invalid_request(
                "The value specified in the x-amz-trailer header is not supported",
            )
        })
    });
    match (algorithms.next(), algorithms.next()) {
        (None, _) => Ok(None),
        (Some(algorithm), None) => algorithm.map(Some),
        (Some(_), Some(_)) => Err(several()),
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> S3Result<&str> {
    headers
        .get(&name)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| S3Error::invalid_request(format!("Value for {name} header is invalid.")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn check(pairs: &[(&'static str, &'static str)], expected: Result<Option<&str>, &str>) {
        let shown = request_of(&headers(pairs)).map(|request| {
            request.map(|request| {
                let expectation = match request.expectation {
                    ChecksumExpectation::Value(value) => hex::encode(value),
                    ChecksumExpectation::Trailer => "trailer".to_owned(),
                    ChecksumExpectation::Computed => "computed".to_owned(),
                };
                format!("{} {expectation}", Algorithm::of(request.algorithm).name())
            })
        });
        let shown = shown.map_err(|error| error.code().as_str());
        assert_eq!(shown, expected.map(|text| text.map(str::to_owned)), "{pairs:?}");
    }

    #[test]
    fn requests_state_checksums() {
        check(&[], Ok(None));
        check(&[("x-amz-checksum-crc32", "AAAAAQ==")], Ok(Some("CRC32 00000001")));
        check(
            &[("x-amz-sdk-checksum-algorithm", "CRC32"), ("x-amz-checksum-crc32", "AAAAAQ==")],
            Ok(Some("CRC32 00000001")),
        );
        check(&[("x-amz-checksum-crc32", "AAAA")], Err("BadDigest"));
        check(&[("x-amz-checksum-crc32", "?")], Err("BadDigest"));
        check(&[("x-amz-trailer", "x-amz-checksum-sha256")], Ok(Some("SHA256 trailer")));
        check(&[("x-amz-trailer", "x-amz-meta-a")], Err("InvalidRequest"));
        check(&[("x-amz-sdk-checksum-algorithm", "sha1")], Ok(Some("SHA1 computed")));
        check(&[("x-amz-checksum-algorithm", "MD6")], Err("InvalidRequest"));
        check(
            &[("x-amz-checksum-crc32", "AAAAAQ=="), ("x-amz-checksum-crc32c", "AAAAAQ==")],
            Err("InvalidRequest"),
        );
        check(
            &[("x-amz-checksum-crc32", "AAAAAQ=="), ("x-amz-trailer", "x-amz-checksum-crc32")],
            Err("InvalidRequest"),
        );
        check(
            &[("x-amz-sdk-checksum-algorithm", "SHA1"), ("x-amz-checksum-crc32", "AAAAAQ==")],
            Err("InvalidRequest"),
        );
    }

    #[test]
    fn content_md5_is_read() {
        let check = |value: &'static str, expected: Result<bool, ErrorCode>| {
            let read = content_md5(&headers(&[("content-md5", value)]));
            assert_eq!(read.map(|md5| md5.is_some()).map_err(|error| error.code()), expected);
        };
        check("1B2M2Y8AsgTpgAmY7PhCfg==", Ok(true));
        check("YWJyYWNhZGFicmE=", Err(ErrorCode::InvalidDigest));
        check("", Err(ErrorCode::InvalidDigest));
        check("garbage!", Err(ErrorCode::InvalidDigest));
    }
}
