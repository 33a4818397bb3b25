//! A provider's discovery document: where its keys are
//! (<https://openid.net/specs/openid-connect-discovery-1_0.html>).

use thiserror::Error;

use super::json::Object;

/// The longest discovery document, in bytes.
pub const DISCOVERY_BYTES_MAX: usize = 64 << 10;
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const URL_BYTES_MAX: usize = 2048;

/// What a provider says of itself, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where its keys are: an `https` URL, or `http` where the issuer itself is.
    pub jwks_uri: String,
}

/// Why a document is not the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidDiscovery {
    /// Longer than [`DISCOVERY_BYTES_MAX`].
    #[error("the discovery document is longer than 65536 bytes")]
    TooLarge,
    /// No JSON object with `issuer` and `jwks_uri`.
    #[error("the discovery document lacks issuer or jwks_uri, or is no JSON object")]
    Malformed,
    /// It is another issuer's.
    #[error("the discovery document names another issuer")]
    OtherIssuer,
    /// The keys' address is no URL of at least the issuer's security.
    #[error("the jwks_uri is no https URL")]
    InsecureKeys,
}

/// Where the discovery document of `issuer` is.
pub fn discovery_url(issuer: &str) -> String {
    format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))
}

impl Discovery {
    /// Reads the document found at [`discovery_url`] of `issuer`.
    ///
    /// # Errors
    ///
    /// [`InvalidDiscovery`]. The issuer must be the very same text (Discovery §4.3): otherwise one
    /// provider could pass for another.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, InvalidDiscovery> {
        if document.len() > DISCOVERY_BYTES_MAX {
            return Err(InvalidDiscovery::TooLarge);
        }
        let document = Object::parse(document).ok_or(InvalidDiscovery::Malformed)?;
        let text = |name| document.text(name).ok_or(InvalidDiscovery::Malformed);
        let (named, jwks_uri) = (text("issuer")?, text("jwks_uri")?);
        if named != issuer {
            return Err(InvalidDiscovery::OtherIssuer);
        }
        let is_secure = jwks_uri.starts_with("https://")
            || (issuer.starts_with("http://") && jwks_uri.starts_with("http://"));
        let is_plain =
            jwks_uri.len() <= URL_BYTES_MAX && jwks_uri.bytes().all(|byte| byte.is_ascii_graphic());
        if is_secure && is_plain {
            Ok(Self { jwks_uri: jwks_uri.to_owned() })
        } else {
            Err(InvalidDiscovery::InsecureKeys)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, issuer: &str, expected: Result<&str, InvalidDiscovery>) {
        let parsed = Discovery::parse(document.as_bytes(), issuer).map(|it| it.jwks_uri);
        assert_eq!(parsed, expected.map(str::to_owned), "{document}");
    }

    #[test]
    fn documents_are_the_issuers_or_refused() {
        use InvalidDiscovery as No;
        let document = |issuer: &str, keys: &str| {
            format!("{{\"issuer\":\"{issuer}\",\"jwks_uri\":\"{keys}\",\"more\":[1]}}")
        };
        let (issuer, keys) = ("https://id.test/realm", "https://id.test/keys");
        check(&document(issuer, keys), issuer, Ok(keys));
        check(&document("https://id.test/realm/", keys), issuer, Err(No::OtherIssuer));
        check(&document("https://other.test", keys), issuer, Err(No::OtherIssuer));
        check(&document(issuer, "http://id.test/keys"), issuer, Err(No::InsecureKeys));
        check(&document(issuer, "file:///etc/passwd"), issuer, Err(No::InsecureKeys));
        check(&document(issuer, "https://id.test/a b"), issuer, Err(No::InsecureKeys));
        let local = "http://localhost:8080";
        check(&document(local, "http://localhost:8080/k"), local, Ok("http://localhost:8080/k"));
        check("{}", issuer, Err(No::Malformed));
        check("[]", issuer, Err(No::Malformed));
        check(&" ".repeat(DISCOVERY_BYTES_MAX + 1), issuer, Err(No::TooLarge));
    }

    #[test]
    fn documents_have_one_address() {
        for issuer in ["https://id.test/realm", "https://id.test/realm/"] {
            assert_eq!(
                discovery_url(issuer),
                "https://id.test/realm/.well-known/openid-configuration"
            );
        }
    }
}
