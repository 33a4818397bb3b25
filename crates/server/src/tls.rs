//! TLS with a certificate that can be replaced while the server runs.
//!
//! A pair of files that does not load, or whose key does not belong to its certificate, never
//! replaces one that works. This file knows files and rustls; it knows no sockets and no HTTP.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate_facts::CertificateFacts;
use crate::config::TlsFiles;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not PEM, or has no certificate or no key in it.
    #[error("{path}: {reason}")]
    Pem {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is of no kind that is supported, or belongs to another certificate.
    #[error("certificate and key: {0}")]
    Pair(#[from] rustls::Error),
}

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

/// Whether a file changed is told by its time, length and inode, not by its content: the poll is
/// cheap, and a file that is renamed into place counts as well.
type Fingerprint = [Option<(SystemTime, u64, u64)>; 2];

impl Certificate {
    /// Loads the files.
    ///
    /// # Errors
    /// See [`TlsError`]; a server does not start without a certificate that works.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Taken before the files are read: a change in between is seen by the next poll.
        let fingerprint = fingerprint(&files);
        let key = read_pair(&files, &provider)?;
        let current = RwLock::new(Loaded { key, fingerprint });
        Ok(Arc::new(Self { files, provider, current }))
    }

    /// Reads the files again and takes them over if they work; keeps the old ones otherwise.
    ///
    /// # Errors
    /// What is wrong with the new files.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fingerprint = fingerprint(&self.files);
        let read = read_pair(&self.files, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Also of a bad pair, so that the poll complains once per change and not every time.
        current.fingerprint = fingerprint;
        current.key = read?;
        Ok(())
    }

    /// What the server's own certificate says; none where it is not read.
    pub(crate) fn facts(&self) -> Option<CertificateFacts> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        CertificateFacts::of(current.key.cert.first()?)
    }

    /// Whether the files look different from when they were last read.
    pub fn is_outdated(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.fingerprint != fingerprint(&self.files)
    }

    /// A configuration whose handshakes use the certificate of the moment, HTTP/2 preferred.
    ///
    /// # Errors
    /// Never with the built-in provider; rustls checks that its versions and suites fit.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(current.key.clone())
    }
}

fn fingerprint(files: &TlsFiles) -> Fingerprint {
    [&files.cert, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    })
}

fn read_pair(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(&files.cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem(&files.cert, &error))?;
    if chain.is_empty() {
        return Err(pem(&files.cert, &"has no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|error| pem(&files.key, &error))?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, provider)?))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.display().to_string(), source })
}

fn pem(path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::Pem { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        cert: String,
        key: String,
    }

    fn generate() -> Pair {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Pair { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn current(certificate: &Certificate) -> Vec<u8> {
        certificate.current.read().unwrap().key.cert[0].to_vec()
    }

    #[test]
    fn a_good_pair_replaces_and_a_bad_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            cert: directory.path().join("cert.pem"),
            key: directory.path().join("key.pem"),
        };
        let (first, second, other) = (generate(), generate(), generate());
        let put = |cert: &str, key: &str| {
            fs::write(&files.cert, cert).unwrap();
            fs::write(&files.key, key).unwrap();
        };
        put(&first.cert, &first.key);
        let certificate = Certificate::load(files.clone()).unwrap();
        let before = current(&certificate);
        let bad = [
            ("not PEM", second.key.as_str()),
            (&second.cert, "not PEM"),
            (&second.cert, &other.key),
            ("", ""),
        ];
        for (cert, key) in bad {
            put(cert, key);
            assert!(certificate.is_outdated());
            certificate.reload().unwrap_err();
            assert!(!certificate.is_outdated(), "a bad pair is complained about once");
            assert_eq!(current(&certificate), before);
        }
        put(&second.cert, &second.key);
        fs::remove_file(&files.key).unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Read { .. })));
        put(&second.cert, &second.key);
        certificate.reload().unwrap();
        assert_ne!(current(&certificate), before);
    }
}
