//! Conditions of requests, decided against the row that the commit checks.
//!
//! Rows of the rules: PutObject, CopyObject and CompleteMultipartUpload W1-W13 and M1-M10, deletes
//! X1-X7 (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>). Whether a
//! form of a header is allowed at all is the protocol's business; here every form has a meaning.

use tidelock_meta::record::version::{ETag, ObjectFacts, ObjectVersion};

use crate::object::Governance;

/// What an entity tag header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ETagMatch {
    /// `*`: any object.
    Any,
    /// One of these, without quotes. Texts that are no entity tags match nothing.
    OneOf(Vec<String>),
}

/// Conditions of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteCondition {
    /// `If-Match`
    pub if_match: Option<ETagMatch>,
    /// `If-None-Match`
    pub if_none_match: Option<ETagMatch>,
}

/// Conditions of a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteCondition {
    /// `If-Match`
    pub if_match: Option<ETagMatch>,
    /// `x-amz-bypass-governance-retention`
    pub governance: Governance,
    /// Whether it may take away a lock that another principal holds.
    pub breaking: LockBreaking,
}

/// Whether whoever asks may take away a lock that another principal holds (`tidelock:BreakLock` on the
/// state).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockBreaking {
    /// They may.
    Allowed,
    /// They may give back their own.
    #[default]
    Refused,
}

/// Why a condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFailure {
    /// The object's entity tag is another (412).
    #[error("If-Match does not hold")]
    IfMatch,
    /// There is such an object (412).
    #[error("If-None-Match does not hold")]
    IfNoneMatch,
    /// `If-Match` on a key without an object (404).
    #[error("If-Match on a key without an object")]
    NoSuchKey,
    /// Somebody wrote the key while this multipart upload was under way, `If-None-Match` (409).
    #[error("the key was written during the upload")]
    ConflictIfNoneMatch,
    /// The same with `If-Match` (409).
    #[error("the key was written during the upload")]
    ConflictIfMatch,
}

/// Whether the key was written since a multipart upload began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadWindow {
    /// Not a multipart upload, or nobody wrote.
    Quiet,
    /// Somebody wrote.
    Disturbed,
}

impl ETagMatch {
    fn covers(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(texts) => {
                let text = etag_text(etag);
                texts.contains(&text)
            }
        }
    }
}

/// An entity tag as clients know it, without quotes.
pub fn etag_text(etag: &ETag) -> String {
    let mut digits = [0; 32];
    // It is just as long.
    let _ = hex::encode_to_slice(etag.md5, &mut digits);
    let mut text = String::from(std::str::from_utf8(&digits).unwrap_or_default());
    if let Some(parts) = etag.parts {
        text.push('-');
        text.push_str(&parts.to_string());
    }
    text
}

impl WriteCondition {
    /// Whether there is nothing to decide.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether the write may replace `current`.
    pub(crate) fn check(
        &self,
        current: Option<&ObjectVersion>,
        window: UploadWindow,
    ) -> Result<(), ConditionFailure> {
        let current = current.and_then(ObjectVersion::object);
        if let Some(wanted) = &self.if_match {
            check_if_match(wanted, current)?;
            if window == UploadWindow::Disturbed {
                return Err(ConditionFailure::ConflictIfMatch);
            }
        }
        if let Some(unwanted) = &self.if_none_match {
            if current.is_some_and(|object| unwanted.covers(&object.etag)) {
                return Err(ConditionFailure::IfNoneMatch);
            }
            if window == UploadWindow::Disturbed {
                return Err(ConditionFailure::ConflictIfNoneMatch);
            }
        }
        Ok(())
    }
}

fn check_if_match(
    wanted: &ETagMatch,
    current: Option<&ObjectFacts>,
) -> Result<(), ConditionFailure> {
    match current {
        None => Err(ConditionFailure::NoSuchKey),
        Some(object) if wanted.covers(&object.etag) => Ok(()),
        Some(_) => Err(ConditionFailure::IfMatch),
    }
}

impl DeleteCondition {
    /// Whether it says by its entity tag which object is meant.
    pub(crate) fn names_object(&self) -> bool {
        matches!(self.if_match, Some(ETagMatch::OneOf(_)))
    }

