//! ListMultipartUploads:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.

use tidelock_store::{ListUploads, ListedUpload, UploadId, UploadPage};

use super::listing::{Encoding, limit, write_checksum_kind};
use crate::call::Call;
use crate::date;
use crate::error::{S3Error, S3Result};
use crate::owner::{Owner, Owners};
use crate::response::{self, Response};
use crate::xml::XmlWriter;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let encoding = Encoding::of(call)?;
    let limit = limit(call, "max-uploads")?;
    let request = ListUploads {
        principal: &call.principal,
        bucket: &bucket,
        prefix: call.query.value("prefix").unwrap_or_default(),
        delimiter: call.query.filled("delimiter"),
        after: after(call)?,
        limit,
    };
    let page = call.store().list_uploads(&request).await?;
    let mut owners = Owners::new(call.store(), &call.principal);
    let mut people = Vec::with_capacity(page.uploads.len());
    for upload in &page.uploads {
        people.push([owners.of_id(&upload.initiator).await?, owners.of_id(&upload.owner).await?]);
    }
    let document = XmlWriter::s3_document("ListMultipartUploadsResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        encoding.write(xml, "KeyMarker", call.query.value("key-marker").unwrap_or_default());
        let upload_marker = call.query.value("upload-id-marker").unwrap_or_default();
        xml.text("UploadIdMarker", upload_marker);
        write_next(xml, encoding, &page);
        encoding.write(xml, "Prefix", request.prefix);
        encoding.write_optional(xml, "Delimiter", request.delimiter);
        encoding.write_type(xml);
        xml.value("MaxUploads", limit);
        xml.value("IsTruncated", page.next.is_some());
        for (upload, people) in page.uploads.iter().zip(&people) {
            write_upload(xml, encoding, upload, people);
        }
        encoding.write_common_prefixes(xml, &page.common_prefixes);
    });
    Ok(response::ok_xml(document))
}

/// An upload id without a key means nothing, as at AWS.
fn after<'a>(call: &'a Call<'_>) -> S3Result<Option<(&'a str, Option<UploadId>)>> {
    let Some(key) = call.query.filled("key-marker") else { return Ok(None) };
    let upload = call.query.filled("upload-id-marker").map(|text| {
        text.parse().map_err(|_| {
            S3Error::invalid_argument("Invalid uploadId marker", "upload-id-marker", text)
        })
    });
    Ok(Some((key, upload.transpose()?)))
}

/// Where the page ends; AWS says so of the last page too.
fn write_next(xml: &mut XmlWriter, encoding: Encoding, page: &UploadPage) {
    let (key, upload) = match (&page.next, page.uploads.last()) {
        (Some((key, upload)), _) => (key.as_str(), *upload),
        (None, Some(last)) => (last.key.as_str(), Some(last.upload)),
        (None, None) => ("", None),
    };
    encoding.write(xml, "NextKeyMarker", key);
    let upload = upload.map(|upload| upload.to_string()).unwrap_or_default();
    xml.text("NextUploadIdMarker", &upload);
}

fn write_upload(
    xml: &mut XmlWriter,
    encoding: Encoding,
    upload: &ListedUpload,
    [initiator, owner]: &[Owner; 2],
) {
    xml.element("Upload", |xml| {
        encoding.write(xml, "Key", &upload.key);
        xml.text("UploadId", &upload.upload.to_string());
        initiator.write(xml, "Initiator");
        owner.write(xml, "Owner");
        xml.text("StorageClass", "STANDARD");
        xml.text("Initiated", &date::iso8601(upload.initiated_ms));
        write_checksum_kind(xml, upload.checksum);
    });
}
