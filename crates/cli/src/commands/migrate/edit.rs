//! `migrate s3 --edit`: a Terraform file whose backend block follows the states.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tidelock_client::migrate::{BackendEdit, PrefixKeys, edit_backend};
use tidelock_server::backend_block::Backend;

use crate::connect::{Session, endpoint_kind};
use crate::exit::Failure;

/// After the name of a file in that of its backup.
const BACKUP_SUFFIX: &str = ".backup";
/// After its name, while it is written.
const NEW_SUFFIX: &str = ".new";

/// A file as it was, and as it will be.
pub(super) struct FileEdit {
    path: PathBuf,
    before: String,
    after: String,
}

impl FileEdit {
    /// Reads the file and changes nothing; refuses one that cannot be edited.
    pub(super) async fn look(
        path: &Path,
        session: &Session,
        (old_bucket, bucket): (&str, &str),
        keys: &PrefixKeys,
    ) -> Result<Self, Failure> {
        let before = crate::commands::read(path)?;
        let settings = session.client.settings();
        let backend = Backend {
            bucket: bucket.to_owned(),
            region: settings.region.clone(),
            endpoint: settings.endpoint.to_string().trim_end_matches('/').to_owned(),
            kind: endpoint_kind(&session.client).await?,
        };
        let edit = BackendEdit {
            old_bucket,
            bucket,
            region: &backend.region,
            endpoint: &backend.endpoint,
            services: backend.services(),
            switches: &backend.switches(),
        };
        let after = edit_backend(&before, &edit, |key| keys.key(key))
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let edit = Self { path: path.to_owned(), before, after };
        let backup = edit.beside(BACKUP_SUFFIX);
        match backup.try_exists() {
            Ok(false) => Ok(edit),
            Ok(true) => Err(Failure::exists(&backup.display().to_string())),
            Err(error) => Err(named(&backup, &error)),
        }
    }

    /// Says what would be done.
    pub(super) fn tell(&self) {
        eprintln!("tidelock: would write {}:\n{}", self.path.display(), self.after);
    }

    /// Keeps the file as it was beside it, and puts the new one in its place.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let (backup, new) = (self.beside(BACKUP_SUFFIX), self.beside(NEW_SUFFIX));
        create(&backup, &self.before).map_err(|error| named(&backup, &error))?;
        let written = create(&new, &self.after)
            .and_then(|()| fs::set_permissions(&new, fs::metadata(&self.path)?.permissions()))
            .and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|error| named(&self.path, &error))?;
        eprintln!(
            "tidelock: {} names the new backend, {} is as it was; go on with `terraform init -reconfigure`",
            self.path.display(),
            backup.display()
        );
        Ok(())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        name.into()
    }
}

/// A file that was not there.
fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn named(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(&format!("{}: {error}", path.display()))
}
