//! Where the provider of the console has people sign in, and the exchange of a code for an ID token.
//!
//! What the console proves itself with stays here. What the token says is not looked at.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tidelock_auth::oidc::Discovery;
use tidelock_console::{Authorization, Provider, ProviderError, Redemption};
use tidelock_meta::Clock;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::fetch::Fetcher;
use super::kept::Kept;
use crate::config::{ConsoleOidc, is_secure_url};

/// Codes of errors that are about the code, and not about the console (RFC 6749, section 5.2).
const CODE_ERRORS: [&str; 1] = ["invalid_grant"];
/// RFC 3986 unreserved characters stay: some providers do not decode what they need not.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Longest code of an error that is logged, in bytes.
const ERROR_BYTES_MAX: usize = 64;

/// The provider of the console.
pub(crate) struct SignInProvider {
    settings: ConsoleOidc,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    /// Held while it is fetched: one browser waits for the provider, the others for that one.
    discovery: Mutex<Kept<Discovery>>,
}

/// What the token endpoint answers, as far as it is looked at.
#[derive(Deserialize)]
struct Answer {
    id_token: Option<String>,
    error: Option<String>,
}

impl SignInProvider {
    /// Knows what to ask; asks nobody yet.
    pub(crate) fn new(settings: ConsoleOidc, clock: Arc<dyn Clock>) -> Self {
        Self { settings, fetcher: Fetcher::new(), clock, discovery: Mutex::default() }
    }

    async fn discovery(&self) -> Result<Arc<Discovery>, ProviderError> {
        let mut kept = self.discovery.lock().await;
        let now_ms = self.clock.now();
        if kept.is_due(now_ms, false) {
            kept.ask(now_ms);
            match self.fetcher.discovery(&self.settings.issuer).await {
                Ok(discovery) => kept.keep(discovery, now_ms),
                Err(error) => self.warn(&error),
            }
        }
        kept.still_believed(now_ms).ok_or(ProviderError::Unreachable)
    }

    async fn exchange(&self, redemption: &Redemption) -> Result<Zeroizing<String>, ProviderError> {
        let discovery = self.discovery().await?;
        let endpoint = self.endpoint(discovery.token_endpoint.as_deref(), "token_endpoint")?;
        let (authorization, form) = self.request(redemption, discovery.takes_basic);
        let answer = self.fetcher.post(endpoint, authorization, form).await;
        let (status, body) = answer.map_err(|error| {
            self.warn(&error);
            ProviderError::Unreachable
        })?;
        read(status, &body).map_err(|(error, words)| {
            self.warn(&format!("{endpoint}: {words}"));
            error
        })
    }

    /// How the console proves itself, and the form that asks for the token (RFC 6749, sections 2.3.1 and
    /// 4.1.3).
    fn request(&self, redemption: &Redemption, takes_basic: bool) -> (Option<HeaderValue>, String) {
        let ConsoleOidc { client_id, client_secret, .. } = &self.settings;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", &redemption.code),
            ("redirect_uri", &redemption.redirect_uri),
            ("code_verifier", &redemption.verifier),
        ];
        let mut authorization = None;
        match client_secret {
            Some(secret) if takes_basic => {
                authorization = basic(client_id, secret.expose());
            }
            Some(secret) => {
                fields.extend([
                    ("client_id", client_id.as_str()),
                    ("client_secret", secret.expose()),
                ]);
            }
            None => fields.push(("client_id", client_id)),
        }
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        (authorization, fields.collect::<Vec<_>>().join("&"))
    }

    /// A URL of the discovery document, if it is there and safe.
    fn endpoint<'a>(&self, url: Option<&'a str>, name: &str) -> Result<&'a str, ProviderError> {
        let is_safe = |url: &&str| is_secure_url(url.split('?').next().unwrap_or_default());
        url.filter(is_safe).filter(|url| !url.contains('#')).ok_or_else(|| {
            self.warn(&format!("the discovery document has no {name} that is safe"));
            ProviderError::Unreachable
        })
    }

    fn warn(&self, error: &str) {
        tracing::warn!(issuer = self.settings.issuer, error, "nobody can sign in to the console");
    }
}

impl Provider for SignInProvider {
    fn authorization(&self) -> BoxFuture<'_, Result<Authorization, ProviderError>> {
        Box::pin(async {
            let discovery = self.discovery().await?;
            let url = discovery.authorization_endpoint.as_deref();
            let endpoint = self.endpoint(url, "authorization_endpoint")?.to_owned();
            Ok(Authorization { endpoint, names_itself: discovery.names_itself })
        })
    }

    fn redeem(
        &self,
        redemption: Redemption,
    ) -> BoxFuture<'_, Result<Zeroizing<String>, ProviderError>> {
        Box::pin(async move { self.exchange(&redemption).await })
    }
}

