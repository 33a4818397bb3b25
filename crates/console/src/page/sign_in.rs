//! Signing in with an access key, and out; and the page that also leads to the identity provider.
//!
//! The key is used once, for a session: what the browser keeps ends by itself, and is not the key.

use std::sync::Arc;

use askama::Template;
use http::{Response, StatusCode};
use tidelock_client::settings::Credentials;
use tidelock_client::{Client, ClientError, ErrorKind, Transport};

use super::{Shell, is_own_place, oidc};
use crate::answer::{self, Body};
use crate::request::Asked;
use crate::session::{self, Session};
use crate::{Console, PREFIX, view};

/// How long a session lasts, in seconds: a working day.
const SESSION_S: u32 = 12 * 3_600;
/// What root may have at most, and what is assumed of a temporary key.
const SHORT_SESSION_S: u32 = 3_600;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    shell: Shell,
    next: &'a str,
    access_key_id: &'a str,
    refusal: &'a str,
    /// What the identity provider is called, and where signing in there begins.
    provider: Option<(&'a str, String)>,
}

/// The page that asks for a key; `refusal` says why it asks again.
pub(super) fn form(
    console: &Console,
    asked: &Asked,
    status: StatusCode,
    refusal: &str,
) -> Response<Body> {
    let next = asked.form.get("next").or_else(|| asked.query.get("next")).unwrap_or_default();
    page(console, asked, (status, refusal), if is_own_place(next) { next } else { "" })
}

/// The same, after which the browser goes to `next`.
pub(super) fn page(
    console: &Console,
    asked: &Asked,
    (status, refusal): (StatusCode, &str),
    next: &str,
) -> Response<Body> {
    let there = |path: &str| match next {
        "" => format!("{PREFIX}{path}"),
        next => view::place(path, &[("next", next)]),
    };
    let provider = console.config.oidc.as_ref();
    let mut shell = Shell::of(console, asked, "Sign in".to_owned());
    // Where a provider has sent the browser is no place to come back to.
    shell.place = there("/sign-in");
    let page = SignIn {
        shell,
        next,
        access_key_id: asked.form.text("access_key_id"),
        refusal,
        provider: provider.map(|oidc| (oidc.name.as_str(), there(oidc::START))),
    };
    answer::html(status, &page)
}

/// Begins a session, if the key is right.
pub(super) async fn sign_in(
    console: &Console,
    asked: &Asked,
    transport: Arc<dyn Transport>,
) -> Response<Body> {
    // Nobody has a session's token yet: the browser has to say that its own page sent this.
    if asked.is_foreign {
        return form(console, asked, StatusCode::FORBIDDEN, "Sign in from this page, please.");
    }
    let credentials = Credentials {
        access_key_id: asked.form.text("access_key_id").trim().to_owned(),
        secret_access_key: asked.form.text("secret_access_key").trim().to_owned(),
        session_token: asked.form.get("session_token").map(|token| token.trim().to_owned()),
    };
    let mut settings = console.config.settings.clone();
    settings.credentials = credentials;
    let client = Client::over(transport, settings, console.now.clone());
    let session = match begin(console, &client).await {
        Ok(session) => session,
        Err(error) => {
            let (status, words) = match error.kind() {
                ErrorKind::Denied | ErrorKind::Other => {
                    (StatusCode::FORBIDDEN, "This key is not known here, or its secret is another.")
                }
                _ => (StatusCode::SERVICE_UNAVAILABLE, "The server cannot look the key up now."),
            };
            return form(console, asked, status, words);
        }
    };
    begun(console, asked, &session, asked.form.text("next"))
}

/// Takes the browser in, to `next` if that is a place of the console.
pub(super) fn begun(
    console: &Console,
    asked: &Asked,
    session: &Session,
    next: &str,
) -> Response<Body> {
    let now_s = console.now.tell().as_second();
    let Some(cookie) = session.cookie(now_s, asked.is_secure, &*console.seal) else {
        let words = "The session has too many tags for a browser's cookie.";
        return page(console, asked, (StatusCode::BAD_REQUEST, words), "");
    };
    let home = format!("{PREFIX}/");
    let place = if is_own_place(next) { next } else { &home };
    answer::with_cookie(answer::see_other(place), &cookie)
}

/// Ends the session in this browser.
pub(super) fn sign_out(asked: &Asked) -> Response<Body> {
    let gone = session::ended(asked.is_secure);
    answer::with_cookie(answer::see_other(&format!("{PREFIX}/sign-in")), &gone)
}

async fn begin(console: &Console, client: &Client) -> Result<Session, ClientError> {
    let now_s = console.now.tell().as_second();
    let arn = client.caller_arn().await?;
    let own = client.settings().credentials.clone();
    if own.session_token.is_some() {
        // Temporary already; the endpoint says when it is over.
        return Ok(Session::new(own, arn, now_s + i64::from(SHORT_SESSION_S), &*console.seal));
    }
    let is_root = arn.ends_with(":root");
    let term_s = if is_root { SHORT_SESSION_S } else { SESSION_S };
    let given = client.get_session_token(term_s).await?;
    Ok(Session::new(given.credentials, arn, now_s + i64::from(term_s), &*console.seal))
}
