//! What a certificate says of itself, for operators: the names it is for, and when it ends. Nothing is
//! verified here.

use tidelock_meta::UnixMillis;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// Host names and addresses that it is for.
    pub(crate) names: Vec<String>,
    /// When it begins to be valid.
    pub(crate) begins_ms: UnixMillis,
    /// When it ends.
    pub(crate) ends_ms: UnixMillis,
}

impl CertificateFacts {
    /// The facts of a certificate in DER; none where it is not read.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let alternatives = certificate.get::<SubjectAltName>().ok().flatten();
        let names = alternatives.map(|(_, names)| names.0).unwrap_or_default();
        let mut names: Vec<String> = names.iter().filter_map(name).collect();
        if names.is_empty() {
            names.push(certificate.subject.to_string());
        }
        let validity = certificate.validity;
        let ms = |time: x509_cert::time::Time| {
            UnixMillis::try_from(time.to_unix_duration().as_millis()).ok()
        };
        Some(Self { names, begins_ms: ms(validity.not_before)?, ends_ms: ms(validity.not_after)? })
    }
}

/// A name that a client may ask for; others are nobody's here.
fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => {
                let bytes: [u8; 16] = bytes.try_into().ok()?;
                Some(std::net::Ipv6Addr::from(bytes).to_string())
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_end_are_read() {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut parameters = rcgen::CertificateParams::new(names.clone()).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = parameters.self_signed(&key).unwrap();
        let facts = CertificateFacts::of(made.der()).unwrap();
        assert_eq!(facts.names, names);
        assert_eq!((facts.begins_ms, facts.ends_ms), (1_767_225_600_000, 1_798_761_600_000));
        assert_eq!(CertificateFacts::of(b"no certificate"), None);
    }
}
