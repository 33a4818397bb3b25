//! ListObjects: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.

use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{ChecksumAlgorithm, ChecksumType, ETag, ObjectSummary};
use tidelock_meta::{Key, KeyRange, Versioned, successor_of_key, successor_of_prefix};

use super::LIST_SCAN_ROWS;
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;

/// A request to list objects.
#[derive(Clone, Debug)]
pub struct ListObjects<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// Which bucket.
    pub bucket: &'a BucketName,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Keys that have this behind the prefix are shown as one common prefix; never empty.
    pub delimiter: Option<&'a str>,
    /// Only keys and common prefixes after this.
    pub after: Option<&'a str>,
    /// Most keys and common prefixes together.
    pub limit: usize,
}

/// An object as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Plaintext bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// Algorithm and type of its checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// Some objects and common prefixes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// The common prefixes.
    pub common_prefixes: Vec<String>,
    /// The last key or common prefix on this page, if there are more.
    pub next_after: Option<String>,
    /// Canonical id of the bucket's owner, who owns all objects.
    pub owner: String,
}

enum Entry {
    Object(ListedObject),
    CommonPrefix(String),
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

impl Store {
    /// Lists current objects.
    pub async fn list_objects(&self, request: &ListObjects<'_>) -> Result<ObjectPage, BucketError> {
        self.rows.answer(|reading| async move { request.list(&reading).await }).await
    }
}

impl ListObjects<'_> {
    async fn list(&self, reading: &Reading) -> Result<ObjectPage, BucketError> {
        let bucket = OpenBucket::read(reading, self.bucket, self.principal).await?;
        self.principal.origin.conversation.has_listed(bucket.row.id);
        let mut page = ObjectPage { owner: bucket.row.owner.clone(), ..ObjectPage::default() };
        if self.limit == 0 {
            return Ok(page);
        }
        let mut entries = match self.delimiter {
            None => self.list_flat(reading, &bucket).await?,
            Some(delimiter) => self.list_grouped(reading, &bucket, delimiter).await?,
        };
        if entries.len() > self.limit {
            entries.truncate(self.limit);
            page.next_after = entries.last().map(|entry| entry.name().to_owned());
        }
        for entry in entries {
            match entry {
                Entry::Object(object) => page.objects.push(object),
                Entry::CommonPrefix(prefix) => page.common_prefixes.push(prefix),
            }
        }
        Ok(page)
    }

    /// At least one entry more than the limit, if there are so many: it tells that there are more.
    async fn list_flat(
        &self,
        reading: &Reading,
        bucket: &OpenBucket,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        let mut rest = start(bucket, self);
        let mut wanted = LIST_SCAN_ROWS.min(self.limit.saturating_add(1));
        while entries.len() <= self.limit && !rest.is_empty() {
            let rows = reading.scan(rest.clone(), wanted).await?;
            let Some((last, _)) = rows.last() else { break };
            rest = rest.starting_at(successor_of_key(last));
            let complete = rows.len() < wanted;
            for (key, row) in &rows {
                entries.extend(listed(key, row)?.map(Entry::Object));
            }
            if complete {
                break;
            }
            // What was read showed too little: there are deleted keys, and there may be many.
            wanted = LIST_SCAN_ROWS;
        }
        Ok(entries)
    }

    async fn list_grouped(
        &self,
        reading: &Reading,
        bucket: &OpenBucket,
        delimiter: &str,
    ) -> Result<Vec<Entry>, StorageError> {
        let skip = head::KEY_PREFIX_BYTES + self.prefix.len();
        let mut entries = Vec::new();
        let mut rest = start(bucket, self);
        let mut wanted = LIST_SCAN_ROWS.min(self.limit.saturating_add(1));
        while entries.len() <= self.limit && !rest.is_empty() {
            let groups =
                reading.scan_grouped(rest.clone(), skip, delimiter.as_bytes(), wanted).await?;
            let Some(last) = groups.last() else { break };
            let next = match last.is_common_prefix {
                true => successor_of_prefix(&last.prefix),
                false => Some(successor_of_key(&last.prefix)),
            };
            let complete = groups.len() < wanted;
            for group in groups {
                if entries.len() > self.limit {
                    break;
                }
                let (key, row) = &group.first;
                if !group.is_common_prefix {
                    entries.extend(listed(key, row)?.map(Entry::Object));
                    continue;
                }
                let prefix = head::decode_key(&group.prefix)?;
                // A page that ended inside a group has shown its prefix already.
                let shown = self.after.is_some_and(|after| after >= prefix.as_str());
                if !shown
                    && (listed(key, row)?.is_some() || has_object(reading, &group.prefix).await?)
                {
                    entries.push(Entry::CommonPrefix(prefix));
                }
            }
            match next {
                Some(next) if !complete => rest = rest.starting_at(next),
                Some(_) | None => break,
            }
            wanted = LIST_SCAN_ROWS;
        }
        Ok(entries)
    }
}

/// Whether any key under a common prefix has a current object.
async fn has_object(reading: &Reading, prefix: &[u8]) -> Result<bool, StorageError> {
    let mut rest = KeyRange::prefix(prefix);
    loop {
        let rows = reading.scan(rest.clone(), LIST_SCAN_ROWS).await?;
        for (key, row) in &rows {
            if listed(key, row)?.is_some() {
                return Ok(true);
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == LIST_SCAN_ROWS => {
                rest = rest.starting_at(successor_of_key(last));
            }
            Some(_) | None => return Ok(false),
        }
    }
}

fn start(bucket: &OpenBucket, request: &ListObjects<'_>) -> KeyRange {
    let range = head::range(bucket.row.id, request.prefix);
    match request.after {
        None => range,
        Some(after) => range.starting_at(successor_of_key(&head::key(bucket.row.id, after))),
    }
}

/// The object in a head, if there is a current one.
fn listed(key: &Key, row: &Versioned) -> Result<Option<ListedObject>, StorageError> {
    let Some(summary) = HeadRow::summary(&row.value)? else { return Ok(None) };
    let ObjectSummary { size, etag, modified_ms, checksum } = summary;
    Ok(Some(ListedObject { key: head::decode_key(key)?, size, etag, modified_ms, checksum }))
}
