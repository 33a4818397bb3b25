//! Signing in over the identity provider: the way there, and the way back.
//!
//! The token that comes back is not believed here. STS takes it or not, by the trust policy of the role, and
//! what the browser keeps is a session like any other.

use std::sync::Arc;

use http::{Response, StatusCode};
use tidelock_client::{Client, ClientError, Transport};

use super::{Page, USER_AGENT, is_own_place, origin, sign_in};
use crate::answer::{self, Body};
use crate::failure::Failure;
use crate::oidc::{IdToken, Oidc, Pending, ProviderError, Redemption, withdrawn};
use crate::request::Asked;
use crate::session::Session;
use crate::{Console, PREFIX, SignInRefused};

/// Where a sign-in over the provider begins, below [`PREFIX`].
pub(super) const START: &str = "/oidc/start";
/// Where the provider sends browsers back to, likewise.
pub(super) const CALLBACK: &str = "/oidc/callback";
/// Longest code of an error that is shown, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// Why nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    /// The browser does not say which host it asks.
    NoHost,
    /// The answer belongs to nothing that this browser has begun.
    NotBegun,
    /// Whoever sat in front of the provider's page did not want to, or was not let.
    Declined,
    /// The provider's answer is an error with this code.
    Answer(String),
    /// The answer is another provider's, or has no code.
    Foreign,
    /// The provider does not give a token.
    Provider(ProviderError),
    /// The token was not made for this sign-in.
    Token,
    /// STS does not take the person: the session would have had this name.
    NotTrusted(String),
    /// STS does not take the token.
    NotTaken,
    /// STS does not answer.
    NoSession,
}

/// Sends the browser to the provider.
pub(super) async fn start(console: &Console, asked: &Asked) -> Page {
    let oidc = console.config.oidc.as_ref().ok_or(Failure::NoPage)?;
    // A sign-in is begun on the page that says so, and not by another site.
    if asked.is_foreign {
        return Ok(answer::see_other(&format!("{PREFIX}/sign-in")));
    }
    let next = asked.query.get("next").filter(|next| is_own_place(next)).unwrap_or_default();
    let begun = begin(console, oidc, asked, next).await;
    Ok(begun.unwrap_or_else(|refused| refuse(console, oidc, asked, &refused, next)))
}

async fn begin(
    console: &Console,
    oidc: &Oidc,
    asked: &Asked,
    next: &str,
) -> Result<Response<Body>, Refused> {
    let origin = origin(asked).ok_or(Refused::NoHost)?;
    let authorization = oidc.provider.authorization().await.map_err(Refused::Provider)?;
    let now_s = console.now.tell().as_second();
    let redirect_uri = format!("{origin}{PREFIX}{CALLBACK}");
    let pending = Pending::new(redirect_uri, next, now_s, &*console.seal);
    let cookie = pending.cookie(now_s, asked.is_secure, &*console.seal);
    let there = answer::see_other(&pending.address(oidc, &authorization));
    Ok(answer::with_cookie(there, &cookie.ok_or(Refused::NoHost)?))
}

/// Takes the browser in, if the provider and STS say so.
pub(super) async fn callback(
    console: &Console,
    asked: &Asked,
    transport: Arc<dyn Transport>,
) -> Page {
    let oidc = console.config.oidc.as_ref().ok_or(Failure::NoPage)?;
    let now_s = console.now.tell().as_second();
    let pending = Pending::open(&asked.cookies, now_s, &*console.seal);
    let Some(pending) = pending.filter(|it| it.is_answered_by(asked.query("state"))) else {
        // What the browser has begun stays: the answer may be forged.
        return Ok(refuse(console, oidc, asked, &Refused::NotBegun, ""));
    };
    let response = match finish(console, oidc, asked, &pending, transport).await {
        Ok(session) => sign_in::begun(console, asked, &session, &pending.next),
        Err(refused) => refuse(console, oidc, asked, &refused, &pending.next),
    };
    Ok(answer::with_cookie(response, &withdrawn(asked.is_secure)))
}

