//! The audit log of a Tidelock server: pages of entries, and whether the log is whole.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError};

const AUDIT: &str = "/_/api/v1/audit";
const VERIFY: &str = "/_/api/v1/audit/verify";

/// Entries that one request answers at most.
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// What was asked, by whom, from where, and what became of it; what does not apply is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the log.
    pub position: String,
    /// Names it, 32 hex digits.
    pub id: String,
    /// When, ISO 8601, by the server's clock.
    pub time: String,
    /// What was done.
    pub action: String,
    /// `OK`, or the code of the error.
    pub code: String,
    /// ARN of the requester; `anonymous` where nothing was proven.
    pub principal: String,
    /// `s3`, `http-backend`, `api` or `server`.
    pub protocol: String,
    /// The key that signed, or that was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The client's IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Names the request in answers and logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The key of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The version of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The user, access key or webhook that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What the client was told, or what there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `ID` of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_id: Option<String>,
    /// `Operation` of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_operation: Option<String>,
    /// `Who` of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_who: Option<String>,
    /// Serial of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// Lineage of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// The refused version that keeps the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_version: Option<String>,
    /// Why, as whoever did it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which entries; what is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this bucket.
    pub bucket: Option<String>,
    /// Whose key begins with this.
    pub prefix: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// By this principal, its ARN or its name.
    pub principal: Option<String>,
    /// Not before this time, ISO 8601.
    pub since: Option<String>,
    /// Before this time, ISO 8601.
    pub until: Option<String>,
}

/// Some entries, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditPage {
    /// The entries; possibly none, though there are more.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins.
    pub next: String,
    /// Whether the log ended there.
    pub complete: bool,
    /// Of a page of the last entries: the page before it ends there; none where there is nothing before.
    #[serde(default)]
    pub previous: Option<String>,
}

/// The entries that a filter leaves, page by page, oldest first.
#[derive(Debug)]
pub struct AuditPages<'a> {
    client: &'a Client,
    filter: &'a AuditFilter,
    after: Option<String>,
    /// Entries that are still wanted.
    left: usize,
    done: bool,
}

/// Whether the log is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerification {
    /// Whether every segment follows the one before it, to the head.
    pub intact: bool,
    /// Number of the first segment that is kept.
    pub first_segment: u64,
    /// Segments that are whole.
    pub segments: u64,
    /// Entries in them.
    pub entries: u64,
    /// The earliest time of an entry.
    pub first_time: Option<String>,
    /// The latest time of an entry.
    pub last_time: Option<String>,
    /// Hash of the segment before the first, hex.
    pub before_first: String,
    /// Hash of the last segment, hex.
    pub head: String,
    /// The first segment that is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged_segment: Option<u64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

impl Client {
    /// The first `limit` entries that `filter` leaves.
    pub fn audit_pages<'a>(&'a self, filter: &'a AuditFilter, limit: usize) -> AuditPages<'a> {
        AuditPages { client: self, filter, after: None, left: limit, done: false }
    }

    /// At most `limit` entries from `after` on, where another page ended; from the oldest on if it is
    /// not given. No page has more than [`PAGE_ENTRIES_MAX`].
    ///
    /// # Errors
    /// See [`ClientError`]; only root and the owner of the bucket asked about may ask.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, ClientError> {
        let limit = limit.to_string();
        let mut query = filter.query();
        query.push(("limit", &limit));
        query.extend(after.map(|after| ("after", after)));
        self.ask_for(AUDIT, &query).await
    }

    /// The last `limit` entries, at least one and at most [`PAGE_ENTRIES_MAX`]; not complete where
    /// older ones were not looked for.
    ///
    /// # Errors
    /// As those of [`Client::audit_page`].
    pub async fn latest_audit_page(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<AuditPage, ClientError> {
        self.audit_page_before(filter, None, limit).await
    }

    /// The last `limit` entries before a place: what another page calls [`AuditPage::previous`].
    ///
    /// # Errors
    /// As those of [`Client::audit_page`].
    pub async fn audit_page_before(
        &self,
        filter: &AuditFilter,
        before: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, ClientError> {
        let limit = limit.to_string();
        let mut query = filter.query();
        query.extend([("limit", limit.as_str()), ("latest", "true")]);
        query.extend(before.map(|before| ("before", before)));
        self.ask_for(AUDIT, &query).await
    }

    /// Looks through the whole log.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may ask.
    pub async fn verify_audit(&self) -> Result<AuditVerification, ClientError> {
        self.ask_for(VERIFY, &[]).await
    }
}

/// A time as the log is asked for: an ISO 8601 time, or an age like `90s`, `15m`, `24h` or `7d` before `now`.
/// None for anything else.
pub fn time(text: &str, now: Timestamp) -> Option<String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.to_string());
    }
    let unit_s = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok()?;
    let age = SignedDuration::from_secs(count.checked_mul(unit_s)?);
    now.checked_sub(age).ok().map(|time| time.to_string())
}

impl AuditPages<'_> {
    /// The next page, which may have no entries; `None` after the last.
    ///
    /// # Errors
    /// As those of [`Client::audit_page`].
    pub async fn next(&mut self) -> Result<Option<Vec<AuditEntry>>, ClientError> {
        if self.done || self.left == 0 {
            return Ok(None);
        }
        let limit = self.left.min(PAGE_ENTRIES_MAX);
        let page = self.client.audit_page(self.filter, self.after.as_deref(), limit).await?;
        self.left = self.left.saturating_sub(page.entries.len());
        self.done = page.complete;
        self.after = Some(page.next);
        Ok(Some(page.entries))
    }
}

impl AuditFilter {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let pairs = [
            ("bucket", &self.bucket),
            ("prefix", &self.prefix),
            ("action", &self.action),
            ("principal", &self.principal),
            ("since", &self.since),
            ("until", &self.until),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_times_or_ages() {
        let now: Timestamp = "2026-11-21T20:35:06Z".parse().unwrap();
        let rows = [
            ("2026-11-20T00:00:00Z", Some("2026-11-20T00:00:00Z")),
            ("2026-11-20T01:00:00+01:00", Some("2026-11-20T00:00:00Z")),
            ("6s", Some("2026-11-21T20:35:00Z")),
            ("35m", Some("2026-11-21T20:00:06Z")),
            ("1h", Some("2026-11-21T19:35:06Z")),
            ("7d", Some("2026-11-14T20:35:06Z")),
            ("yesterday", None),
            ("", None),
            ("h", None),
            ("1é", None),
            ("99999999999999999d", None),
        ];
        for (text, expected) in rows {
            assert_eq!(time(text, now).as_deref(), expected, "{text}");
        }
    }
}
