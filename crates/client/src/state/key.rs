//! Where the S3 backend keeps a state and its lock.

/// Before the workspace in a key: the backend's `workspace_key_prefix`, unless it is set.
pub(crate) const WORKSPACE_KEY_PREFIX: &str = "env:/";

/// The workspace that is always there; its key is the backend's `key` itself.
pub(crate) const DEFAULT_WORKSPACE: &str = "default";

/// After the key of a state in that of its lock, with `use_lockfile = true`.
const LOCK_SUFFIX: &str = ".tflock";

/// The workspace whose state is at `key`: `dev` of `env:/dev/app.tfstate`. A `workspace_key_prefix` of
/// the user's own cannot be told from a folder, and counts as one.
pub fn workspace(key: &str) -> &str {
    taken_apart(key).0
}

/// The workspace whose state is at `key`, and the backend's `key`.
pub(crate) fn taken_apart(key: &str) -> (&str, &str) {
    key.strip_prefix(WORKSPACE_KEY_PREFIX)
        .and_then(|rest| rest.split_once('/'))
        .filter(|(name, key)| !name.is_empty() && !key.is_empty())
        .unwrap_or((DEFAULT_WORKSPACE, key))
}

/// Where the state of `workspace` is, with this `key` in the backend.
pub(crate) fn in_workspace(workspace: &str, key: &str) -> String {
    match workspace {
        DEFAULT_WORKSPACE => key.to_owned(),
        name => format!("{WORKSPACE_KEY_PREFIX}{name}/{key}"),
    }
}

/// The key of the lock of the state at `key`.
pub(crate) fn lock_key(key: &str) -> String {
    format!("{key}{LOCK_SUFFIX}")
}

/// Whether a lock can be at `key`.
pub(crate) fn is_lock(key: &str) -> bool {
    locked_key(key, "").is_some()
}

/// The key of the state that the lock at `key` locks; none if no lock can be there, and where that key
/// does not begin with `prefix`, as that of the lock does.
pub(crate) fn locked_key<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_suffix(LOCK_SUFFIX).filter(|key| !key.is_empty() && key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_part_of_the_key() {
        let rows = [
            ("app.tfstate", "default"),
            ("env:/dev/app.tfstate", "dev"),
            ("env:/dev/net/app.tfstate", "dev"),
            ("env:/dev", "default"),
            ("env:/dev/", "default"),
            ("env://app.tfstate", "default"),
            ("x/env:/dev/app.tfstate", "default"),
        ];
        for (key, name) in rows {
            assert_eq!(workspace(key), name, "{key}");
            let (workspace, rest) = taken_apart(key);
            assert_eq!(in_workspace(workspace, rest), key);
        }
    }

    #[test]
    fn locks_stand_beside_their_states() {
        let key = lock_key("env:/dev/k");
        let rows = [
            (key.as_str(), "", Some("env:/dev/k")),
            (&key, "env:/dev/k", Some("env:/dev/k")),
            (&key, "env:/dev/k.tf", None),
            ("k.tfstate", "", None),
            (".tflock", "", None),
        ];
        for (key, prefix, expected) in rows {
            assert_eq!(locked_key(key, prefix), expected, "{key} {prefix}");
        }
        assert!(is_lock(&key) && !is_lock("k.tfstate") && !is_lock(".tflock"));
    }
}