/// The ID token of an answer, or why there is none, in a word for the console and in words for an operator.
fn read(status: StatusCode, body: &[u8]) -> Result<Zeroizing<String>, (ProviderError, String)> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let (id_token, error) = answer.map_or((None, None), |it| (it.id_token, it.error));
    match (id_token, error) {
        (Some(token), None) if status.is_success() => Ok(Zeroizing::new(token)),
        (_, Some(code)) if status.is_client_error() => {
            let is_of_code = CODE_ERRORS.contains(&code.as_str());
            let error = if is_of_code { ProviderError::Code } else { ProviderError::Client };
            let is_plain =
                code.len() <= ERROR_BYTES_MAX && code.bytes().all(|it| it.is_ascii_graphic());
            let code = if is_plain { code.as_str() } else { "an unknown error" };
            Err((error, format!("answered {status}, {code}")))
        }
        _ => Err((ProviderError::Unreachable, format!("answered {status} without an ID token"))),
    }
}

fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{}:{}", escaped(client_id), escaped(secret)));
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use tidelock_meta::SystemClock;

    use super::*;
    use crate::config::Secret;

    fn provider(secret: Option<&str>) -> SignInProvider {
        let settings = ConsoleOidc {
            issuer: "https://id.test".to_owned(),
            client_id: "con:sole".to_owned(),
            client_secret: secret.map(|secret| Secret::new(secret.to_owned())),
            client_secret_file: None,
            role_arn: String::new(),
            name: String::new(),
            scope: String::new(),
        };
        SignInProvider::new(settings, Arc::new(SystemClock::new()))
    }

    #[test]
    fn the_console_proves_itself_as_the_provider_wants() {
        let redemption = Redemption {
            code: "a b".to_owned(),
            verifier: "v".to_owned(),
            redirect_uri: "u".to_owned(),
        };
        let form = "grant_type=authorization_code&code=a%20b&redirect_uri=u&code_verifier=v";
        // The secret, whether a header is taken; the header, and what the form has more.
        let rows = [
            (None, true, None, "&client_id=con%3Asole"),
            (Some("s%"), true, Some("Basic Y29uJTNBc29sZTpzJTI1"), ""),
            (Some("s%"), false, None, "&client_id=con%3Asole&client_secret=s%25"),
        ];
        for (secret, takes_basic, header, more) in rows {
            let (authorization, sent) = provider(secret).request(&redemption, takes_basic);
            assert_eq!(sent, format!("{form}{more}"));
            let authorization = authorization.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(authorization, header);
        }
    }

    #[test]
    fn answers_have_a_token_or_a_reason() {
        use ProviderError::{Client, Code, Unreachable};
        let long = format!(r#"{{"error":"{}"}}"#, "e".repeat(ERROR_BYTES_MAX + 1));
        let rows = [
            (200, r#"{"id_token":"t","access_token":"a"}"#, Ok("t")),
            (200, r#"{"access_token":"a"}"#, Err((Unreachable, "without"))),
            (200, r#"{"id_token":"t","error":"x"}"#, Err((Unreachable, "without"))),
            (200, "<html>", Err((Unreachable, "without"))),
            (302, r#"{"id_token":"t"}"#, Err((Unreachable, "302"))),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"d"}"#,
                Err((Code, "invalid_grant")),
            ),
            (401, r#"{"error":"invalid_client"}"#, Err((Client, "invalid_client"))),
            (400, long.as_str(), Err((Client, "an unknown error"))),
            (400, r#"{"error":"a\nb"}"#, Err((Client, "an unknown error"))),
            (400, "", Err((Unreachable, "400"))),
            (503, r#"{"error":"invalid_grant"}"#, Err((Unreachable, "503"))),
        ];
        for (status, body, expected) in rows {
            let found = read(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            match (&found, expected) {
                (Ok(token), Ok(expected)) => assert_eq!(token.as_str(), expected),
                (Err((error, words)), Err((expected, word))) => {
                    assert_eq!(*error, expected, "{body}");
                    assert!(words.contains(word), "{words}");
                }
                _ => panic!("{status} {body}: {found:?}"),
            }
        }
    }

    #[test]
    fn browsers_and_codes_are_sent_to_safe_places_only() {
        let rows = [
            (Some("https://id.test/a"), true),
            (Some("https://id.test/a?p=1"), true),
            (Some("http://127.0.0.1:8080/a"), true),
            (Some("https://id.test/a#b"), false),
            (Some("http://id.test/a"), false),
            (Some("https://user@id.test/a"), false),
            (None, false),
        ];
        for (url, expected) in rows {
            assert_eq!(provider(None).endpoint(url, "endpoint").is_ok(), expected, "{url:?}");
        }
    }
}
