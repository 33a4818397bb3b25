//! ListObjectVersions: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>.
//!
//! Current versions are in the heads, the others in rows of their own, both in key order: this walks
//! them side by side.

use std::collections::VecDeque;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{self, ChecksumAlgorithm, ChecksumType, ETag, ObjectVersion};
use tidelock_meta::{KeyRange, successor_of_key, successor_of_prefix};

use super::{LIST_SCAN_ROWS, common_prefix};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;
use crate::version::{DisplayVersion, VersionSelector};

/// Where a page of versions begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionCursor<'a> {
    /// After all versions of this key (or common prefix),
    pub key: &'a str,
    /// or only after this version of it.
    pub version: Option<VersionSelector>,
}

/// A request to list versions.
#[derive(Clone, Debug)]
pub struct ListVersions<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// Which bucket.
    pub bucket: &'a BucketName,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Keys that have this behind the prefix are shown as one common prefix; never empty.
    pub delimiter: Option<&'a str>,
    /// Where the page begins.
    pub after: Option<VersionCursor<'a>>,
    /// Most versions and common prefixes together.
    pub limit: usize,
}

/// A version as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// Of which key.
    pub key: String,
    /// Which version.
    pub version: DisplayVersion,
    /// It is the current one.
    pub is_latest: bool,
    /// `Last-Modified`.
    pub modified_ms: i64,
    /// What is listed of an object; none for a delete marker.
    pub object: Option<ListedFacts>,
}

/// What is listed of a version that is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedFacts {
    /// Plaintext bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// Algorithm and type of its checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// Some versions and common prefixes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// The versions and delete markers.
    pub versions: Vec<ListedVersion>,
    /// The common prefixes.
    pub common_prefixes: Vec<String>,
    /// Key and version of the last entry, if there are more; a common prefix has no version.
    pub next: Option<(String, Option<DisplayVersion>)>,
    /// Canonical id of the bucket's owner.
    pub owner: String,
}

impl Store {
    /// Lists all versions and delete markers.
    pub async fn list_versions(
        &self,
        request: &ListVersions<'_>,
    ) -> Result<VersionPage, BucketError> {
        self.rows.answer(|reading| async move { request.list(&reading).await }).await
    }
}

impl ListVersions<'_> {
    async fn list(&self, reading: &Reading) -> Result<VersionPage, BucketError> {
        let bucket = OpenBucket::read(reading, self.bucket, self.principal).await?;
        let mut walk = Walk::new(reading, bucket.row.id, self);
        walk.page.owner = bucket.row.owner;
        if self.limit > 0 {
            walk.run().await?;
        }
        Ok(walk.page)
    }
}

struct Walk<'a> {
    reading: &'a Reading,
    bucket: BucketId,
    request: &'a ListVersions<'a>,
    heads: KeyRange,
    noncurrent: Noncurrent<'a>,
    page: VersionPage,
    last: Option<(String, Option<DisplayVersion>)>,
    count: usize,
}

enum Step {
    Next,
    Skip(KeyRange),
    Full,
}

impl<'a> Walk<'a> {
    fn new(reading: &'a Reading, bucket: BucketId, request: &'a ListVersions<'a>) -> Self {
        let all = head::range(bucket, request.prefix);
        let heads = match request.after {
            None => all,
            Some(VersionCursor { key, version: None }) => {
                all.starting_at(successor_of_key(&head::key(bucket, key)))
            }
            Some(VersionCursor { key, version: Some(_) }) => {
                all.starting_at(head::key(bucket, key))
            }
        };
        let rest = version::range_of_bucket(bucket, request.prefix);
        let noncurrent = Noncurrent { reading, rest, rows: VecDeque::new(), exhausted: false };
        let page = VersionPage::default();
        Self { reading, bucket, request, heads, noncurrent, page, last: None, count: 0 }
    }

