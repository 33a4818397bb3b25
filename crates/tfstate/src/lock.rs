//! The body of a lock object: what `use_lockfile = true` writes to `KEY.tflock`.
//!
//! Terraform and OpenTofu write one line of JSON, `{"ID","Operation","Info","Who","Version","Created",
//! "Path"}` in this order, 193 to 227 bytes in practice; `Path` is bucket and key of the state.

use serde::{Serialize, Serializer};

use crate::json::{Container, Kind, Reader, Token, decode, is_field};

/// Longest body that is looked at. A real lock has some 200 bytes; hostile ones are not parsed.
pub const LOCK_BYTES_MAX: usize = 32 << 10;

/// What a lock says of its holder. Serialises as Terraform writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lock {
    /// Names the lock; `force-unlock` asks for it. Need not be a UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The command that took it.
    pub operation: Operation,
    /// Free text, empty in practice.
    pub info: String,
    /// `user@host`
    pub who: String,
    /// Terraform's or OpenTofu's version.
    pub version: String,
    /// When, by the client's clock; RFC 3339.
    pub created: String,
    /// Bucket and key of the state.
    pub path: String,
}

/// The command that took a lock, by the words that Terraform 1.11, 1.15 and OpenTofu write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `terraform plan`
    Plan,
    /// `terraform apply` and `terraform destroy`
    Apply,
    /// `terraform refresh`
    Refresh,
    /// `terraform import`, and `terraform console` before 1.15: they have no word of their own.
    Invalid,
    /// The first, empty state of a new workspace.
    Init,
    /// `terraform workspace new` with a state to begin with.
    WorkspaceNew,
    /// `terraform state push`
    StatePush,
    /// `terraform state mv`
    StateMv,
    /// `terraform state rm`
    StateRm,
    /// `terraform state replace-provider`, and `terraform workspace delete`: a slip in Terraform.
    StateReplaceProvider,
    /// `terraform taint`
    Taint,
    /// `terraform untaint`
    Untaint,
    /// `terraform init -migrate-state`, on the state that is read.
    MigrationSource,
    /// `terraform init -migrate-state`, on the state that is written.
    MigrationDestination,
    /// Words of another program or version; empty if there were none.
    Other(String),
}

impl Lock {
    /// The lock in `body`; none if it is not one: no JSON object, no `ID`, a field that is not a
    /// string, or too long. Read as Go reads it: names in any case, the last of duplicates, `null`
    /// for nothing.
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > LOCK_BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(body);
        if reader.value().ok()?.kind != Kind::Open(Container::Object) {
            return None;
        }
        let mut lock = Self::default();
        while let Some(key) = reader.key().ok()? {
            let value = reader.value().ok()?;
            lock.field(&key, value, &mut reader)?;
        }
        let is_over = reader.next() == Ok(None);
        (is_over && !lock.id.is_empty()).then_some(lock)
    }

    fn field(&mut self, key: &str, value: Token, reader: &mut Reader<'_>) -> Option<()> {
        let slots: [(&str, &mut String); 6] = [
            ("id", &mut self.id),
            ("info", &mut self.info),
            ("who", &mut self.who),
            ("version", &mut self.version),
            ("created", &mut self.created),
            ("path", &mut self.path),
        ];
        let slot = slots.into_iter().find(|(name, _)| is_field(key, name));
        let is_operation = is_field(key, "operation");
        match value.kind {
            Kind::String if is_operation => {
                self.operation = Operation::parse(&decode(reader.raw(value)));
            }
            Kind::String => {
                if let Some((_, slot)) = slot {
                    *slot = decode(reader.raw(value)).into_owned();
                }
            }
            Kind::Null => {}
            _ if slot.is_some() || is_operation => return None,
            _ => {
                reader.skip(value).ok()?;
            }
        }
        Some(())
    }
}

