//! Which certificates an HTTPS endpoint may have: the machine's roots and the given bundle.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::{ClientError, Settings};

/// TLS as `settings` want it.
pub(crate) fn tls_config(settings: &Settings) -> Result<ClientConfig, ClientError> {
    let roots = match settings.endpoint.scheme_str() {
        Some("https") => MachineRoots::Trusted,
        _ => MachineRoots::NotRead,
    };
    tls_config_of(roots, settings.ca_bundle.as_deref())
}

/// Whether the certificates that the machine trusts are read, which takes tens of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineRoots {
    Trusted,
    NotRead,
}

/// TLS that trusts the machine's roots and those in `bundle`.
pub(crate) fn tls_config_of(
    machine: MachineRoots,
    bundle: Option<&Path>,
) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if machine == MachineRoots::Trusted {
        // A machine without roots still reaches an endpoint with a bundle of its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = bundle {
        let trust =
            |reason: String| ClientError::Trust { path: path.display().to_string(), reason };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(|error| trust(error.to_string()))?;
        if certificates.is_empty() {
            return Err(trust("has no certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| trust(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Trust { path: "TLS".into(), reason: error.to_string() })?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
