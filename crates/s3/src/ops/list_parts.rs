//! ListParts: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>.

use tidelock_store::{ListedPart, PartPage};

use super::listing::{limit, number, write_checksum_kind};
use super::upload_part::upload_id;
use crate::call::Call;
use crate::error::S3Result;
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{checksum, date, etag};

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let limit = limit(call, "max-parts")?;
    let marker = number(call, "part-number-marker")?.unwrap_or(0);
    // A marker beyond the last part there can be is as good as the last.
    let after = u16::try_from(marker).unwrap_or(u16::MAX);
    let upload = upload_id(call)?;
    let (store, principal) = (call.store(), &call.principal);
    let page = store.list_parts(principal, &bucket, &key, upload, after, limit).await?;
    let owner = Owner::of_id(store, principal, &page.owner).await?;
    let initiator = Owner::of_id(store, principal, &page.initiator).await?;
    let document = XmlWriter::s3_document("ListPartsResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("UploadId", &upload.to_string());
        initiator.write(xml, "Initiator");
        owner.write(xml, "Owner");
        xml.text("StorageClass", "STANDARD");
        write_page(xml, &page, marker, limit);
    });
    Ok(response::ok_xml(document))
}

fn write_page(xml: &mut XmlWriter, page: &PartPage, marker: usize, limit: usize) {
    xml.value("PartNumberMarker", marker);
    xml.value("NextPartNumberMarker", page.parts.last().map_or(0, |part| part.number));
    xml.value("MaxParts", limit);
    xml.value("IsTruncated", page.next_after.is_some());
    write_checksum_kind(xml, page.checksum);
    for part in &page.parts {
        // What was not asked for at the upload's beginning is not shown.
        write_part(xml, part, page.checksum.is_some());
    }
}

fn write_part(xml: &mut XmlWriter, part: &ListedPart, shows_checksum: bool) {
    xml.element("Part", |xml| {
        xml.value("PartNumber", part.number);
        xml.text("LastModified", &date::iso8601(part.modified_ms));
        xml.text("ETag", &etag::quoted_part(&part.md5));
        xml.value("Size", part.size);
        if let Some(stored) = part.checksum.as_ref().filter(|_| shows_checksum) {
            checksum::write_part_element(xml, stored);
        }
    });
}
