//! Looking into the log: filtered, page by page, in the order of the chain.
//!
//! Whoever asks has what was written and noted by this server sealed first, so that an entry has one
//! place in the log for ever and no page misses or repeats one. Where the store cannot write, what is
//! sealed already is answered.

use std::fmt;
use std::str::FromStr;

use tidelock_meta::Key;
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::audit_chain::AuditChainRow;
use tidelock_meta::record::audit_entry::AuditEntry;
use tidelock_meta::record::audit_segment::{self, AuditSegmentRow};

use super::entry::protocol_name;
use super::{READ_SEGMENTS, SealWhen, segment_place};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;
use crate::name::BucketName;

/// Entries of one page.
pub const QUERY_ENTRIES_MAX: usize = 1000;
/// Segments that one page looks at; what they do not have is on a later page.
const QUERY_SEGMENTS_MAX: u64 = 256;
/// How much later than its neighbours in the chain an entry may be: clocks differ, commits take time.
/// Where some are later still, a question of a time may pass over entries before them.
const DISORDER_MS: i64 = 600_000;

/// The row of a segment, if it is not damaged.
pub(super) type SegmentRead = Result<AuditSegmentRow, DecodeError>;

/// What is asked. What is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this bucket.
    pub bucket: Option<String>,
    /// Whose key begins with this.
    pub prefix: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// By this principal: its ARN, or the name at its end.
    pub principal: Option<String>,
    /// Not before this time.
    pub since_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// Entries at most, and at most [`QUERY_ENTRIES_MAX`].
    pub limit: usize,
    /// Where to begin: where another page ended.
    pub after: Option<AuditPosition>,
    /// The last entries instead of the first.
    pub latest: bool,
    /// The last entries before this place; they are the latest only up to here.
    pub before: Option<AuditPosition>,
}

/// A place in the log: before an entry, or behind the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    pub(crate) segment: u64,
    pub(crate) index: u32,
}

/// Not a place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the audit log")]
pub struct InvalidAuditPosition;

/// An entry and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Where it is.
    pub position: AuditPosition,
    /// What it says.
    pub entry: AuditEntry,
}

/// Some entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries; possibly none, though there are more.
    pub records: Vec<AuditRecord>,
    /// Where the next page begins.
    pub next: AuditPosition,
    /// Whether the log ended there.
    pub is_complete: bool,
    /// Of a page of the last entries: what comes before it is before this place; none where nothing does.
    pub previous: Option<AuditPosition>,
}

impl AuditRecord {
    /// What the request spoke.
    pub fn protocol(&self) -> &'static str {
        protocol_name(self.entry.protocol)
    }
}

impl AuditPosition {
    fn of(segment: u64) -> Self {
        Self { segment, index: 0 }
    }
}

impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.segment, self.index)
    }
}

impl FromStr for AuditPosition {
    type Err = InvalidAuditPosition;

    fn from_str(text: &str) -> Result<Self, InvalidAuditPosition> {
        let (segment, index) = text.split_once('-').ok_or(InvalidAuditPosition)?;
        let segment = segment.parse().map_err(|_| InvalidAuditPosition)?;
        let index = index.parse().map_err(|_| InvalidAuditPosition)?;
        Ok(Self { segment, index })
    }
}

impl AuditQuery {
    fn matches(&self, entry: &AuditEntry) -> bool {
        let is = |asked: &Option<String>, found: &str| asked.as_ref().is_none_or(|it| it == found);
        let name = entry.principal.rsplit([':', '/']).next().unwrap_or_default();
        is(&self.bucket, &entry.bucket)
            && is(&self.action, &entry.action)
            && (is(&self.principal, &entry.principal) || is(&self.principal, name))
            && self.prefix.as_ref().is_none_or(|prefix| entry.key.starts_with(prefix))
            && self.since_ms.is_none_or(|since| entry.time_ms >= since)
            && self.until_ms.is_none_or(|until| entry.time_ms < until)
    }

    /// Whether a segment may hold what is asked.
    fn may_match(&self, segment: &SegmentRead) -> bool {
        let Ok(segment) = segment else { return true };
        self.since_ms.is_none_or(|since| segment.last_ms >= since)
            && self.until_ms.is_none_or(|until| segment.first_ms < until)
    }

    fn limit(&self) -> usize {
        self.limit.clamp(1, QUERY_ENTRIES_MAX)
    }
}

