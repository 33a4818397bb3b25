//! Files for the owner's eyes only: written whole or not at all, and refused when others can read
//! them.
//!
//! A credential of systemd has mode 0440 where an access list names the one user that may read it: what
//! looks like the group's right is the list's mask. Nobody else reaches its directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Only the owner may read a file.
const FILE_MODE: u32 = 0o600;
/// Only the owner may look into a directory.
const DIRECTORY_MODE: u32 = 0o700;
/// Bits that must not be set.
const MODE_OF_OTHERS: u32 = 0o077;
/// The same of a credential of systemd.
const MODE_OF_OTHERS_OF_CREDENTIAL: u32 = 0o037;
/// Names the directory in which systemd hands credentials to a service (systemd.exec(5)).
pub(crate) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The text of the file at `path`; `None` when there is no such file.
///
/// # Errors
/// The file cannot be read, or is open to other users.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    let credentials = std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from);
    read_of_service(path, credentials.as_deref())
}

/// The same for a service whose credentials are in this directory.
fn read_of_service(path: &Path, credentials: Option<&Path>) -> io::Result<Option<String>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path, &error)),
    };
    let refused = match credentials.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if path.parent() == Some(directory) => MODE_OF_OTHERS_OF_CREDENTIAL,
        Some(_) | None => MODE_OF_OTHERS,
    };
    if metadata.permissions().mode() & refused != 0 {
        let reason = format!("{} is open to other users; chmod 600 it", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    fs::read_to_string(path).map(Some).map_err(|error| at(path, &error))
}

/// Puts `text` at `path`, durably; what was there is replaced.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    write_in_place(&temporary, text).map_err(|error| at(&temporary, &error))?;
    fs::rename(&temporary, path).map_err(|error| at(path, &error))?;
    sync_name(path)
}

/// Puts `text` at `path`, durably, if there is nothing: of several at once, one succeeds.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is a file; others when the directory cannot be written.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    // A name of this process alone: whoever writes a shared one may be in the middle of it.
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    write_in_place(&temporary, text).map_err(|error| at(&temporary, &error))?;
    let linked = fs::hard_link(&temporary, path).map_err(|error| at(path, &error));
    fs::remove_file(&temporary).map_err(|error| at(&temporary, &error))?;
    linked?;
    sync_name(path)
}

/// Makes the directory at `path` and what is above it, if they are missing, durably: what is synced
/// in a directory is lost with the directory's own name.
///
/// # Errors
/// It cannot be made.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE).create(path).map_err(|error| at(path, &error))?;
    missing.into_iter().try_for_each(|made| sync_name(made).map_err(|error| at(made, &error)))
}

/// The file at `path`, made if it is missing, locked until it is dropped; `None` when another
/// process, or this one, has it.
///
/// # Errors
/// It cannot be made or locked.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.open(path).map_err(|error| at(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at(path, &error)),
    }
}

/// Syncs the directory that `path` is an entry of.
fn sync_name(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn write_in_place(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    // The mode above counts only for a new file; a leftover may have any.
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The same error, naming the file.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_as_deep_as_needed_and_files_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        for _ in 0..2 {
            create_directory(&path).unwrap();
        }
        let file = path.join("lock");
        let held = lock(&file).unwrap().unwrap();
        assert!(lock(&file).unwrap().is_none());
        drop(held);
        assert!(lock(&file).unwrap().is_some());
    }

    #[test]
    fn what_is_written_is_private_and_what_is_open_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert_eq!(read(&path).unwrap(), None);
        fs::write(path.with_extension("new"), "a leftover that others can read").unwrap();
        write(&path, "first").unwrap();
        write(&path, "second").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        assert_eq!(create(&path, "third").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        create(&directory.path().join("other"), "new").unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn whose_eyes_a_file_is_for() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, other) = (directory.path(), Path::new("/run/credentials/other.service"));
        let rows = [
            (0o600, None, true),
            (0o400, Some(other), true),
            (0o440, None, false),
            (0o440, Some(other), false),
            (0o440, Some(Path::new("")), false),
            (0o440, Some(ours), true),
            (0o400, Some(ours), true),
            (0o460, Some(ours), false),
            (0o444, Some(ours), false),
            (0o441, Some(ours), false),
        ];
        let path = ours.join("keyring");
        fs::write(&path, "text").unwrap();
        for (mode, credentials, is_read) in rows {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = read_of_service(&path, credentials);
            assert_eq!(read.is_ok(), is_read, "{mode:o} {credentials:?}: {read:?}");
        }
    }
}
