//! ListObjectVersions: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>.

use tidelock_store::{ListVersions, ListedVersion, VersionCursor, VersionPage, VersionSelector};

use super::listing::{Encoding, limit, write_checksum_kind};
use crate::call::Call;
use crate::error::{S3Error, S3Result};
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{date, etag};

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let encoding = Encoding::of(call)?;
    let limit = limit(call, "max-keys")?;
    let request = ListVersions {
        principal: &call.principal,
        bucket: &bucket,
        prefix: call.query.value("prefix").unwrap_or_default(),
        delimiter: call.query.filled("delimiter"),
        after: cursor(call)?,
        limit,
    };
    let page = call.store().list_versions(&request).await?;
    let owner = Owner::of_id(call.store(), &call.principal, &page.owner).await?;
    let document = XmlWriter::s3_document("ListVersionsResult", |xml| {
        xml.text("Name", bucket.as_str());
        encoding.write(xml, "Prefix", request.prefix);
        encoding.write(xml, "KeyMarker", call.query.value("key-marker").unwrap_or_default());
        let version_marker = call.query.value("version-id-marker").unwrap_or_default();
        xml.text("VersionIdMarker", version_marker);
        write_next(xml, encoding, &page);
        xml.value("MaxKeys", limit);
        encoding.write_optional(xml, "Delimiter", request.delimiter);
        encoding.write_type(xml);
        xml.value("IsTruncated", page.next.is_some());
        for version in &page.versions {
            write_version(xml, encoding, version, &owner);
        }
        encoding.write_common_prefixes(xml, &page.common_prefixes);
    });
    Ok(response::ok_xml(document))
}

fn cursor<'a>(call: &'a Call<'_>) -> S3Result<Option<VersionCursor<'a>>> {
    let key = call.query.filled("key-marker");
    let version = call.query.filled("version-id-marker");
    match (key, version) {
        (None, None) => Ok(None),
        (None, Some(version)) => Err(S3Error::invalid_argument(
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            version,
        )),
        (Some(key), version) => {
            let version = version.map(version_marker).transpose()?;
            Ok(Some(VersionCursor { key, version }))
        }
    }
}

fn version_marker(text: &str) -> S3Result<VersionSelector> {
    let invalid =
        || S3Error::invalid_argument("Invalid version id specified", "version-id-marker", text);
    text.parse().map_err(|_| invalid())
}

fn write_next(xml: &mut XmlWriter, encoding: Encoding, page: &VersionPage) {
    let Some((key, version)) = &page.next else { return };
    encoding.write(xml, "NextKeyMarker", key);
    if let Some(version) = version {
        xml.text("NextVersionIdMarker", &version.to_string());
    }
}

fn write_version(xml: &mut XmlWriter, encoding: Encoding, version: &ListedVersion, owner: &Owner) {
    let element = if version.object.is_some() { "Version" } else { "DeleteMarker" };
    xml.element(element, |xml| {
        encoding.write(xml, "Key", &version.key);
        xml.text("VersionId", &version.version.to_string());
        xml.value("IsLatest", version.is_latest);
        xml.text("LastModified", &date::iso8601(version.modified_ms));
        if let Some(facts) = &version.object {
            xml.text("ETag", &etag::quoted(&facts.etag));
            write_checksum_kind(xml, facts.checksum);
            xml.value("Size", facts.size);
        }
        owner.write(xml, "Owner");
        if version.object.is_some() {
            xml.text("StorageClass", "STANDARD");
        }
    });
}
