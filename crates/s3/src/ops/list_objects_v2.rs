//! ListObjectsV2: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.

use tidelock_store::ListObjects;

use super::list_objects::write_objects;
use super::listing::{Encoding, decode_token, encode_token, limit};
use crate::call::Call;
use crate::error::S3Result;
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let encoding = Encoding::of(call)?;
    let limit = limit(call, "max-keys")?;
    let prefix = call.query.value("prefix").unwrap_or_default();
    let delimiter = call.query.filled("delimiter");
    let start_after = call.query.filled("start-after");
    let token = call.query.value("continuation-token");
    let continued = token.filter(|token| !token.is_empty()).map(decode_token).transpose()?;
    let request = ListObjects {
        principal: &call.principal,
        bucket: &bucket,
        prefix,
        delimiter,
        after: continued.as_deref().or(start_after),
        limit,
    };
    let page = call.store().list_objects(&request).await?;
    let owner = match call.query.value("fetch-owner") {
        Some("true") => Some(Owner::of_id(call.store(), &call.principal, &page.owner).await?),
        _ => None,
    };
    let document = XmlWriter::s3_document("ListBucketResult", |xml| {
        xml.text("Name", bucket.as_str());
        encoding.write(xml, "Prefix", prefix);
        xml.optional("ContinuationToken", token);
        encoding.write_optional(xml, "StartAfter", start_after);
        if let Some(last) = &page.next_after {
            xml.text("NextContinuationToken", &encode_token(last));
        }
        xml.value("KeyCount", page.objects.len() + page.common_prefixes.len());
        xml.value("MaxKeys", limit);
        encoding.write_optional(xml, "Delimiter", delimiter);
        encoding.write_type(xml);
        xml.value("IsTruncated", page.next_after.is_some());
        write_objects(xml, encoding, &page.objects, owner.as_ref());
        encoding.write_common_prefixes(xml, &page.common_prefixes);
    });
    Ok(response::ok_xml(document))
}