async fn finish(
    console: &Console,
    oidc: &Oidc,
    asked: &Asked,
    pending: &Pending,
    transport: Arc<dyn Transport>,
) -> Result<Session, Refused> {
    let names_itself = match asked.query.raw("iss") {
        Some(issuer) if issuer == oidc.issuer => false,
        Some(_) => return Err(Refused::Foreign),
        None => oidc.provider.authorization().await.map_err(Refused::Provider)?.names_itself,
    };
    if names_itself {
        return Err(Refused::Foreign);
    }
    match asked.query.get("error") {
        None => {}
        Some("access_denied") => return Err(Refused::Declined),
        Some(code) => return Err(Refused::Answer(shown(code))),
    }
    let redemption = Redemption {
        code: asked.query.get("code").ok_or(Refused::Foreign)?.to_owned(),
        verifier: pending.verifier.clone(),
        redirect_uri: pending.redirect_uri.clone(),
    };
    let token = oidc.provider.redeem(redemption).await.map_err(Refused::Provider)?;
    let claims = IdToken::read(&token).filter(|claims| claims.is_for(oidc, &pending.nonce));
    let name = claims.ok_or(Refused::Token)?.session_name();
    let settings = console.config.settings.clone();
    let client = Client::over(transport, settings, console.now.clone()).with_user_agent(USER_AGENT);
    let session = assume(console, &client, (&oidc.role_arn, &name), &token).await;
    session.map_err(|error| Refused::of_sts(&error, name))
}

async fn assume(
    console: &Console,
    client: &Client,
    (role_arn, name): (&str, &str),
    token: &str,
) -> Result<Session, ClientError> {
    let given = client.assume_role_with_web_identity(role_arn, name, token).await?;
    let arn = client.with_credentials(given.credentials.clone()).caller_arn().await?;
    let end = given.expiration.parse::<jiff::Timestamp>();
    let end = end.map_err(|error| ClientError::Malformed(error.to_string()))?;
    Ok(Session::new(given.credentials, arn, end.as_second(), &*console.seal))
}

/// The page that signs in, with why it did not work.
fn refuse(
    console: &Console,
    oidc: &Oidc,
    asked: &Asked,
    refused: &Refused,
    next: &str,
) -> Response<Body> {
    let mut response =
        sign_in::page(console, asked, (refused.status(), &refused.words(&oidc.name)), next);
    if let Some(code) = refused.code() {
        response.extensions_mut().insert(SignInRefused { code, reason: refused.reason() });
    }
    response
}

/// A code as OAuth writes it (RFC 6749, section 4.1.2.1), and nothing that could pass for words of ours.
fn shown(code: &str) -> String {
    let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_plain && code.len() <= CODE_BYTES_MAX { code.to_owned() } else { "unknown".to_owned() }
}

