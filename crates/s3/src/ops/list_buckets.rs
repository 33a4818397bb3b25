//! ListBuckets: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>.

use tidelock_auth::policy::Access;
use tidelock_store::Bucket;

use super::listing::{decode_token, encode_token};
use crate::access::Need;
use crate::call::Call;
use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::owner::Owner;
use crate::response::{self, Response};
use crate::xml::XmlWriter;

/// AWS's largest page, and the page of a client that asks for none.
const BUCKETS_MAX: usize = 10_000;
/// What the list is about, for policies.
const ALL_BUCKETS: &str = "arn:aws:s3:::*";

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let limit = match call.query.filled("max-buckets") {
        None => BUCKETS_MAX,
        Some(text) => limit(text)?,
    };
    let prefix = call.query.value("prefix").unwrap_or_default();
    let after = call.query.filled("continuation-token").map(decode_token).transpose()?;
    let (after, sees_all) = (after.as_deref(), sees_all(call)?);
    let store = call.store();
    let page = store.list_buckets(&call.principal, prefix, after, limit, sees_all).await?;
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

/// Whether the caller sees more than their own buckets: where their policies say so. In a role there are no
/// own ones.
fn sees_all(call: &Call<'_>) -> S3Result<bool> {
    let entitlement = &call.principal.entitlement;
    if !entitlement.is_narrowed() {
        return Ok(false);
    }
    match call.decide_alone(Need::LIST_ALL_BUCKETS, ALL_BUCKETS)? {
        Access::Allowed => Ok(true),
        Access::ImplicitlyDenied if entitlement.role.is_none() => Ok(false),
        Access::ImplicitlyDenied | Access::ExplicitlyDenied => {
            Err(S3Error::new(ErrorCode::AccessDenied))
        }
    }
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
