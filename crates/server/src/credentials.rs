//! Key pairs that the server itself makes and keeps in the data directory, readable by its owner
//! only.
//!
//! The file has the form of the AWS shared credentials file, so `AWS_SHARED_CREDENTIALS_FILE` can
//! name it. This file knows neither users nor buckets.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use tidelock_meta::MetaStore;
use tidelock_store::{Entropy, Keyring};
use zeroize::Zeroizing;

use crate::config::{RootCredentials, Secret};
use crate::error::ServeError;
use crate::private_file;

/// Name of the file with root's generated pair in the data directory.
pub const ROOT_FILE: &str = "root-credentials";
/// What a generated root access key id begins with.
const ROOT_PREFIX: &str = "TLROOT";
/// AWS access key ids have 20 characters; the prefix is part of them.
const ACCESS_KEY_RANDOM_LENGTH: usize = 14;
/// 30 bytes are 40 characters of base64, the length of AWS secrets.
const SECRET_RANDOM_BYTES: usize = 30;
/// Base32 (RFC 4648), as in AWS's access key ids.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// A key pair as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: Secret,
}

/// Root's pair and where it came from.
#[derive(Debug)]
pub struct Root {
    /// The pair.
    pub credentials: RootCredentials,
    /// The file it was just written to, on the first start.
    pub generated: Option<PathBuf>,
}

/// Where a server keeps root's pair.
pub(crate) struct Home<'a> {
    /// The data directory.
    pub(crate) data: &'a Path,
    /// The rows and the keys of a store that several servers share.
    pub(crate) shared: Option<(&'a dyn MetaStore, &'a Keyring)>,
}

/// Root's pair: the configured one, else the stored one, else a new one that is stored: in the data
/// directory, and with a store that is shared, sealed, for the other servers.
///
/// # Errors
/// [`ServeError::Credentials`]: the file cannot be read or written, or is not a credentials file;
/// [`ServeError::Data`]: the store fails.
pub(crate) async fn root(
    configured: Option<RootCredentials>,
    home: Home<'_>,
    entropy: &dyn Entropy,
) -> Result<Root, ServeError> {
    if let Some(credentials) = configured {
        return Ok(Root { credentials, generated: None });
    }
    let path = home.data.join(ROOT_FILE);
    // In the file before it is anywhere else: a pair that only the store had would be in nobody's
    // hands.
    let (pair, generated) = match read(&path).map_err(ServeError::Credentials)? {
        Some(pair) => (pair, None),
        None => generate(&path, entropy).map_err(ServeError::Credentials)?,
    };
    let credentials = RootCredentials { access_key: pair.access_key, secret_key: pair.secret_key };
    let Some((meta, keyring)) = home.shared else { return Ok(Root { credentials, generated }) };
    let stored = share(meta, keyring, &credentials, entropy).await?;
    if stored == credentials {
        return Ok(Root { credentials, generated });
    }
    if generated.is_some() {
        // Another server's is stored; this one is nobody's.
        std::fs::remove_file(&path).map_err(ServeError::Credentials)?;
    } else {
        tracing::warn!(
            file = %path.display(),
            "root's credentials of the store are others than those of this file, which is not used"
        );
    }
    Ok(Root { credentials: stored, generated: None })
}

/// The pair that all servers of the store use: `proposed`, if there is none.
async fn share(
    meta: &dyn MetaStore,
    keyring: &Keyring,
    proposed: &RootCredentials,
    entropy: &dyn Entropy,
) -> Result<RootCredentials, ServeError> {
    let proposal = || {
        let secret = Zeroizing::new(proposed.secret_key.expose().to_owned());
        (proposed.access_key.clone(), secret)
    };
    let stored = tidelock_store::root_credentials(meta, keyring, entropy, proposal).await;
    let (access_key, secret_key) = stored.map_err(|error| ServeError::Data(error.to_string()))?;
    Ok(RootCredentials { access_key, secret_key: Secret::new(secret_key.to_string()) })
}

