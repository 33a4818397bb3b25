//! GetObjectAttributes: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html>.

use http::header;
use tidelock_store::{Checksum, ObjectInfo};

use super::get_object::write_version;
use super::listing::ENTRIES_MAX;
use crate::call::Call;
use crate::error::{S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::{checksum, date, encryption, etag};

const ATTRIBUTES: &str = "x-amz-object-attributes";
const MAX_PARTS: &str = "x-amz-max-parts";
const PART_NUMBER_MARKER: &str = "x-amz-part-number-marker";

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    ETag,
    Checksum,
    ObjectParts,
    StorageClass,
    ObjectSize,
}

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let customer = encryption::of_read(&call.headers)?;
    let customer = customer.as_ref();
    let asked = asked(call)?;
    let page = PartsPage::of(call)?;
    let (store, principal) = (call.store(), &call.principal);
    let info = store.head_object_with_key(principal, &bucket, &key, version, customer).await?;
    let document = XmlWriter::s3_document("GetObjectAttributesResponse", |xml| {
        for attribute in &asked {
            write(xml, *attribute, &info, page);
        }
    });
    let mut response = response::ok_xml(document);
    response::set(&mut response, header::LAST_MODIFIED, &date::http_date(info.modified_ms));
    write_version(&mut response, &info);
    Ok(response)
}

fn asked(call: &Call<'_>) -> S3Result<Vec<Attribute>> {
    let values = call.headers.get_all(ATTRIBUTES).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let asked = texts.map(|text| match text.trim() {
        "ETag" => Ok(Attribute::ETag),
        "Checksum" => Ok(Attribute::Checksum),
        "ObjectParts" => Ok(Attribute::ObjectParts),
        "StorageClass" => Ok(Attribute::StorageClass),
        "ObjectSize" => Ok(Attribute::ObjectSize),
        other => {
            Err(S3Error::invalid_argument("Invalid attribute name specified.", ATTRIBUTES, other))
        }
    });
    let asked = asked.collect::<S3Result<Vec<_>>>()?;
    if asked.is_empty() {
        return Err(S3Error::invalid_request(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either \
             missing or empty",
        ));
    }
    Ok(asked)
}

fn write(xml: &mut XmlWriter, attribute: Attribute, info: &ObjectInfo, page: PartsPage) {
    match attribute {
        Attribute::ETag => xml.text("ETag", &etag::text(&info.etag)),
        Attribute::Checksum => {
            if let Some(stored) = &info.checksum {
                xml.element("Checksum", |xml| checksum::write_elements(xml, stored));
            }
        }
        Attribute::ObjectParts => {
            if let (Some(sizes), Some(checksums)) = (&info.part_sizes, &info.part_checksums) {
                page.write(xml, sizes, checksums);
            }
        }
        Attribute::StorageClass => xml.text("StorageClass", "STANDARD"),
        Attribute::ObjectSize => xml.value("ObjectSize", info.size),
    }
}

/// Which parts are listed.
#[derive(Debug, Clone, Copy)]
struct PartsPage {
    after: usize,
    limit: usize,
}

impl PartsPage {
    fn of(call: &Call<'_>) -> S3Result<Self> {
        let number = |name: &'static str, missing: usize| match call.header(name) {
            None => Ok(missing),
            Some(text) => text.parse().map_err(|_| {
                S3Error::invalid_argument(
                    format!("Provided {name} not an integer or within integer range"),
                    name,
                    text,
                )
            }),
        };
        let limit = number(MAX_PARTS, ENTRIES_MAX)?.min(ENTRIES_MAX);
        Ok(Self { after: number(PART_NUMBER_MARKER, 0)?, limit })
    }

    fn write(self, xml: &mut XmlWriter, sizes: &[u64], checksums: &[Option<Checksum>]) {
        let listed = sizes.iter().zip(checksums).enumerate().skip(self.after).take(self.limit);
        let last = self.after.saturating_add(self.limit).min(sizes.len());
        xml.element("ObjectParts", |xml| {
            xml.value("PartsCount", sizes.len());
            xml.value("PartNumberMarker", self.after);
            xml.value("NextPartNumberMarker", last);
            xml.value("MaxParts", self.limit);
            xml.value("IsTruncated", last < sizes.len());
            for (index, (size, stored)) in listed {
                xml.element("Part", |xml| {
                    xml.value("PartNumber", index + 1);
                    xml.value("Size", size);
                    if let Some(stored) = stored {
                        checksum::write_part_element(xml, stored);
                    }
                });
            }
        });
    }
}
