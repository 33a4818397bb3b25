//! `/_/api/v1/audit`: what was asked of the store, by whom, and what became of it.

use http::{Response, StatusCode};
use serde::Serialize;
use tidelock_s3::ResponseBody;
use tidelock_store::{AuditPage, AuditQuery, AuditRecord, AuditVerification, Principal, Store};

use super::error::ApiError;
use super::route::Routed;
use super::{iso8601, json};

/// Entries of a page that does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// An entry as it is shown, here and to webhooks. What does not apply is left out.
#[derive(Serialize)]
pub(crate) struct EntryDocument {
    position: String,
    id: String,
    time: String,
    action: String,
    code: String,
    principal: String,
    protocol: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    access_key_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    bucket: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lock_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lock_operation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lock_who: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    lineage: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    refused_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[derive(Serialize)]
struct Page {
    entries: Vec<EntryDocument>,
    next: String,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

#[derive(Serialize)]
struct Verification {
    intact: bool,
    first_segment: u64,
    segments: u64,
    entries: u64,
    first_time: Option<String>,
    last_time: Option<String>,
    before_first: String,
    head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged_segment: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

pub(super) async fn query(
    store: &Store,
    actor: &Principal,
    routed: &Routed,
) -> Result<Response<ResponseBody>, ApiError> {
    let value = |name| routed.query(name);
    let text = |name| value(name).map(str::to_owned);
    let query = AuditQuery {
        bucket: text("bucket"),
        prefix: text("prefix"),
        action: text("action"),
        principal: text("principal"),
        since_ms: value("since").map(time).transpose()?,
        until_ms: value("until").map(time).transpose()?,
        limit: value("limit").map_or(Ok(LIMIT_DEFAULT), |text| number("limit", text))?,
        after: value("after").map(|text| place("after", text)).transpose()?,
        before: value("before").map(|text| place("before", text)).transpose()?,
        latest: value("latest").map_or(Ok(false), |text| flag("latest", text))?,
    };
    let page = store.query_audit(actor, &query).await?;
    Ok(json(StatusCode::OK, &Page::from(&page)))
}

pub(super) async fn verify(
    store: &Store,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    let found = store.verify_audit(actor).await?;
    Ok(json(StatusCode::OK, &Verification::from(found)))
}

fn time(text: &str) -> Result<i64, ApiError> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(jiff::Timestamp::as_millisecond).map_err(|_| {
        ApiError::malformed(&format!("'{text}' is not a time like 2026-11-21T20:35:06Z"))
    })
}

fn number(name: &str, text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| ApiError::malformed(&format!("{name}: '{text}' is not a number")))
}

fn flag(name: &str, text: &str) -> Result<bool, ApiError> {
    text.parse()
        .map_err(|_| ApiError::malformed(&format!("{name}: '{text}' is neither true nor false")))
}

fn place(name: &str, text: &str) -> Result<tidelock_store::AuditPosition, ApiError> {
    text.parse().map_err(|error| ApiError::malformed(&format!("{name}: {error}")))
}

impl From<&AuditPage> for Page {
    fn from(page: &AuditPage) -> Self {
        Self {
            entries: page.records.iter().map(EntryDocument::from).collect(),
            next: page.next.to_string(),
            complete: page.is_complete,
            previous: page.previous.map(|place| place.to_string()),
        }
    }
}

impl From<&AuditRecord> for EntryDocument {
    fn from(record: &AuditRecord) -> Self {
        let entry = record.entry.clone();
        Self {
            position: record.position.to_string(),
            id: hex::encode(entry.id),
            time: iso8601(entry.time_ms),
            action: entry.action,
            code: entry.code,
            principal: entry.principal,
            protocol: record.protocol(),
            access_key_id: entry.access_key_id,
            address: entry.address,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            bucket: entry.bucket,
            key: entry.key,
            version_id: entry.version_id,
            subject: entry.subject,
            message: entry.message,
            lock_id: entry.lock_id,
            lock_operation: entry.lock_operation,
            lock_who: entry.lock_who,
            serial: entry.serial,
            lineage: entry.lineage,
            refused_version: entry.refused_version,
            reason: entry.reason,
        }
    }
}

impl From<AuditVerification> for Verification {
    fn from(found: AuditVerification) -> Self {
        let (damaged_segment, damage) =
            found.damage.map(|damage| (damage.segment, damage.reason)).unzip();
        Self {
            intact: damage.is_none(),
            first_segment: found.first_segment,
            segments: found.segments,
            entries: found.entries,
            first_time: found.first_ms.map(iso8601),
            last_time: found.last_ms.map(iso8601),
            before_first: found.before_first,
            head: found.head,
            damaged_segment,
            damage,
        }
    }
}
