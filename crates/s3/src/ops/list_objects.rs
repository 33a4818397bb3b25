//! ListObjects, the first version: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html>.

use tidelock_store::{ListObjects, ListedObject};

use super::listing::{Encoding, limit, write_checksum_kind};
use crate::call::Call;
use crate::error::S3Result;
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{date, etag};

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let encoding = Encoding::of(call)?;
    let limit = limit(call, "max-keys")?;
    let prefix = call.query.value("prefix").unwrap_or_default();
    let delimiter = call.query.filled("delimiter");
    let marker = call.query.value("marker").unwrap_or_default();
    let request = ListObjects {
        principal: &call.principal,
        bucket: &bucket,
        prefix,
        delimiter,
        after: Some(marker).filter(|marker| !marker.is_empty()),
        limit,
    };
    let page = call.store().list_objects(&request).await?;
    let owner = Owner::of_id(call.store(), &call.principal, &page.owner).await?;
    let document = XmlWriter::s3_document("ListBucketResult", |xml| {
        xml.text("Name", bucket.as_str());
        encoding.write_own_prefix(xml, prefix);
        encoding.write(xml, "Marker", marker);
        // Without a delimiter the last key of the page is the next marker.
        if delimiter.is_some() {
            encoding.write_optional(xml, "NextMarker", page.next_after.as_deref());
        }
        xml.value("MaxKeys", limit);
        encoding.write_optional(xml, "Delimiter", delimiter);
        encoding.write_type(xml);
        xml.value("IsTruncated", page.next_after.is_some());
        write_objects(xml, encoding, &page.objects, Some(&owner));
        encoding.write_common_prefixes(xml, &page.common_prefixes);
    });
    Ok(response::ok_xml(document))
}

/// Length of a `<Contents>` without its key, about.
const CONTENTS_BYTES: usize = 400;

/// `<Contents>` for each object.
pub(super) fn write_objects(
    xml: &mut XmlWriter,
    encoding: Encoding,
    objects: &[ListedObject],
    owner: Option<&Owner>,
) {
    xml.reserve(objects.iter().map(|object| CONTENTS_BYTES + object.key.len()).sum());
    for object in objects {
        write_object(xml, encoding, object, owner);
    }
}

/// `<Contents>`
fn write_object(
    xml: &mut XmlWriter,
    encoding: Encoding,
    object: &ListedObject,
    owner: Option<&Owner>,
) {
    xml.element("Contents", |xml| {
        encoding.write(xml, "Key", &object.key);
        xml.text("LastModified", &date::iso8601(object.modified_ms));
        xml.text("ETag", &etag::quoted(&object.etag));
        write_checksum_kind(xml, object.checksum);
        xml.value("Size", object.size);
        if let Some(owner) = owner {
            owner.write(xml, "Owner");
        }
        xml.text("StorageClass", "STANDARD");
    });
}
