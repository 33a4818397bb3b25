//! What is told to the log, and the entry it becomes.

use std::borrow::Cow;

use tidelock_meta::record::audit_entry::{AUDIT_TEXT_BYTES_MAX, AuditEntry, cut};

use crate::identity::Principal;
use crate::origin::Protocol;

/// Longest `User-Agent` in an entry.
const AGENT_BYTES_MAX: usize = 120;
/// Longest text in an entry that a request has chosen of which nobody knows who sent it: anybody can
/// send many.
const UNPROVEN_TEXT_BYTES_MAX: usize = 128;

/// What happened. Texts that do not apply stay empty; an empty code means `OK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEvent {
    /// An operation (`PutObject`, `CreateUser`) or an act of the guard (`LockAcquired`).
    pub action: Cow<'static, str>,
    /// The code of the error, if it is one.
    pub code: Cow<'static, str>,
    /// What the client was told, or what there is to say.
    pub message: String,
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The version of the object.
    pub version_id: String,
    /// The user, access key or webhook that an administrative act is about.
    pub subject: String,
    /// `ID` of the lock.
    pub lock_id: String,
    /// `Operation` of the lock.
    pub lock_operation: String,
    /// `Who` of the lock.
    pub lock_who: String,
    /// Serial of the state.
    pub serial: Option<u64>,
    /// Lineage of the state.
    pub lineage: String,
    /// The refused version that keeps the body.
    pub refused_version: String,
    /// Why, as whoever did it says.
    pub reason: String,
}

impl AuditEvent {
    /// A success of `action` that is about nothing yet.
    pub fn new(action: impl Into<Cow<'static, str>>) -> Self {
        Self { action: action.into(), ..Self::default() }
    }

    /// About this bucket.
    #[must_use]
    pub fn bucket(self, bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), ..self }
    }

    /// About this object.
    #[must_use]
    pub fn object(self, bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into(), ..self }
    }

    /// About this user, access key or webhook.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    pub(super) fn entry<'a>(
        &'a self,
        principal: &'a Principal,
        time_ms: i64,
        id: [u8; 16],
    ) -> AuditEntry<&'a str> {
        let origin = &*principal.origin;
        let is_unproven = principal.is_unproven();
        let bytes_max = if is_unproven { UNPROVEN_TEXT_BYTES_MAX } else { AUDIT_TEXT_BYTES_MAX };
        let chosen = |text: &'a str| cut(text, bytes_max);
        AuditEntry {
            time_ms,
            id,
            protocol: number(origin.protocol),
            serial: self.serial,
            principal: &principal.arn,
            access_key_id: chosen(&origin.access_key_id),
            address: &origin.address,
            user_agent: cut(&origin.user_agent, AGENT_BYTES_MAX),
            request_id: &origin.request_id,
            action: &self.action,
            code: if self.code.is_empty() { "OK" } else { &self.code },
            message: &self.message,
            bucket: chosen(&self.bucket),
            key: chosen(&self.key),
            version_id: &self.version_id,
            subject: chosen(&self.subject),
            lock_id: &self.lock_id,
            lock_operation: &self.lock_operation,
            lock_who: &self.lock_who,
            lineage: &self.lineage,
            refused_version: &self.refused_version,
            reason: &self.reason,
        }
    }
}

/// As entries have it. Persisted, never renumber.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Server => 0,
        Protocol::S3 => 1,
        Protocol::TerraformHttp => 2,
        Protocol::Api => 3,
    }
}

/// The name of a protocol in an entry.
pub(super) fn protocol_name(number: u8) -> &'static str {
    match number {
        0 => "server",
        1 => "s3",
        2 => "http-backend",
        3 => "api",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    #[test]
    fn the_requester_is_always_set() {
        let origin = Origin { access_key_id: "AKIA1".to_owned(), ..Origin::default() };
        let rows = [
            (Principal::root(), "arn:aws:iam::000000000000:root"),
            (Principal::server(), "server"),
            (Principal::unproven(origin), "anonymous"),
        ];
        for (principal, expected) in rows {
            let event = AuditEvent::new("GetObject");
            let entry = event.entry(&principal, 1, [0; 16]);
            assert_eq!((entry.principal, entry.code), (expected, "OK"));
        }
    }

    #[test]
    fn what_nobody_known_says_of_itself_is_cut() {
        let long = || "k".repeat(2 * AUDIT_TEXT_BYTES_MAX);
        let origin = || Origin { access_key_id: long(), ..Origin::default() };
        let event = AuditEvent::new("GetObject").object(long(), long()).subject(long());
        let rows = [
            (Principal::unproven(origin()), UNPROVEN_TEXT_BYTES_MAX),
            (Principal::root().with_origin(origin()), AUDIT_TEXT_BYTES_MAX),
        ];
        for (principal, expected) in rows {
            let entry = event.entry(&principal, 1, [0; 16]);
            let texts = [entry.access_key_id, entry.bucket, entry.key, entry.subject];
            assert_eq!(texts.map(|text| text.len()), [expected; 4]);
        }
    }

    #[test]
    fn protocols_have_names() {
        let all = [Protocol::Server, Protocol::S3, Protocol::TerraformHttp, Protocol::Api];
        let names: Vec<_> = all.into_iter().map(|it| protocol_name(number(it))).collect();
        assert_eq!(names, ["server", "s3", "http-backend", "api"]);
    }
}
