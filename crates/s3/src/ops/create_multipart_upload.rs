//! CreateMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>.

use http::{HeaderMap, HeaderName};
use tidelock_store::{ChecksumAlgorithm, ChecksumType, CreateUpload};

use crate::call::Call;
use crate::error::{S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{checksum, encryption, settings};

const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let settings = settings::of_write(call.service, &call.headers, &call.principal).await?;
    let request = CreateUpload {
        principal: &call.principal,
        bucket: &bucket,
        key: &key,
        settings: &settings,
        checksum: asked_checksum(&call.headers)?,
    };
    let info = call.store().create_upload(&request).await?;
    let document = XmlWriter::s3_document("InitiateMultipartUploadResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("UploadId", &info.upload.to_string());
    });
    let mut response = response::ok_xml(document);
    if let Some((algorithm, kind)) = info.checksum {
        let name = checksum::Algorithm::of(algorithm).name();
        response::set_static(&mut response, CHECKSUM_ALGORITHM, name);
        response::set_static(&mut response, CHECKSUM_TYPE, checksum::type_text(kind));
    }
    encryption::write(response.headers_mut(), &info.encryption);
    Ok(response)
}

/// The checksum asked for; not every algorithm goes with every type.
fn asked_checksum(
    headers: &HeaderMap,
) -> S3Result<Option<(ChecksumAlgorithm, Option<ChecksumType>)>> {
    let kind = checksum::named_type(headers)?;
    let Some(algorithm) = checksum::named_algorithm(headers)? else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(S3Error::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
                 header.",
            )),
        };
    };
    let impossible = match algorithm.kind {
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => Some(ChecksumType::FullObject),
        ChecksumAlgorithm::Crc64Nvme => Some(ChecksumType::Composite),
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => None,
    };
    match kind {
        Some(kind) if Some(kind) == impossible => Err(S3Error::invalid_request(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            checksum::type_text(kind),
            algorithm.name().to_ascii_lowercase(),
        ))),
        kind => Ok(Some((algorithm.kind, kind))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn checksums_of_uploads() {
        let check = |algorithm: Option<&'static str>, kind: Option<&'static str>, legal: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(CHECKSUM_ALGORITHM, algorithm), (CHECKSUM_TYPE, kind)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(asked_checksum(&headers).is_ok(), legal, "{algorithm:?} {kind:?}");
        };
        check(None, None, true);
        check(Some("SHA256"), None, true);
        check(Some("CRC32"), Some("FULL_OBJECT"), true);
        check(Some("CRC32"), Some("COMPOSITE"), true);
        check(Some("SHA256"), Some("FULL_OBJECT"), false);
        check(Some("CRC64NVME"), Some("COMPOSITE"), false);
        check(None, Some("COMPOSITE"), false);
        check(Some("CRC32"), Some("OTHER"), false);
    }
}
