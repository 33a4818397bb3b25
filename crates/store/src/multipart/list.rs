//! ListParts: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>.

use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::upload::UploadId;
use tidelock_meta::record::version::Checksum;

use super::{UploadChecksum, read_upload};
use crate::Store;
use crate::commit::Reading;
use crate::encryption::is_customers;
use crate::error::UploadError;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::Target;

/// A part as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number.
    pub number: u16,
    /// When it was stored.
    pub modified_ms: i64,
    /// Entity tag.
    pub md5: [u8; 16],
    /// Plaintext bytes.
    pub size: u64,
    /// Checksum.
    pub checksum: Option<Checksum>,
}

/// Some parts of an upload, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPage {
    /// The parts.
    pub parts: Vec<ListedPart>,
    /// The last number on this page, if there are more.
    pub next_after: Option<u16>,
    /// Canonical id of who began the upload.
    pub initiator: String,
    /// Canonical id of who will own the object.
    pub owner: String,
    /// The checksum the upload was begun with.
    pub checksum: Option<UploadChecksum>,
}

impl Store {
    /// At most `limit` parts with numbers above `after`.
    pub async fn list_parts(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<PartPage, UploadError> {
        let target = Target { principal, bucket, key };
        self.rows
            .answer(
                |reading| async move { list_parts(&reading, target, upload, after, limit).await },
            )
            .await
    }
}

async fn list_parts(
    reading: &Reading,
    target: Target<'_>,
    upload: UploadId,
    after: u16,
    limit: usize,
) -> Result<PartPage, UploadError> {
    let (bucket, open) = read_upload(reading, target, upload).await?;
    let range = match after.checked_add(1) {
        Some(first) => part::range(upload).starting_at(part::key(upload, first)),
        None => part::range(upload)
            .starting_at(tidelock_meta::successor_of_key(&part::key(upload, after))),
    };
    let mut rows = reading.scan(range, limit + 1).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let mut parts = Vec::new();
    for (key, row) in rows {
        let PartRow { modified_ms, size, md5, checksum, .. } = PartRow::decode(&row.value)?;
        // A blinded one says nothing.
        let checksum = checksum.filter(|_| !is_customers(&open.row.controls.encryption));
        parts.push(ListedPart {
            number: part::decode_key(&key)?,
            modified_ms,
            md5,
            size,
            checksum,
        });
    }
    let next_after = parts.last().map(|part| part.number).filter(|_| has_more);
    let (initiator, checksum) = (open.row.initiator, open.row.checksum);
    let owner = open.row.controls.acl.map_or(bucket.row.owner, |acl| acl.owner);
    Ok(PartPage { parts, next_after, initiator, owner, checksum })
}
