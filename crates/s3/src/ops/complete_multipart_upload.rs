//! CompleteMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.

use tidelock_store::{CompleteError, CompleteUpload, RequestedPart, StoredObject};

use super::bucket_lifecycle::write_expiration;
use super::put_object::write_new_version;
use super::upload_part::upload_id;
use crate::authn::host_of;
use crate::call::Call;
use crate::conditions::{self, unquoted};
use crate::document::LIST_BYTES_MAX;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::{CompleteDocument, CompletePart};
use crate::{checksum, encryption, etag};

const OBJECT_SIZE: &str = "x-amz-mp-object-size";
const PARTS_MAX: usize = 10_000;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let condition = conditions::write(&call.headers, call.condition_forms())?;
    let upload = upload_id(call)?;
    let customer_key = encryption::of_completion(&call.headers)?;
    // The checksum in the headers is the object's, not the document's.
    let body = call.payload.collect(LIST_BYTES_MAX).await?;
    let requested = CompleteDocument::parse(&body)?;
    if requested.parts.len() > PARTS_MAX {
        return Err(S3Error::malformed_xml());
    }
    let parts = requested.parts.iter().map(part).collect::<S3Result<Vec<_>>>()?;
    let request = CompleteUpload {
        principal: &call.principal,
        bucket: &bucket,
        key: &key,
        upload,
        condition: &condition,
        parts: &parts,
        checksum: checksum::stated(&call.headers)?,
        size: object_size(call)?,
        customer_key: customer_key.as_ref(),
    };
    let stored = call.store().complete_upload(&request).await;
    let stored = stored.map_err(|error| refusal(call, error))?;
    let mut response = response::ok_xml(document(call, &stored));
    write_new_version(&mut response, stored.version);
    encryption::write(response.headers_mut(), &stored.encryption);
    write_expiration(&mut response, call.store(), &key, stored.lifecycle.as_ref()).await;
    Ok(response)
}

fn part(part: &CompletePart) -> S3Result<RequestedPart> {
    let invalid = || {
        S3Error::new(ErrorCode::InvalidPart)
            .field("PartNumber", part.number.to_string())
            .field("ETag", part.etag.clone())
    };
    let checksum = part.checksum.as_ref().map(|(algorithm, text)| {
        algorithm.decode(text).map(|digest| (algorithm.kind, digest)).map_err(|_| invalid())
    });
    Ok(RequestedPart {
        number: u16::try_from(part.number).map_err(|_| invalid())?,
        etag: unquoted(&part.etag).to_owned(),
        checksum: checksum.transpose()?,
    })
}

fn object_size(call: &Call<'_>) -> S3Result<Option<u64>> {
    let Some(text) = call.header(OBJECT_SIZE) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        S3Error::invalid_argument(
            "Value for x-amz-mp-object-size header is invalid.",
            OBJECT_SIZE,
            text,
        )
    })
}

/// Adds to a refusal what only the request knows.
fn refusal(call: &Call<'_>, error: CompleteError) -> S3Error {
    match &error {
        CompleteError::InvalidPart { .. } | CompleteError::InvalidPartOrder => {
            let upload = call.query.value("uploadId").unwrap_or_default();
            S3Error::from(error).field("UploadId", upload)
        }
        CompleteError::TooSmall { .. } => {
            let limit_bytes = call.store().config().part_bytes_min;
            S3Error::from(error).field("MinSizeAllowed", limit_bytes.to_string())
        }
        CompleteError::BadChecksum => checksum::mismatch_of(&call.headers),
        _ => error.into(),
    }
}

fn document(call: &Call<'_>, stored: &StoredObject) -> String {
    let scheme = if call.peer.secure { "https" } else { "http" };
    let host = host_of(&call.headers, &call.uri);
    XmlWriter::s3_document("CompleteMultipartUploadResult", |xml| {
        let location = format!("{scheme}://{host}{}", call.uri.path());
        xml.text("Location", &location);
        xml.text("Bucket", call.bucket_text());
        xml.text("Key", call.key_text());
        xml.text("ETag", &etag::quoted(&stored.etag));
        if let Some(stored) = &stored.checksum {
            checksum::write_elements(xml, stored);
        }
    })
}
