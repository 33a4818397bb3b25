//! ListMultipartUploads:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.

use tidelock_meta::record::upload::{self, UploadId, UploadRow, UploadState};
use tidelock_meta::successor_of_key;

use super::{LIST_SCAN_ROWS, common_prefix};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::BucketError;
use crate::identity::Principal;
use crate::multipart::UploadChecksum;
use crate::name::BucketName;

/// A request to list uploads that are under way.
#[derive(Clone, Debug)]
pub struct ListUploads<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// Which bucket.
    pub bucket: &'a BucketName,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Keys that have this behind the prefix are shown as one common prefix; never empty.
    pub delimiter: Option<&'a str>,
    /// After this key; with an upload id, only after that upload of it.
    pub after: Option<(&'a str, Option<UploadId>)>,
    /// Most uploads and common prefixes together.
    pub limit: usize,
}

/// An upload as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// Of which key.
    pub key: String,
    /// Its id.
    pub upload: UploadId,
    /// When it was begun.
    pub initiated_ms: i64,
    /// Canonical id of who began it.
    pub initiator: String,
    /// Canonical id of who will own the object.
    pub owner: String,
    /// The checksum it was begun with.
    pub checksum: Option<UploadChecksum>,
}

/// Some uploads and common prefixes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadPage {
    /// The uploads.
    pub uploads: Vec<ListedUpload>,
    /// The common prefixes.
    pub common_prefixes: Vec<String>,
    /// Key and upload of the last entry, if there are more; a common prefix has no upload.
    pub next: Option<(String, Option<UploadId>)>,
}

impl Store {
    /// Lists uploads that are under way.
    pub async fn list_uploads(&self, request: &ListUploads<'_>) -> Result<UploadPage, BucketError> {
        self.rows.answer(|reading| async move { request.list(&reading).await }).await
    }
}

impl ListUploads<'_> {
    async fn list(&self, reading: &Reading) -> Result<UploadPage, BucketError> {
        let bucket = OpenBucket::read(reading, self.bucket, self.principal).await?;
        let mut page = UploadPage::default();
        let mut rest = upload::range(bucket.row.id, self.prefix);
        if let Some((after, _)) = self.after {
            rest = rest.starting_at(upload::range(bucket.row.id, after).start);
        }
        let mut last = None;
        if self.limit == 0 {
            return Ok(page);
        }
        loop {
            let rows = reading.scan(rest.clone(), LIST_SCAN_ROWS).await?;
            let complete = rows.len() < LIST_SCAN_ROWS;
            if let Some((key, _)) = rows.last() {
                rest = rest.starting_at(successor_of_key(key));
            }
            for (key, row) in rows {
                let (_, key, id) = upload::decode_key(&key)?;
                let row = UploadRow::decode(&row.value)?;
                let Some(entry) = entry(self, &page, (key, id, &row), &bucket.row.owner) else {
                    continue;
                };
                if page.len() == self.limit {
                    page.next = last;
                    return Ok(page);
                }
                last = Some(page.push(entry));
            }
            if complete {
                return Ok(page);
            }
        }
    }
}

enum Entry {
    Upload(ListedUpload),
    CommonPrefix(String),
}

impl UploadPage {
    fn len(&self) -> usize {
        self.uploads.len() + self.common_prefixes.len()
    }

    fn push(&mut self, entry: Entry) -> (String, Option<UploadId>) {
        match entry {
            Entry::Upload(upload) => {
                let at = (upload.key.clone(), Some(upload.upload));
                self.uploads.push(upload);
                at
            }
            Entry::CommonPrefix(prefix) => {
                self.common_prefixes.push(prefix.clone());
                (prefix, None)
            }
        }
    }
}

fn entry(
    request: &ListUploads<'_>,
    page: &UploadPage,
    (key, id, row): (String, UploadId, &UploadRow),
    bucket_owner: &str,
) -> Option<Entry> {
    match row.state {
        UploadState::Open | UploadState::Sealed => {}
        UploadState::Completed(_) => return None,
    }
    if let Some(prefix) = common_prefix(&key, request.prefix, request.delimiter) {
        let on_earlier_page = request.after.is_some_and(|(after, _)| after >= prefix);
        let on_this_page = page.common_prefixes.last().is_some_and(|last| last == prefix);
        let is_new = !on_earlier_page && !on_this_page;
        return is_new.then(|| Entry::CommonPrefix(prefix.to_owned()));
    }
    let is_wanted = request.after.is_none_or(|(after, upload)| match upload {
        Some(upload) if key == after => id > upload,
        Some(_) | None => key.as_str() > after,
    });
    is_wanted.then(|| {
        Entry::Upload(ListedUpload {
            key,
            upload: id,
            initiated_ms: row.initiated_ms,
            initiator: row.initiator.clone(),
            owner: match &row.controls.acl {
                Some(acl) => acl.owner.clone(),
                None => bucket_owner.to_owned(),
            },
            checksum: row.checksum,
        })
    })
}