    /// Whether `current` may be deleted.
    pub(crate) fn check(&self, current: Option<&ObjectVersion>) -> Result<(), ConditionFailure> {
        let Some(wanted) = &self.if_match else { return Ok(()) };
        match current {
            None => Err(ConditionFailure::NoSuchKey),
            Some(version) => match version.object() {
                Some(object) if wanted.covers(&object.etag) => Ok(()),
                // A delete marker has no entity tag: not even `*` matches it (X4).
                Some(_) | None => Err(ConditionFailure::IfMatch),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::record::controls::Controls;
    use tidelock_meta::record::version::{Body, VersionId, VersionKind};

    use super::ConditionFailure::*;
    use super::*;

    fn version(kind: VersionKind) -> ObjectVersion {
        let id = VersionId { sequence: 1, random: 2 };
        ObjectVersion { id, is_null: true, modified_ms: 0, author: String::new(), kind }
    }

    fn object() -> ObjectVersion {
        version(VersionKind::Object(Box::new(ObjectFacts {
            size: 0,
            etag: ETag { md5: [0xAB; 16], parts: None },
            headers: Vec::new(),
            metadata: Vec::new(),
            tags: Vec::new(),
            checksum: None,
            body: Body::Empty,
            wrapped_key: Vec::new(),
            state: None,
            controls: Controls::default(),
        })))
    }

    fn etag(text: &str) -> Option<ETagMatch> {
        Some(if text == "*" { ETagMatch::Any } else { ETagMatch::OneOf(vec![text.to_owned()]) })
    }

    const SAME: &str = "abababababababababababababababab";

    #[test]
    fn writes() {
        use UploadWindow::{Disturbed, Quiet};
        let (object, marker) = (Some(object()), Some(version(VersionKind::DeleteMarker)));
        let none_match = |text| WriteCondition { if_none_match: etag(text), if_match: None };
        let matches = |text| WriteCondition { if_match: etag(text), if_none_match: None };
        let rows = [
            ("W1", none_match("*"), &None, Quiet, Ok(())),
            ("W2", none_match("*"), &object, Quiet, Err(IfNoneMatch)),
            ("W3", none_match("*"), &marker, Quiet, Ok(())),
            ("W5 superset, equal", none_match(SAME), &object, Quiet, Err(IfNoneMatch)),
            ("W5 superset, other", none_match("x"), &object, Quiet, Ok(())),
            ("W6", matches(SAME), &object, Quiet, Ok(())),
            ("W7", matches("x"), &object, Quiet, Err(IfMatch)),
            ("W8", matches(SAME), &None, Quiet, Err(NoSuchKey)),
            ("W9", matches(SAME), &marker, Quiet, Err(NoSuchKey)),
            ("W10 superset", matches("*"), &object, Quiet, Ok(())),
            ("M1", none_match("*"), &object, Disturbed, Err(IfNoneMatch)),
            ("M2", none_match("*"), &None, Disturbed, Err(ConflictIfNoneMatch)),
            ("M4", matches("x"), &object, Disturbed, Err(IfMatch)),
            ("M5", matches(SAME), &object, Disturbed, Err(ConflictIfMatch)),
            ("M7", matches(SAME), &None, Disturbed, Err(NoSuchKey)),
            ("no condition", WriteCondition::default(), &object, Disturbed, Ok(())),
        ];
        for (name, condition, current, window, expected) in rows {
            assert_eq!(condition.check(current.as_ref(), window), expected, "{name}");
        }
    }

    #[test]
    fn deletes() {
        let (object, marker) = (object(), version(VersionKind::DeleteMarker));
        let rows = [
            ("X1", SAME, Some(&object), Ok(())),
            ("X2", "x", Some(&object), Err(IfMatch)),
            ("X3", "*", Some(&object), Ok(())),
            ("X4", "*", Some(&marker), Err(IfMatch)),
            ("X5", SAME, None, Err(NoSuchKey)),
        ];
        for (name, wanted, current, expected) in rows {
            let condition =
                DeleteCondition { if_match: etag(wanted), ..DeleteCondition::default() };
            assert_eq!(condition.check(current), expected, "{name}");
        }
    }
}
