//! Which key a state has at the destination. Workspaces are named as Terraform's S3 backend names them:
//! `env:/WORKSPACE/KEY`, with the prefix in KEY.

use crate::state::key::{DEFAULT_WORKSPACE, WORKSPACE_KEY_PREFIX, in_workspace, taken_apart};

/// Keys below a folder, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderKeys {
    /// Empty, or with a slash at its end.
    folder: String,
}

/// Keys of another bucket, where a prefix may take the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixKeys {
    from: String,
    /// None where keys stay as they are.
    to: Option<String>,
}

impl FolderKeys {
    /// Keys below `folder`.
    pub fn of(folder: &str) -> Self {
        Self { folder: as_folder(folder) }
    }

    /// The key of `name` in a workspace.
    pub(super) fn key(&self, workspace: &str, name: &str) -> String {
        in_workspace(workspace, &format!("{}{name}", self.folder))
    }
}

impl PrefixKeys {
    /// The keys that begin with `from`, below `to` if there is one; else they stay as they are.
    pub fn of(from: &str, to: &str) -> Self {
        let is_folder = from.is_empty() || from.ends_with('/');
        let to = match to {
            "" => None,
            to if is_folder => Some(as_folder(to)),
            to => Some(to.to_owned()),
        };
        Self { from: from.to_owned(), to }
    }

    /// What the keys begin with that are looked at: those of workspaces begin otherwise.
    pub(super) fn listed(&self) -> Vec<&str> {
        if self.is_of_workspaces() || WORKSPACE_KEY_PREFIX.starts_with(&self.from) {
            return vec![&self.from];
        }
        vec![&self.from, WORKSPACE_KEY_PREFIX]
    }

    /// The key that `key` gets; none where it is not to be moved.
    pub fn key(&self, key: &str) -> Option<String> {
        let (workspace, name) = match taken_apart(key) {
            (workspace, name) if !self.is_of_workspaces() => (workspace, name),
            _ => (DEFAULT_WORKSPACE, key),
        };
        let rest = name.strip_prefix(&self.from)?;
        Some(match &self.to {
            None => key.to_owned(),
            Some(to) => in_workspace(workspace, &format!("{to}{rest}")),
        })
    }

    /// Whether the prefix names a workspace itself.
    fn is_of_workspaces(&self) -> bool {
        self.from.starts_with(WORKSPACE_KEY_PREFIX)
    }
}

fn as_folder(prefix: &str) -> String {
    match prefix {
        "" => String::new(),
        prefix if prefix.ends_with('/') => prefix.to_owned(),
        prefix => format!("{prefix}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stand_within_workspaces() {
        let rows = [
            ("", "default", "a.tfstate", "a.tfstate"),
            ("team", "default", "a.tfstate", "team/a.tfstate"),
            ("team/", "dev", "app/terraform.tfstate", "env:/dev/team/app/terraform.tfstate"),
        ];
        for (folder, workspace, name, expected) in rows {
            assert_eq!(FolderKeys::of(folder).key(workspace, name), expected);
        }
    }

    #[test]
    fn a_prefix_takes_the_place_of_another() {
        let rows = [
            ("", "", "a", Some("a")),
            ("", "", "env:/dev/a", Some("env:/dev/a")),
            ("", "new", "a", Some("new/a")),
            ("", "new", "env:/dev/a", Some("env:/dev/new/a")),
            ("old/", "", "old/a", Some("old/a")),
            ("old/", "", "env:/dev/old/a", Some("env:/dev/old/a")),
            ("old/", "", "other/a", None),
            ("old/", "", "env:/dev/a", None),
            ("old/", "new", "env:/dev/old/a", Some("env:/dev/new/a")),
            ("old/a", "b", "old/a.tfstate", Some("b.tfstate")),
            ("env:/dev/", "", "env:/dev/a", Some("env:/dev/a")),
            ("env:/dev/", "new", "env:/dev/a", Some("new/a")),
            ("env:/dev/", "new", "env:/prod/a", None),
        ];
        for (from, to, key, expected) in rows {
            let found = PrefixKeys::of(from, to).key(key);
            assert_eq!(found.as_deref(), expected, "{from} {to} {key}");
        }
        let rows: [(&str, &[&str]); 4] = [
            ("", &[""]),
            ("en", &["en"]),
            ("old/", &["old/", "env:/"]),
            ("env:/dev/", &["env:/dev/"]),
        ];
        for (from, listed) in rows {
            assert_eq!(PrefixKeys::of(from, "").listed(), listed);
        }
    }
}
