//! TLS to the database: which certificates it may have. They are verified whenever TLS is used.
//!
//! libpq's `require` encrypts without asking whom to; a server that hands out locks does not.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::ConnectError;
use super::url::{SslMode, Target};

/// Makes TLS connections to the hosts of `target`.
///
/// # Errors
///
/// [`ConnectError::Tls`] when the file with the roots cannot be read or has none.
pub(super) fn connector(target: &Target) -> Result<MakeRustlsConnect, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?
        .with_root_certificates(roots(target)?)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(target: &Target) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &target.ssl_root {
        let wrong = |why: String| ConnectError::Tls(format!("{}: {why}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("has no certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    } else if target.hosts.iter().any(|host| target.ssl_mode(host) != SslMode::Disable) {
        // Not read without need: it takes tens of milliseconds.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(roots)
}