    async fn run(&mut self) -> Result<(), StorageError> {
        'pages: while !self.heads.is_empty() {
            let rows = self.reading.scan(self.heads.clone(), LIST_SCAN_ROWS).await?;
            let complete = rows.len() < LIST_SCAN_ROWS;
            for (key, row) in rows {
                self.heads = self.heads.clone().starting_at(successor_of_key(&key));
                match self.visit(head::decode_key(&key)?, HeadRow::decode(&row.value)?).await? {
                    Step::Next => {}
                    Step::Skip(rest) => {
                        self.heads = rest;
                        continue 'pages;
                    }
                    Step::Full => return Ok(()),
                }
            }
            if complete {
                break;
            }
        }
        Ok(())
    }

    async fn visit(&mut self, key: String, head: HeadRow) -> Result<Step, StorageError> {
        let Some(current) = &head.current else { return Ok(Step::Next) };
        if let Some(prefix) = common_prefix(&key, self.request.prefix, self.request.delimiter) {
            return Ok(self.visit_prefix(prefix));
        }
        let before = self.resume_before(&key, &head);
        let is_wanted = |version: &ObjectVersion| before.is_none_or(|it| version.id.sequence < it);
        if is_wanted(current) && !self.push(&key, current, true) {
            return Ok(Step::Full);
        }
        // Never again what was current a moment ago and is not any more.
        let before = before.map_or(current.id.sequence, |before| before.min(current.id.sequence));
        self.noncurrent.skip_to(self.bucket, &key, before);
        while let Some(version) = self.noncurrent.next_of(&key).await? {
            if !self.push(&key, &version, false) {
                return Ok(Step::Full);
            }
        }
        Ok(Step::Next)
    }

    fn visit_prefix(&mut self, prefix: &str) -> Step {
        let shown = self.request.after.is_some_and(|after| after.key >= prefix);
        if !shown {
            if self.count == self.request.limit {
                self.page.next = self.last.take();
                return Step::Full;
            }
            self.count += 1;
            self.last = Some((prefix.to_owned(), None));
            self.page.common_prefixes.push(prefix.to_owned());
        }
        match successor_of_prefix(&head::key(self.bucket, prefix)) {
            Some(next) => Step::Skip(self.heads.clone().starting_at(next)),
            None => Step::Full,
        }
    }

    /// The sequence below which versions of `key` are still to be shown, if the page begins within it.
    fn resume_before(&self, key: &str, head: &HeadRow) -> Option<u64> {
        let after = self.request.after.filter(|after| after.key == key)?;
        match after.version? {
            VersionSelector::Id(id) => Some(id.sequence),
            VersionSelector::Null => match &head.current {
                Some(current) if current.is_null => Some(current.id.sequence),
                Some(_) | None => head.null_sequence,
            },
        }
    }

    /// Adds an entry; false if the page is full, with the place where the next one begins.
    fn push(&mut self, key: &str, version: &ObjectVersion, is_latest: bool) -> bool {
        if self.count == self.request.limit {
            self.page.next = self.last.take();
            return false;
        }
        let shown = DisplayVersion::of(version);
        let object = version.object().map(|facts| {
            let checksum = facts.checksum.as_ref().map(|it| (it.algorithm, it.kind));
            ListedFacts { size: facts.size, etag: facts.etag, checksum }
        });
        self.count += 1;
        self.last = Some((key.to_owned(), Some(shown)));
        let modified_ms = version.modified_ms;
        let listed =
            ListedVersion { key: key.to_owned(), version: shown, is_latest, modified_ms, object };
        self.page.versions.push(listed);
        true
    }
}

/// Noncurrent versions in key order, read ahead.
struct Noncurrent<'a> {
    reading: &'a Reading,
    rest: KeyRange,
    rows: VecDeque<(String, ObjectVersion)>,
    exhausted: bool,
}

impl Noncurrent<'_> {
    /// Leaves out all before the versions of `key`, and those of `key` from sequence `before` up.
    fn skip_to(&mut self, bucket: BucketId, key: &str, before: u64) {
        let is_past = |(other, version): &(String, ObjectVersion)| {
            other.as_str() > key || (other == key && version.id.sequence < before)
        };
        while self.rows.front().is_some_and(|row| !is_past(row)) {
            self.rows.pop_front();
        }
        if self.rows.is_empty() && !self.exhausted {
            let start = successor_of_key(&version::key(bucket, key, before));
            self.rest = self.rest.clone().starting_at(start);
        }
    }

    async fn next_of(&mut self, key: &str) -> Result<Option<ObjectVersion>, StorageError> {
        if self.rows.is_empty() && !self.exhausted {
            self.read_ahead().await?;
        }
        match self.rows.front() {
            Some((other, _)) if other == key => {
                Ok(self.rows.pop_front().map(|(_, version)| version))
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn read_ahead(&mut self) -> Result<(), StorageError> {
        if self.rest.is_empty() {
            self.exhausted = true;
            return Ok(());
        }
        let rows = self.reading.scan(self.rest.clone(), LIST_SCAN_ROWS).await?;
        self.exhausted = rows.len() < LIST_SCAN_ROWS;
        if let Some((last, _)) = rows.last() {
            self.rest = self.rest.clone().starting_at(successor_of_key(last));
        }
        for (key, row) in rows {
            let (key, _) = version::decode_key(&key)?;
            self.rows.push_back((key, ObjectVersion::decode(&row.value)?));
        }
        Ok(())
    }
}
