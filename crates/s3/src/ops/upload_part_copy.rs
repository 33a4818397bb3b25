//! UploadPartCopy: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>.

use tidelock_store::{
    ByteRange, CopyError, ObjectInfo, PutObjectError, UploadPart, UploadPartError,
};

use super::copy_object::write_source_version;
use super::copy_source::{self, Source};
use super::put_object;
use super::upload_part::{part_number, upload_id};
use crate::call::Call;
use crate::conditions::ReadCondition;
use crate::error::S3Result;
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{checksum, date, encryption, etag, range};

const SOURCE_RANGE: &str = "x-amz-copy-source-range";

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let customer_key = encryption::of_part(&call.headers)?;
    let source = Source::of(call)?;
    let request = UploadPart {
        principal: &call.principal,
        bucket: &bucket,
        key: &key,
        upload: upload_id(call)?,
        number: part_number(call)?,
        content_md5: None,
        checksum: None,
        customer_key: customer_key.as_ref(),
    };
    let condition = ReadCondition::of_copy_source(&call.headers);
    let wanted = call.header(SOURCE_RANGE);
    let now_ms = call.service.clock.now();
    let select = |info: &ObjectInfo| -> S3Result<Option<ByteRange>> {
        copy_source::check(&condition, info, now_ms)?;
        wanted.map(|wanted| range::copy_source(wanted, info.size)).transpose()
    };
    let copied = call.store().upload_part_copy(&request, source.as_copy_source(), select).await;
    let copied = copied.map_err(|error| match error {
        CopyError::Part(UploadPartError::Put(
            error @ (PutObjectError::BadChecksum | PutObjectError::TooLarge),
        )) => put_object::refusal(call, error),
        error => source.refusal(error),
    });
    let (info, stored) = copied??;
    let document = XmlWriter::s3_document("CopyPartResult", |xml| {
        xml.text("LastModified", &date::iso8601(stored.modified_ms));
        xml.text("ETag", &etag::quoted_part(&stored.md5));
        if let Some(stored) = &stored.checksum {
            checksum::write_part_element(xml, stored);
        }
    });
    let mut response = response::ok_xml(document);
    write_source_version(&mut response, &info);
    encryption::write(response.headers_mut(), &stored.encryption);
    Ok(response)
}
