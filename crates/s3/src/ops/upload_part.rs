//! UploadPart: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>.

use http::{StatusCode, header};
use tidelock_store::{PutObjectError, StoredPart, UploadId, UploadPart, UploadPartError};

use super::put_object::{self, check_length};
use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::{checksum, encryption, etag};

const PART_NUMBERS: std::ops::RangeInclusive<u16> = 1..=10_000;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let customer_key = encryption::of_part(&call.headers)?;
    let number = part_number(call)?;
    let upload = upload_id(call)?;
    let content_md5 = checksum::content_md5(&call.headers)?;
    let checksum = checksum::request_of(&call.headers)?;
    check_length(call)?;
    let (principal, store) = (call.principal.clone(), call.store());
    let request = UploadPart {
        principal: &principal,
        bucket: &bucket,
        key: &key,
        upload,
        number,
        content_md5,
        checksum,
        customer_key: customer_key.as_ref(),
    };
    let stored = store.upload_part(&request, &mut call.payload).await;
    let stored = stored.map_err(|error| match error {
        UploadPartError::Put(error @ (PutObjectError::BadChecksum | PutObjectError::TooLarge)) => {
            put_object::refusal(call, error)
        }
        error => error.into(),
    })?;
    let mut response = response::empty(StatusCode::OK);
    response::set(&mut response, header::ETAG, &etag::quoted_part(&stored.md5));
    write_checksum(&mut response, &stored);
    encryption::write(response.headers_mut(), &stored.encryption);
    Ok(response)
}

/// `partNumber`.
pub(super) fn part_number(call: &Call<'_>) -> S3Result<u16> {
    let text = call.query.value("partNumber").unwrap_or_default();
    let number = text.parse().ok().filter(|number| PART_NUMBERS.contains(number));
    number.ok_or_else(|| {
        S3Error::invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            text,
        )
    })
}

/// `uploadId`: what cannot be one of ours is none of ours.
pub(super) fn upload_id(call: &Call<'_>) -> S3Result<UploadId> {
    let text = call.query.value("uploadId").unwrap_or_default();
    text.parse().map_err(|_| S3Error::new(ErrorCode::NoSuchUpload))
}

/// A part's checksum has no type.
fn write_checksum(response: &mut Response, stored: &StoredPart) {
    if let Some(stored) = &stored.checksum {
        let algorithm = checksum::Algorithm::of(stored.algorithm);
        response::set(response, algorithm.header(), &checksum::text(stored));
    }
}
