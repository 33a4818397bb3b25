//! Key pairs that the server itself makes and keeps in the data directory, readable by its owner
//! only.
//!
//! The file has the form of the AWS shared credentials file, so `AWS_SHARED_CREDENTIALS_FILE` can
//! name it. This file knows neither users nor buckets.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use tidelock_store::Entropy;

use crate::config::{RootCredentials, Secret};
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

/// Root's pair: the configured one, else the stored one, else a new one that is stored.
///
/// # Errors
/// The file cannot be read or written, or is not a credentials file.
pub fn root(
    configured: Option<RootCredentials>,
    data: &Path,
    entropy: &dyn Entropy,
) -> io::Result<Root> {
    if let Some(credentials) = configured {
        return Ok(Root { credentials, generated: None });
    }
    let path = data.join(ROOT_FILE);
    let (pair, generated) = match read(&path)? {
        Some(pair) => (pair, None),
        None => {
            let pair = KeyPair {
                access_key: random_access_key(entropy),
                secret_key: Secret::new(random_secret(entropy)),
            };
            write(&path, &pair)?;
            (pair, Some(path))
        }
    };
    let credentials = RootCredentials { access_key: pair.access_key, secret_key: pair.secret_key };
    Ok(Root { credentials, generated })
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

    #[test]
    fn the_first_start_generates_and_the_second_reads() {
        let data = tempfile::tempdir().unwrap();
        let entropy = tidelock_store::SystemEntropy::new();
        let first = root(None, data.path(), &entropy).unwrap();
        let path = first.generated.unwrap();
        assert!(path.is_file());
        let second = root(None, data.path(), &entropy).unwrap();
        assert!(second.generated.is_none());
        assert_eq!(first.credentials, second.credentials);
        assert_eq!(first.credentials.access_key.len(), 20);
        assert_eq!(first.credentials.secret_key.expose().len(), 40);
    }

    #[test]
    fn configured_credentials_leave_no_file() {
        let data = tempfile::tempdir().unwrap();
        let given = RootCredentials {
            access_key: "root".into(),
            secret_key: Secret::new("password".into()),
        };
        let entropy = tidelock_store::SystemEntropy::new();
        let found = root(Some(given.clone()), data.path(), &entropy).unwrap();
        assert_eq!(found.credentials, given);
        assert!(!data.path().join(ROOT_FILE).exists());
    }

    #[test]
    fn a_broken_file_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(ROOT_FILE);
        private_file::write(&path, "aws_access_key_id = x\n").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