impl Store {
    /// A page of the log. Root may ask for everything, the owner of a bucket for what was done to that
    /// bucket since it was made.
    ///
    /// # Errors
    ///
    /// When the caller may not ask this, or the store fails.
    pub async fn query_audit(
        &self,
        principal: &Principal,
        query: &AuditQuery,
    ) -> Result<AuditPage, BucketError> {
        let mut query = query.clone();
        if !principal.is_root {
            let name = query.bucket.as_deref().and_then(|name| name.parse().ok());
            let name: BucketName = name.ok_or(BucketError::AccessDenied)?;
            let made_ms = self.bucket_made_ms(principal, &name).await?;
            query.since_ms = Some(query.since_ms.unwrap_or(made_ms).max(made_ms));
        }
        self.settle_audit().await;
        let page = if query.latest || query.before.is_some() {
            self.latest_audit(&query).await
        } else {
            self.audit_page(&query).await
        };
        Ok(page?)
    }

    /// The entries from `from` on, of as many segments as one page looks at, and where they begin:
    /// later, if the log has dropped some.
    pub(crate) async fn audit_since(
        &self,
        from: AuditPosition,
        limit: usize,
    ) -> Result<(AuditPosition, AuditPage), StorageError> {
        let chain = self.audit_chain().await?;
        let begin = kept(&chain, from);
        let query = AuditQuery { limit, ..AuditQuery::default() };
        Ok((begin, self.audit_page_from(&chain, begin, &query).await?))
    }

    /// Behind the last entry that is sealed.
    pub(crate) async fn audit_end(&self) -> Result<AuditPosition, StorageError> {
        Ok(AuditPosition::of(self.audit_chain().await?.next))
    }

    async fn bucket_made_ms(
        &self,
        principal: &Principal,
        name: &BucketName,
    ) -> Result<i64, BucketError> {
        let read = self
            .rows
            .answer(|reading| async move { OpenBucket::read(&reading, name, principal).await });
        Ok(read.await?.row.created_ms)
    }

    /// Brings everything that this server knows into the chain, if it can.
    pub(crate) async fn settle_audit(&self) {
        let settled = async {
            self.flush_audit().await?;
            self.seal_audit(SealWhen::Now).await
        };
        if let Err(error) = settled.await {
            tracing::warn!(error = %error, "the audit log is read without its last entries");
        }
    }

    async fn audit_page(&self, query: &AuditQuery) -> Result<AuditPage, StorageError> {
        let chain = self.audit_chain().await?;
        let begin = match query.after {
            Some(after) => kept(&chain, after),
            None => AuditPosition::of(self.first_segment(&chain, query.since_ms).await?),
        };
        self.audit_page_from(&chain, begin, query).await
    }

    async fn audit_page_from(
        &self,
        chain: &AuditChainRow,
        begin: AuditPosition,
        query: &AuditQuery,
    ) -> Result<AuditPage, StorageError> {
        let mut page = AuditPage { next: begin, ..AuditPage::default() };
        let end = chain.next.min(begin.segment.saturating_add(QUERY_SEGMENTS_MAX));
        let mut number = begin.segment;
        while number < end {
            let upto = end.min(number + READ_SEGMENTS);
            for (number, row) in self.audit_segments(number..upto).await? {
                if !self.collect_entries(query, number, &row, &mut page)? {
                    return Ok(page);
                }
            }
            number = upto;
            page.next = page.next.max(AuditPosition::of(number));
        }
        page.is_complete = number >= chain.next;
        Ok(page)
    }

    /// Adds what matches in a segment; false once the page is full.
    fn collect_entries(
        &self,
        query: &AuditQuery,
        number: u64,
        row: &SegmentRead,
        page: &mut AuditPage,
    ) -> Result<bool, StorageError> {
        let first = if page.next.segment == number { page.next.index } else { 0 };
        let entries =
            if query.may_match(row) { self.open_audit_segment(number, row)? } else { Vec::new() };
        for (index, entry) in (0u32..).zip(entries).skip(first as usize) {
            let position = AuditPosition { segment: number, index };
            if query.matches(&entry) {
                if page.records.len() == query.limit() {
                    page.next = position;
                    return Ok(false);
                }
                page.records.push(AuditRecord { position, entry });
            }
        }
        page.next = AuditPosition::of(number + 1);
        Ok(true)
    }

    async fn latest_audit(&self, query: &AuditQuery) -> Result<AuditPage, StorageError> {
        let chain = self.audit_chain().await?;
        let limit = AuditPosition::of(chain.next);
        let before = query.before.map_or(limit, |before| before.min(limit));
        // The segment of an entry is looked into up to it.
        let behind = before.segment + u64::from(before.index > 0);
        let begin = chain.first_kept.max(behind.saturating_sub(QUERY_SEGMENTS_MAX));
        let mut records: Vec<AuditRecord> = Vec::new();
        let mut end = behind.max(chain.first_kept);
        while end > begin && records.len() < query.limit() {
            let start = begin.max(end.saturating_sub(READ_SEGMENTS));
            for (number, row) in self.audit_segments(start..end).await?.into_iter().rev() {
                if !query.may_match(&row) {
                    continue;
                }
                let entries = (0u32..).zip(self.open_audit_segment(number, &row)?);
                for (index, entry) in entries.collect::<Vec<_>>().into_iter().rev() {
                    let position = AuditPosition { segment: number, index };
                    let is_wanted = position < before && query.matches(&entry);
                    if records.len() < query.limit() && is_wanted {
                        records.push(AuditRecord { position, entry });
                    }
                }
            }
            end = start;
        }
        records.reverse();
        let is_full = records.len() == query.limit();
        let is_complete = end <= chain.first_kept || is_full;
        let previous = match records.first() {
            Some(first) if is_full => Some(first.position),
            _ => (end > chain.first_kept).then(|| AuditPosition::of(end)),
        };
        Ok(AuditPage { records, next: before, is_complete, previous })
    }

