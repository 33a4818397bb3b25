//! The body of a lock object: what `use_lockfile = true` writes to `KEY.tflock`.
//!
//! Terraform and OpenTofu write one line of JSON, `{"ID","Operation","Info","Who","Version","Created",
//! "Path"}` in this order, 193 to 227 bytes in practice; `Path` is bucket and key of the state.

use serde::Deserialize;

/// Longest body that is looked at. A real lock has some 200 bytes; hostile ones are not parsed.
const LOCK_BYTES_MAX: usize = 32 << 10;

/// What a lock says of its holder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lock {
    /// Names the lock; `force-unlock` asks for it. Need not be a UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `OperationTypeApply`, `state-push`, `migration source state`, …
    #[serde(rename = "Operation", default)]
    pub operation: String,
    /// Free text, empty in practice.
    #[serde(rename = "Info", default)]
    pub info: String,
    /// `user@host`
    #[serde(rename = "Who", default)]
    pub who: String,
    /// Terraform's or OpenTofu's version.
    #[serde(rename = "Version", default)]
    pub version: String,
    /// When, by the client's clock; RFC 3339.
    #[serde(rename = "Created", default)]
    pub created: String,
    /// Bucket and key of the state.
    #[serde(rename = "Path", default)]
    pub path: String,
}

impl Lock {
    /// The lock in `body`; none if it is not one: no JSON object, no `ID`, or too long.
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > LOCK_BYTES_MAX {
            return None;
        }
        let lock: Self = serde_json::from_slice(body).ok()?;
        (!lock.id.is_empty()).then_some(lock)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REAL: &str = r#"{"ID":"714c34bb-84b4-8935-ed48-4afd84e4ec5f","Operation":"OperationTypePlan","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"tfstate/app/terraform.tfstate"}"#;

    #[test]
    fn a_real_lock() {
        let lock = Lock::parse(REAL.as_bytes()).unwrap();
        assert_eq!(lock.id, "714c34bb-84b4-8935-ed48-4afd84e4ec5f");
        assert_eq!(lock.operation, "OperationTypePlan");
        assert_eq!(lock.who, "root@vm");
        assert_eq!(lock.path, "tfstate/app/terraform.tfstate");
    }

    #[test]
    fn what_is_a_lock() {
        let rows = [
            (r#"{"ID":"abc"}"#, true),
            (r#"{"ID":"abc","Extra":1}"#, true),
            (r#"{"ID":""}"#, false),
            (r#"{"Operation":"x"}"#, false),
            (r#"[]"#, false),
            ("", false),
            ("not json", false),
        ];
        for (body, is_lock) in rows {
            assert_eq!(Lock::parse(body.as_bytes()).is_some(), is_lock, "{body}");
        }
        assert!(Lock::parse(&vec![b' '; LOCK_BYTES_MAX + 1]).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = Lock::parse(&body);
        }
    }
}