/// A new pair, in a new file; the file's, if there is one by now.
fn generate(path: &Path, entropy: &dyn Entropy) -> io::Result<(KeyPair, Option<PathBuf>)> {
    let pair = KeyPair {
        access_key: random_access_key(entropy),
        secret_key: Secret::new(random_secret(entropy)),
    };
    if let Some(directory) = path.parent() {
        private_file::create_directory(directory)?;
    }
    match private_file::create(path, &encode(&pair)) {
        Ok(()) => Ok((pair, Some(path.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let pair = read(path)?.ok_or(error)?;
            Ok((pair, None))
        }
        Err(error) => Err(error),
    }
}

/// The pair in the file at `path`; `None` when there is no such file.
///
/// # Errors
/// The file cannot be read, is open to others, or is not a credentials file.
pub fn read(path: &Path) -> io::Result<Option<KeyPair>> {
    let Some(text) = private_file::read(path)? else { return Ok(None) };
    decode(&text).map(Some).ok_or_else(|| {
        let reason = format!("{} is not a credentials file", path.display());
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })
}

/// Stores `pair` at `path`: whole or not at all, durably, for the owner only.
///
/// # Errors
/// The directory cannot be written.
pub fn write(path: &Path, pair: &KeyPair) -> io::Result<()> {
    private_file::write(path, &encode(pair))
}

fn encode(pair: &KeyPair) -> String {
    format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.access_key,
        pair.secret_key.expose()
    )
}

fn decode(text: &str) -> Option<KeyPair> {
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    Some(KeyPair {
        access_key: value("aws_access_key_id")?,
        secret_key: Secret::new(value("aws_secret_access_key")?),
    })
}

fn random_access_key(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; ACCESS_KEY_RANDOM_LENGTH];
    entropy.fill(&mut bytes);
    let letters = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    ROOT_PREFIX.chars().chain(letters).collect()
}

fn random_secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; SECRET_RANDOM_BYTES];
    entropy.fill(&mut bytes);
    // URL-safe: a secret that survives shells, HCL and INI files unquoted.
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(data: &Path) -> Home<'_> {
        Home { data, shared: None }
    }

    #[tokio::test]
    async fn the_first_start_generates_and_the_second_reads() {
        let data = tempfile::tempdir().unwrap();
        let entropy = tidelock_store::SystemEntropy::new();
        let first = root(None, alone(data.path()), &entropy).await.unwrap();
        let path = first.generated.unwrap();
        assert!(path.is_file());
        let second = root(None, alone(data.path()), &entropy).await.unwrap();
        assert!(second.generated.is_none());
        assert_eq!(first.credentials, second.credentials);
        assert_eq!(first.credentials.access_key.len(), 20);
        assert_eq!(first.credentials.secret_key.expose().len(), 40);
    }

    #[tokio::test]
    async fn configured_credentials_leave_no_file() {
        let data = tempfile::tempdir().unwrap();
        let given = RootCredentials {
            access_key: "root".into(),
            secret_key: Secret::new("password".into()),
        };
        let entropy = tidelock_store::SystemEntropy::new();
        let found = root(Some(given.clone()), alone(data.path()), &entropy).await.unwrap();
        assert_eq!(found.credentials, given);
        assert!(!data.path().join(ROOT_FILE).exists());
    }

    #[tokio::test]
    async fn servers_of_one_store_have_one_root() {
        let entropy = tidelock_store::SystemEntropy::new();
        let meta = tidelock_meta::memory::MemoryStore::new();
        let keyring = Keyring::parse(&Keyring::generate("1", &entropy)).unwrap();
        let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut roots = Vec::new();
        for index in [0, 1, 0] {
            let home = Home { data: data[index].path(), shared: Some((&meta, &keyring)) };
            roots.push(root(None, home, &entropy).await.unwrap());
        }
        assert!(roots.iter().all(|root| root.credentials == roots[0].credentials));
        let generated: Vec<bool> = roots.iter().map(|root| root.generated.is_some()).collect();
        assert_eq!(generated, [true, false, false]);
        assert!(data[0].path().join(ROOT_FILE).exists());
        assert!(!data[1].path().join(ROOT_FILE).exists());
    }

    #[test]
    fn a_broken_file_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(ROOT_FILE);
        private_file::write(&path, "aws_access_key_id = x\n").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
