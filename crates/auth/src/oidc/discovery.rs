//! A provider's discovery document: where its keys are, and where people sign in
//! (<https://openid.net/specs/openid-connect-discovery-1_0.html>).

use serde_json::Value;
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
    /// Where people sign in: a URL of the same security; none where nobody can, or it has less.
    pub authorization_endpoint: Option<String>,
    /// Where a code is exchanged for tokens, likewise.
    pub token_endpoint: Option<String>,
    /// Whether clients prove themselves there in the header (`client_secret_basic`), which is so where the
    /// document does not say, or else in the form (`client_secret_post`).
    pub takes_basic: bool,
    /// Whether it names itself in each answer to a browser (RFC 9207).
    pub names_itself: bool,
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
        if !is_safe(jwks_uri, issuer) {
            return Err(InvalidDiscovery::InsecureKeys);
        }
        let endpoint = |name| {
            let url = document.text(name).filter(|url| is_safe(url, issuer));
            url.map(str::to_owned)
        };
        let methods = document.get("token_endpoint_auth_methods_supported");
        let methods = methods.and_then(Value::as_array);
        let names_itself = document.get("authorization_response_iss_parameter_supported");
        Ok(Self {
            jwks_uri: jwks_uri.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint"),
            token_endpoint: endpoint("token_endpoint"),
            takes_basic: methods.is_none_or(|all| all.iter().any(|it| it == "client_secret_basic")),
            names_itself: names_itself.and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// Whether `url` has at least the security of the issuer's.
fn is_safe(url: &str, issuer: &str) -> bool {
    let is_secure = url.starts_with("https://")
        || (issuer.starts_with("http://") && url.starts_with("http://"));
    is_secure && url.len() <= URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
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
    fn where_people_sign_in_is_told_as_far_as_it_is_safe() {
        let endpoint = "https://id.test/a?p=1";
        // Members of the document; the endpoint, whether it takes the header, whether it names itself.
        let rows = [
            ("", None, true, false),
            (r#","authorization_endpoint":"https://id.test/a?p=1""#, Some(endpoint), true, false),
            (r#","authorization_endpoint":"http://id.test/a""#, None, true, false),
            (r#","authorization_endpoint":"javascript:alert(1)""#, None, true, false),
            (r#","authorization_endpoint":7"#, None, true, false),
            (
                r#","token_endpoint_auth_methods_supported":["client_secret_post"]"#,
                None,
                false,
                false,
            ),
            (
                r#","token_endpoint_auth_methods_supported":["x","client_secret_basic"]"#,
                None,
                true,
                false,
            ),
            (r#","authorization_response_iss_parameter_supported":true"#, None, true, true),
        ];
        for (members, endpoint, takes_basic, names_itself) in rows {
            let document = format!(
                r#"{{"issuer":"https://id.test","jwks_uri":"https://id.test/keys"{members}}}"#
            );
            let read = Discovery::parse(document.as_bytes(), "https://id.test").unwrap();
            let seen =
                (read.authorization_endpoint.as_deref(), read.takes_basic, read.names_itself);
            assert_eq!(seen, (endpoint, takes_basic, names_itself), "{members}");
        }
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