impl Operation {
    const WORDS: [(Self, &'static str); 14] = [
        (Self::Plan, "OperationTypePlan"),
        (Self::Apply, "OperationTypeApply"),
        (Self::Refresh, "OperationTypeRefresh"),
        (Self::Invalid, "OperationTypeInvalid"),
        (Self::Init, "init"),
        (Self::WorkspaceNew, "workspace-new"),
        (Self::StatePush, "state-push"),
        (Self::StateMv, "state-mv"),
        (Self::StateRm, "state-rm"),
        (Self::StateReplaceProvider, "state-replace-provider"),
        (Self::Taint, "taint"),
        (Self::Untaint, "untaint"),
        (Self::MigrationSource, "migration source state"),
        (Self::MigrationDestination, "migration destination state"),
    ];

    /// The operation that `words` name.
    pub fn parse(words: &str) -> Self {
        let known = Self::WORDS.into_iter().find(|(_, known)| *known == words);
        known.map_or_else(|| Self::Other(words.to_owned()), |(operation, _)| operation)
    }

    /// The words of the lock body.
    pub fn as_str(&self) -> &str {
        if let Self::Other(words) = self {
            return words;
        }
        Self::WORDS.iter().find(|(known, _)| known == self).map_or("", |(_, words)| words)
    }

    /// Whether this command means to put another state in the place of the stored one, so that a
    /// lower serial or another lineage is its purpose and no accident.
    pub fn replaces_state(&self) -> bool {
        matches!(self, Self::StatePush | Self::MigrationSource | Self::MigrationDestination)
    }
}

impl Default for Operation {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
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
        assert_eq!(lock.operation, Operation::Plan);
        assert_eq!(lock.who, "root@vm");
        assert_eq!(lock.version, "1.11.4");
        assert_eq!(lock.created, "2026-11-21T20:35:06.667920919Z");
        assert_eq!(lock.path, "tfstate/app/terraform.tfstate");
        assert_eq!(serde_json::to_string(&lock).unwrap(), REAL);
    }

    #[test]
    fn what_is_a_lock() {
        let rows = [
            (r#"{"ID":"abc"}"#, Some("abc")),
            (r#"{"ID":"abc","Extra":{"ID":[1]}}"#, Some("abc")),
            (r#"{"id":"abc"}"#, Some("abc")),
            (r#"{"ID":"abc","iD":"def"}"#, Some("def")),
            (r#"{"ID":"abc","ID":null}"#, Some("abc")),
            (r#"{"\u0049D":"abc"} "#, Some("abc")),
            (r#"{"ID":""}"#, None),
            (r#"{"ID":1}"#, None),
            (r#"{"ID":"abc","Who":[]}"#, None),
            (r#"{"ID":"abc","Operation":7}"#, None),
            (r#"{"ID":"abc"}x"#, None),
            (r#"{"ID":"abc""#, None),
            (r#"{"Operation":"x"}"#, None),
            (r#"[]"#, None),
            ("", None),
            ("not json", None),
        ];
        for (body, id) in rows {
            assert_eq!(Lock::parse(body.as_bytes()).as_ref().map(|lock| &*lock.id), id, "{body}");
        }
        assert!(Lock::parse(&vec![b' '; LOCK_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn operations_keep_their_words() {
        for (operation, words) in Operation::WORDS {
            assert_eq!(Operation::parse(words), operation);
            assert_eq!(operation.as_str(), words);
        }
        let other = Operation::parse("workspace_delete");
        assert_eq!(other, Operation::Other("workspace_delete".to_owned()));
        assert_eq!(other.to_string(), "workspace_delete");
        let replacing = Operation::WORDS.into_iter().filter(|(known, _)| known.replaces_state());
        let words: Vec<_> = replacing.map(|(_, words)| words).collect();
        assert_eq!(words, ["state-push", "migration source state", "migration destination state"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = Lock::parse(&body);
        }

        #[test]
        fn any_text_is_read_back(id in ".+", who: String, operation: String) {
            let body = serde_json::json!({ "ID": id, "Who": who, "Operation": operation });
            let lock = Lock::parse(body.to_string().as_bytes()).unwrap();
            prop_assert_eq!((lock.id, lock.who), (id, who));
            prop_assert_eq!(lock.operation.as_str(), operation);
        }
    }
}