impl Refused {
    fn of_sts(error: &ClientError, name: String) -> Self {
        match error.code() {
            Some("AccessDenied") => Self::NotTrusted(name),
            Some("InvalidIdentityToken" | "ExpiredTokenException") => Self::NotTaken,
            Some("IDPCommunicationError") => Self::Provider(ProviderError::Unreachable),
            _ => Self::NoSession,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoHost | Self::NotBegun | Self::Foreign | Self::Answer(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Declined | Self::Token | Self::NotTrusted(_) | Self::NotTaken => {
                StatusCode::FORBIDDEN
            }
            Self::Provider(ProviderError::Code) => StatusCode::BAD_REQUEST,
            Self::Provider(_) | Self::NoSession => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the audit log is told; nothing where STS has told it.
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::NoHost | Self::NotBegun | Self::Foreign => Some("InvalidRequest"),
            Self::Declined | Self::Answer(_) => Some("AccessDenied"),
            Self::Token | Self::Provider(ProviderError::Code) => Some("InvalidIdentityToken"),
            Self::Provider(_) => Some("IDPCommunicationError"),
            Self::NotTrusted(_) | Self::NotTaken | Self::NoSession => None,
        }
    }

    /// The same for whoever reads the log.
    fn reason(&self) -> String {
        match self {
            Self::NoHost => "the browser named no host".to_owned(),
            Self::NotBegun => {
                "the state is not that of a sign-in which this browser began".to_owned()
            }
            Self::Declined => "the identity provider answered access_denied".to_owned(),
            Self::Answer(code) => format!("the identity provider answered {code}"),
            Self::Foreign => "the answer names another issuer, or has no code".to_owned(),
            Self::Provider(error) => error.to_string(),
            Self::Token => "the ID token was not made for this sign-in".to_owned(),
            Self::NotTrusted(_) | Self::NotTaken | Self::NoSession => String::new(),
        }
    }

    /// What is said of it, and what to do; `provider` is what people call it.
    fn words(&self, provider: &str) -> String {
        match self {
            Self::NoHost => {
                "Your browser does not say which host it asks. Use another one.".to_owned()
            }
            Self::NotBegun => {
                "This sign-in is over: it was begun more than ten minutes ago, in another tab or \
                 browser, or is used already. Sign in again."
                    .to_owned()
            }
            Self::Declined => format!(
                "{provider} did not let you in, or you declined. Sign in again, or ask whoever runs \
                 {provider} for access to this console."
            ),
            Self::Answer(code) => format!(
                "{provider} answered with the error {code}. Sign in again; if it stays, tell whoever \
                 runs this server."
            ),
            Self::Foreign => {
                format!("The answer is not one of {provider}. Sign in again, from this page.")
            }
            Self::Provider(ProviderError::Unreachable) => format!(
                "{provider} does not answer as it should. Try again in a moment, or sign in with an \
                 access key. The server's log says more."
            ),
            Self::Provider(ProviderError::Code) => {
                format!(
                    "{provider} does not take its own code: it was too old, or used. Sign in again."
                )
            }
            Self::Provider(ProviderError::Client) => format!(
                "{provider} does not know this console, or not with its secret. Tell whoever runs this \
                 server: the server's log says more."
            ),
            Self::Token => format!(
                "What {provider} sent was not made for this sign-in. Sign in again; if it stays, tell \
                 whoever runs this server."
            ),
            Self::NotTrusted(name) => format!(
                "{provider} knows you, as {name}, but the console's role does not trust you. Ask whoever \
                 runs this server to have its trust policy take you."
            ),
            Self::NotTaken => format!(
                "The server does not take what {provider} has signed: its clock, its keys or its issuer \
                 are not what they should be. Tell whoever runs this server: the audit log says more."
            ),
            Self::NoSession => {
                "The server cannot begin a session now. Try again in a moment; if it \
                                stays, tell whoever runs it."
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_are_shown_of_an_error() {
        let long = "e".repeat(CODE_BYTES_MAX + 1);
        let rows = [
            ("temporarily_unavailable", "temporarily_unavailable"),
            ("call +1 555 to sign in", "unknown"),
            ("<b>", "unknown"),
            (long.as_str(), "unknown"),
        ];
        for (code, expected) in rows {
            assert_eq!(shown(code), expected, "{code}");
        }
    }

    #[test]
    fn whatever_goes_wrong_is_told_and_logged_once() {
        use ProviderError::{Client, Code, Unreachable};
        use Refused::{
            Answer, Declined, Foreign, NoHost, NoSession, NotBegun, NotTaken, NotTrusted, Provider,
            Token,
        };
        // The status of the page, and whether the audit log is told here.
        let rows = [
            (NoHost, 400, true),
            (NotBegun, 400, true),
            (Declined, 403, true),
            (Answer("x".to_owned()), 400, true),
            (Foreign, 400, true),
            (Provider(Unreachable), 503, true),
            (Provider(Code), 400, true),
            (Provider(Client), 503, true),
            (Token, 403, true),
            (NotTrusted("ann".to_owned()), 403, false),
            (NotTaken, 403, false),
            (NoSession, 503, false),
        ];
        for (refused, status, is_logged) in rows {
            assert_eq!(refused.status().as_u16(), status, "{refused:?}");
            assert_eq!(refused.code().is_some(), is_logged, "{refused:?}");
            assert_eq!(!refused.reason().is_empty(), is_logged, "{refused:?}");
            assert!(refused.words("Our id").ends_with('.'), "{refused:?}");
        }
    }
}
