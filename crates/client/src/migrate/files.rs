//! States in local files: of Terraform's local backend with its workspaces, and whatever else ends in
//! `.tfstate`. Links are not followed, and directories whose names begin with a dot are not entered:
//! `.terraform/terraform.tfstate` describes a backend and is no state.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use tidelock_tfstate::{DOCUMENT_BYTES_MAX, Lock};
use tokio::fs;

use super::body::{Body, too_large};
use super::history::{Event, Past};
use super::holder;
use super::key::FolderKeys;
use super::source::{SourceError, SourceState};

/// The default workspace of the local backend.
const STATE_FILE: &str = "terraform.tfstate";
/// Its other workspaces, each a directory.
const WORKSPACES_DIRECTORY: &str = "terraform.tfstate.d";
/// How files of states end.
const STATE_SUFFIX: &str = ".tfstate";
/// Directories below one another that are entered.
const DEPTH_MAX: usize = 64;

/// A directory with states.
#[derive(Clone, Debug)]
pub struct FileSource {
    directory: PathBuf,
    keys: FolderKeys,
}

impl FileSource {
    /// The states below `directory`, which get these keys.
    ///
    /// # Errors
    /// [`SourceError::File`] when there is no such directory.
    pub fn open(directory: &Path, keys: FolderKeys) -> Result<Self, SourceError> {
        let failed = |error| SourceError::File { path: directory.to_owned(), error };
        let found = directory.canonicalize().map_err(failed)?;
        if !found.is_dir() {
            return Err(failed(ErrorKind::NotADirectory.into()));
        }
        Ok(Self { directory: found, keys })
    }

    pub(super) async fn states(&self) -> Result<Vec<SourceState>, SourceError> {
        let mut states = Vec::new();
        let mut open = vec![(String::new(), 0)];
        while let Some((directory, depth)) = open.pop() {
            let path = self.directory.join(&directory);
            let failed = |error| SourceError::File { path: path.clone(), error };
            let mut entries = fs::read_dir(&path).await.map_err(failed)?;
            while let Some(entry) = entries.next_entry().await.map_err(failed)? {
                let kind = entry.file_type().await.map_err(failed)?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    let error = std::io::Error::other("its name is no UTF-8");
                    return Err(SourceError::File { path: entry.path(), error });
                };
                let path = format!("{directory}{name}");
                if kind.is_dir() && !name.starts_with('.') && depth < DEPTH_MAX {
                    open.push((format!("{path}/"), depth + 1));
                }
                if kind.is_file() && name.ends_with(STATE_SUFFIX) {
                    let (workspace, name) = workspace_of(&path);
                    let key = self.keys.key(workspace, &name);
                    states.push(SourceState { key, name: path });
                }
            }
        }
        Ok(states)
    }

    /// Who has left Terraform's description of a lock beside the state.
    pub(super) async fn holder(&self, name: &str) -> Result<Option<String>, SourceError> {
        let state = self.directory.join(name);
        let file = state.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let path = state.with_file_name(format!(".{file}.lock.info"));
        match fs::read(&path).await {
            Ok(body) => {
                let lock = Lock::parse(&body).map(Into::into).unwrap_or_default();
                Ok(Some(format!("{} ({})", holder(&lock), path.display())))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SourceError::File { path, error }),
        }
    }

    pub(super) async fn past(&self, name: &str) -> Result<Past, SourceError> {
        let path = self.directory.join(name);
        let body = Body::of(&self.read(name).await?);
        let modified = fs::metadata(&path).await.and_then(|file| file.modified());
        let modified = modified.map_err(|error| SourceError::File { path, error })?;
        let written = Timestamp::try_from(modified).map(|time| time.to_string());
        Ok(Past::of([Event {
            body: Some(body),
            version_id: None,
            written: written.unwrap_or_default(),
            migrated_from: None,
            etag: None,
        }]))
    }

    pub(super) async fn read(&self, name: &str) -> Result<Bytes, SourceError> {
        let path = self.directory.join(name);
        let read = async {
            if fs::metadata(&path).await?.len() > DOCUMENT_BYTES_MAX as u64 {
                return Err(too_large());
            }
            fs::read(&path).await
        };
        match read.await {
            Ok(bytes) => Ok(Bytes::from(bytes)),
            Err(error) => Err(SourceError::File { path, error }),
        }
    }
}

impl fmt::Display for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files in {}", self.directory.display())
    }
}

/// The workspace of a file, and its path in the default one.
fn workspace_of(path: &str) -> (&str, String) {
    let names: Vec<&str> = path.split('/').collect();
    match names.as_slice() {
        [before @ .., WORKSPACES_DIRECTORY, workspace, STATE_FILE] => {
            (workspace, [before, &[STATE_FILE]].concat().join("/"))
        }
        _ => (crate::state::key::DEFAULT_WORKSPACE, path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_directories() {
        let rows = [
            ("terraform.tfstate", "default", "terraform.tfstate"),
            ("app/prod.tfstate", "default", "app/prod.tfstate"),
            ("terraform.tfstate.d/dev/terraform.tfstate", "dev", "terraform.tfstate"),
            ("a/b/terraform.tfstate.d/dev/terraform.tfstate", "dev", "a/b/terraform.tfstate"),
            (
                "terraform.tfstate.d/terraform.tfstate",
                "default",
                "terraform.tfstate.d/terraform.tfstate",
            ),
            ("terraform.tfstate.d/dev/x.tfstate", "default", "terraform.tfstate.d/dev/x.tfstate"),
        ];
        for (path, workspace, name) in rows {
            assert_eq!(workspace_of(path), (workspace, name.to_owned()), "{path}");
        }
    }

    #[tokio::test]
    async fn only_states_are_found_and_only_below() {
        let root = tempfile::TempDir::new().unwrap();
        for path in [
            "terraform.tfstate",
            "terraform.tfstate.backup",
            "app/terraform.tfstate.d/dev/terraform.tfstate",
            "app/.terraform/terraform.tfstate",
            "app/net.tfstate",
            "app/main.tf",
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("app/around")).unwrap();
        std::fs::write(
            root.path().join("app/.net.tfstate.lock.info"),
            br#"{"ID":"7","Who":"me@host"}"#,
        )
        .unwrap();
        let source = FileSource::open(root.path(), FolderKeys::of("team")).unwrap();
        let mut found = source.states().await.unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let found: Vec<_> = found.iter().map(|it| (it.key.as_str(), it.name.as_str())).collect();
        assert_eq!(
            found,
            [
                (
                    "env:/dev/team/app/terraform.tfstate",
                    "app/terraform.tfstate.d/dev/terraform.tfstate"
                ),
                ("team/app/net.tfstate", "app/net.tfstate"),
                ("team/terraform.tfstate", "terraform.tfstate"),
            ]
        );
        let holder = source.holder("app/net.tfstate").await.unwrap().unwrap();
        assert!(holder.starts_with("me@host, ID 7 ("), "{holder}");
        assert_eq!(source.holder("terraform.tfstate").await.unwrap(), None);
        FileSource::open(&root.path().join("app/main.tf"), FolderKeys::of("")).unwrap_err();
    }
}
