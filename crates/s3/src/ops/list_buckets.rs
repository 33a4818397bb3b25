//! ListBuckets: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>.

use tidelock_store::Bucket;

use super::listing::{decode_token, encode_token};
use crate::call::Call;
use crate::date;
use crate::error::{S3Error, S3Result};
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;

/// AWS's largest page, and the page of a client that asks for none.
const BUCKETS_MAX: usize = 10_000;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let limit = match call.query.filled("max-buckets") {
        None => BUCKETS_MAX,
        Some(text) => limit(text)?,
    };
    let prefix = call.query.value("prefix").unwrap_or_default();
    let after = call.query.filled("continuation-token").map(decode_token).transpose()?;
    let page = call.store().list_buckets(&call.principal, prefix, after.as_deref(), limit).await?;
    let region = call.query.filled("bucket-region");
    let document = XmlWriter::s3_document("ListAllMyBucketsResult", |xml| {
        Owner::of_principal(&call.principal).write(xml, "Owner");
        xml.element("Buckets", |xml| {
            for bucket in &page.buckets {
                if region.is_none_or(|wanted| wanted == region_of(call, bucket)) {
                    write_bucket(call, xml, bucket);
                }
            }
        });
        if let Some(last) = &page.next_after {
            xml.text("ContinuationToken", &encode_token(last));
        }
        xml.optional("Prefix", call.query.filled("prefix"));
    });
    Ok(response::ok_xml(document))
}

fn write_bucket(call: &Call<'_>, xml: &mut XmlWriter, bucket: &Bucket) {
    xml.element("Bucket", |xml| {
        xml.text("Name", &bucket.name);
        xml.text("CreationDate", &date::iso8601(bucket.row.created_ms));
        xml.text("BucketRegion", region_of(call, bucket));
    });
}

fn region_of<'a>(call: &Call<'a>, bucket: &'a Bucket) -> &'a str {
    if bucket.row.region.is_empty() { &call.service.config.region } else { &bucket.row.region }
}

fn limit(text: &str) -> S3Result<usize> {
    let limit = text.parse().ok().filter(|limit| (1..=BUCKETS_MAX).contains(limit));
    limit.ok_or_else(|| {
        S3Error::invalid_argument(
            "Argument max-buckets must be an integer between 1 and 10000",
            "max-buckets",
            text,
        )
    })
}
