//! ListBuckets and HeadBucket: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>.

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::record::bucket_document::DocumentId;
use tidelock_meta::successor_of_key;

use super::{Bucket, OpenBucket};
use crate::Store;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;

/// Rows of one step of a scan over buckets.
const BUCKET_SCAN_ROWS: usize = 500;

/// Some buckets, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPage {
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// The last name on this page, if there are more.
    pub next_after: Option<String>,
}

impl Store {
    /// The bucket, if the caller may use it.
    pub async fn bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
    ) -> Result<Bucket, BucketError> {
        let read = self
            .rows
            .answer(|reading| async move { OpenBucket::read(&reading, name, principal).await });
        Ok(Bucket { name: name.as_str().to_owned(), row: read.await?.row })
    }

    /// The region a bucket was made in, whoever asks; none if there is no such bucket. AWS tells it
    /// to everybody (`x-amz-bucket-region` on 403 too).
    pub async fn bucket_region(&self, name: &BucketName) -> Result<Option<String>, StorageError> {
        let key = bucket::key(name.as_str());
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let Some(value) = read.await? else { return Ok(None) };
        Ok(Some(BucketRow::decode(&value)?.region))
    }

    /// Where a bucket's CORS rules are, whoever asks: preflights carry no signature. None if there is no
    /// such bucket, and no document if it has no rules.
    pub async fn bucket_cors(
        &self,
        name: &BucketName,
    ) -> Result<Option<(BucketId, Option<DocumentId>)>, StorageError> {
        let key = bucket::key(name.as_str());
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let Some(value) = read.await? else { return Ok(None) };
        let row = BucketRow::decode(&value)?;
        Ok(Some((row.id, row.cors)))
    }

    /// At most `limit` of the caller's buckets (root, and who `may_see_all`: of all) whose names begin with `prefix` and come
    /// after `after`.
    pub async fn list_buckets(
        &self,
        principal: &Principal,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        may_see_all: bool,
    ) -> Result<BucketPage, StorageError> {
        let whose = (!may_see_all && !principal.is_root).then_some(principal);
        self.rows
            .answer(
                |reading| async move { list_buckets(&reading, whose, prefix, after, limit).await },
            )
            .await
    }
}

async fn list_buckets(
    reading: &Reading,
    whose: Option<&Principal>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<BucketPage, StorageError> {
    let mut rest = bucket::range(prefix);
    if let Some(after) = after {
        rest = rest.starting_at(successor_of_key(&bucket::key(after)));
    }
    let mut buckets: Vec<Bucket> = Vec::new();
    loop {
        let rows = reading.scan(rest.clone(), BUCKET_SCAN_ROWS).await?;
        let complete = rows.len() < BUCKET_SCAN_ROWS;
        if let Some((last, _)) = rows.last() {
            rest = rest.starting_at(successor_of_key(last));
        }
        for (key, row) in rows {
            let row = BucketRow::decode(&row.value)?;
            if whose.is_some_and(|principal| !principal.owns(&row)) {
                continue;
            }
            if buckets.len() == limit {
                let next_after = buckets.last().map(|bucket| bucket.name.clone());
                return Ok(BucketPage { buckets, next_after });
            }
            buckets.push(Bucket { name: bucket::decode_key(&key)?, row });
        }
        if complete {
            return Ok(BucketPage { buckets, next_after: None });
        }
    }
}
