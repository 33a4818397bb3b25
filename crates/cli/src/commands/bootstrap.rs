//! `tidelock bootstrap`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tidelock_client::guard::{GuardEdit, GuardLevel};
use tidelock_client::settings::Credentials;
use tidelock_client::{Client, ClientError, ErrorKind};
use tidelock_server::backend_block::{Backend, BackendKey, EndpointKind, user_name};

use crate::connect::{ChangeArgs, ClientArgs, Session, endpoint_kind};
use crate::exit::Failure;
use crate::output;

/// Make a bucket ready for Terraform states and print the backend block
///
/// Versioning, encryption and the public access block are turned on. On Tidelock its states are
/// guarded, and, as root, it gets a user and an access key of its own. Doing it again changes nothing.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The bucket
    bucket: String,
    /// Write the backend block to this file instead of printing it; never over other content
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What was made, for `-o json` and its like.
#[derive(Serialize)]
struct Bootstrapped<'a> {
    bucket: &'a str,
    region: &'a str,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<&'a str>,
    backend_block: &'a str,
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        if !self.change.is_real(&format!("make bucket {} ready for Terraform", self.bucket)) {
            return Ok(());
        }
        let kind = endpoint_kind(&session.client).await?;
        let settings = session.client.settings();
        let backend = Backend {
            bucket: self.bucket,
            region: settings.region.clone(),
            endpoint: settings.endpoint.to_string().trim_end_matches('/').to_owned(),
            kind,
        };
        let block = backend.block();
        // Looked at before anything is made, and written after the secret has been shown.
        let file = match self.write.as_deref() {
            Some(path) => Some(BlockFile::look(path, &block)?),
            None => None,
        };
        let key = if kind == EndpointKind::Tidelock && is_root(&session.client).await? {
            as_root(&session.client, &backend.bucket).await?
        } else {
            ensure_bucket(&session.client, &backend.bucket).await?;
            if kind == EndpointKind::Tidelock {
                guard(&session.client, &backend.bucket).await?;
            }
            None
        };
        print(&session, &backend, key.as_ref(), &block, file.is_some())?;
        file.map_or(Ok(()), |file| file.write(&block))
    }
}

/// Only root may list users.
async fn is_root(client: &Client) -> Result<bool, Failure> {
    match client.list_users().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("AccessDenied") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Root makes the user, and the user makes its bucket, so that it owns it; one that is there is made
/// ready by root, and the user must have been let in. A secret can be shown only when its key is made:
/// the next time there is none to show.
async fn as_root(root: &Client, bucket: &str) -> Result<Option<Credentials>, Failure> {
    // First of all: a name that is none must not leave a user behind.
    let has_bucket = root.has_bucket(bucket).await?;
    if has_bucket {
        configure(root, bucket).await?;
        guard(root, bucket).await?;
    }
    let user = user_name(bucket);
    let is_new = match root.create_user(&user).await {
        Ok(_) => true,
        Err(error) if error.code() == Some("UserExists") => false,
        Err(error) => return Err(error.into()),
    };
    let has_key = !root.list_keys(Some(&user)).await?.is_empty();
    if has_key && has_bucket {
        eprintln!(
            "tidelock: {user} has a key already, whose secret cannot be shown again: none is printed; \
             `tidelock key create --user {user}` makes another"
        );
        return Ok(None);
    }
    let made = root.create_key(&user, None).await?;
    let credentials = Credentials {
        access_key_id: made.access_key_id,
        secret_access_key: made.secret_access_key,
        session_token: None,
    };
    let owner = root.with_credentials(credentials.clone());
    let settled = if has_bucket {
        require_access(&owner, bucket, &user).await
    } else {
        make_guarded(&owner, bucket).await
    };
    if let Err(failure) = settled {
        // Nobody will see its secret. The first failure is the one to tell.
        let _unreported = root.delete_key(&credentials.access_key_id).await;
        if is_new {
            let _unreported = root.delete_user(&user).await;
        }
        return Err(failure);
    }
    Ok(Some(credentials))
}

async fn make_guarded(owner: &Client, bucket: &str) -> Result<(), Failure> {
    ensure_bucket(owner, bucket).await?;
    guard(owner, bucket).await
}

/// Whether the user of a bucket may use it, which somebody else may have made.
async fn require_access(client: &Client, bucket: &str, user: &str) -> Result<(), Failure> {
    match client.has_bucket(bucket).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Denied => Err(Failure::access_denied(&format!(
            "another identity owns the bucket {bucket}, which is ready for states now, and {user} \
             may not use it; let it: `tidelock user create {user}`, `tidelock user policy put {user} \
             applier --preset applier --bucket {bucket}`, and run this again"
        ))),
        Err(error) => Err(error.into()),
    }
}

async fn ensure_bucket(client: &Client, bucket: &str) -> Result<(), Failure> {
    // Looked for first: in us-east-1 AWS answers a second CreateBucket with success.
    if !client.has_bucket(bucket).await? {
        match client.create_bucket(bucket).await {
            Ok(()) => {}
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => {}
            Err(error) => return Err(error.into()),
        }
    }
    configure(client, bucket).await?;
    Ok(())
}

async fn configure(client: &Client, bucket: &str) -> Result<(), ClientError> {
    client.enable_versioning(bucket).await?;
    client.enable_encryption(bucket).await?;
    client.block_public_access(bucket).await
}

/// Guards the states, unless it is said already how they are.
async fn guard(client: &Client, bucket: &str) -> Result<(), Failure> {
    if client.bucket_guard(bucket).await?.is_none() {
        client.edit_guard(bucket, &GuardEdit::all(GuardLevel::Enforce)).await?;
    }
    Ok(())
}

/// Where the block goes with `--write`: never over a file that says something else.
struct BlockFile<'a> {
    path: &'a Path,
    is_written: bool,
}

impl<'a> BlockFile<'a> {
    fn look(path: &'a Path, block: &str) -> Result<Self, Failure> {
        match std::fs::read(path) {
            Ok(found) if found == block.as_bytes() => Ok(Self { path, is_written: true }),
            Ok(_) => Err(Failure::exists(&format!("{}, with other content,", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { path, is_written: false })
            }
            Err(error) => Err(named(path, &error)),
        }
    }

    fn write(self, block: &str) -> Result<(), Failure> {
        if self.is_written {
            return Ok(());
        }
        let created = std::fs::File::create_new(self.path);
        let written = created.and_then(|mut file| file.write_all(block.as_bytes()));
        written.map_err(|error| named(self.path, &error))
    }
}

fn named(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(&format!("{}: {error}", path.display()))
}

fn print(
    session: &Session,
    backend: &Backend,
    key: Option<&Credentials>,
    block: &str,
    written: bool,
) -> Result<(), Failure> {
    let key = key.map(|key| BackendKey {
        access_key_id: &key.access_key_id,
        secret_access_key: &key.secret_access_key,
    });
    let environment = backend.environment(key);
    let text = if written { environment } else { format!("{block}\n{environment}") };
    let document = Bootstrapped {
        bucket: &backend.bucket,
        region: &backend.region,
        endpoint: &backend.endpoint,
        access_key_id: key.map(|key| key.access_key_id),
        secret_access_key: key.map(|key| key.secret_access_key),
        backend_block: block,
    };
    output::text_or(session.format, &text, &document)
}