    /// The first segment that may hold entries from `since_ms` on: the times of segments are in order
    /// but for [`DISORDER_MS`].
    async fn first_segment(
        &self,
        chain: &AuditChainRow,
        since_ms: Option<i64>,
    ) -> Result<u64, StorageError> {
        let Some(since_ms) = since_ms else { return Ok(chain.first_kept) };
        let (mut low, mut high) = (chain.first_kept, chain.next);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.audit_segments(middle..middle + 1).await?;
            // What cannot be read may be of any time: nothing before it is passed over.
            let is_later = found.first().is_some_and(|(_, row)| match row {
                Ok(row) => row.last_ms >= since_ms.saturating_sub(DISORDER_MS),
                Err(_) => true,
            });
            if is_later { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    /// The segments that are there of these.
    pub(super) async fn audit_segments(
        &self,
        numbers: std::ops::Range<u64>,
    ) -> Result<Vec<(u64, SegmentRead)>, StorageError> {
        let keys: Vec<Key> = numbers.clone().map(audit_segment::key).collect();
        let read = self.rows.answer(|reading| async move { reading.get(&keys).await });
        let mut segments = Vec::new();
        for (number, row) in numbers.zip(read.await?) {
            if let Some(row) = row {
                segments.push((number, AuditSegmentRow::decode(&row.value)));
            }
        }
        Ok(segments)
    }

    /// The entries of a segment; of one that is damaged, an entry that says so, the same each time:
    /// it shall not keep what follows from whoever reads the log.
    fn open_audit_segment(
        &self,
        number: u64,
        row: &SegmentRead,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let sealed = row.as_ref().map(|row| row.sealed.as_slice());
        let reason = match self.unseal_entries(sealed, &segment_place(number))? {
            Ok(entries) => return Ok(entries),
            Err(reason) => reason,
        };
        tracing::error!(segment = number, reason, "a segment of the audit log is damaged");
        let damaged = self.damaged_entry(format!("segment {number}: {reason}"));
        let entry: AuditEntry = AuditEntry::decode(&damaged)?;
        let time_ms = row.as_ref().map_or(entry.time_ms, |row| row.last_ms);
        Ok(vec![AuditEntry { id: u128::from(number).to_be_bytes(), time_ms, ..entry }])
    }
}

/// The place, or that of the first entry behind it that the log still has.
fn kept(chain: &AuditChainRow, place: AuditPosition) -> AuditPosition {
    place.max(AuditPosition::of(chain.first_kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_what_is_set() {
        let entry = AuditEntry {
            time_ms: 100,
            principal: "arn:aws:iam::000000000000:user/ci".to_owned(),
            action: "GetObject".to_owned(),
            bucket: "b".to_owned(),
            key: "env/app".to_owned(),
            ..AuditEntry::default()
        };
        let any = AuditQuery::default;
        let text = |text: &str| Some(text.to_owned());
        let rows = [
            (any(), true),
            (AuditQuery { bucket: text("b"), prefix: text("env/"), ..any() }, true),
            (AuditQuery { bucket: text("c"), ..any() }, false),
            (AuditQuery { prefix: text("app"), ..any() }, false),
            (AuditQuery { principal: text("ci"), ..any() }, true),
            (AuditQuery { principal: text("arn:aws:iam::000000000000:user/ci"), ..any() }, true),
            (AuditQuery { principal: text("i"), ..any() }, false),
            (AuditQuery { action: text("PutObject"), ..any() }, false),
            (AuditQuery { since_ms: Some(100), until_ms: Some(101), ..any() }, true),
            (AuditQuery { since_ms: Some(101), ..any() }, false),
            (AuditQuery { until_ms: Some(100), ..any() }, false),
        ];
        for (query, expected) in rows {
            assert_eq!(query.matches(&entry), expected, "{query:?}");
        }
    }

    #[test]
    fn positions_are_texts() {
        let position = AuditPosition { segment: 12, index: 7 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "12", "12-", "-7", "a-b", "12-7-1"] {
            assert_eq!(text.parse::<AuditPosition>(), Err(InvalidAuditPosition), "{text}");
        }
    }
}
