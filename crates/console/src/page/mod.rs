//! Which page answers, and what all pages share.

mod audit;
mod bucket;
mod buckets;
mod diff;
mod home;
mod locks;
mod object;
mod objects;
mod oidc;
mod policy_test;
mod roles;
mod rollback;
mod search;
mod server;
mod sign_in;
mod state;
mod user;
mod users;

use std::sync::Arc;

use askama::Template;
use http::uri::Authority;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tidelock_client::state::SERVED_BYTES_MAX;
use tidelock_client::{Client, ClientError, Transport};

use crate::answer::{self, Body, PageName};
use crate::failure::Failure;
use crate::request::Asked;
use crate::session::{self, Session};
use crate::view::{self, Moment};
use crate::{Console, PREFIX, assets};

/// Where the choice of colours is kept.
const THEME_COOKIE: &str = "tidelock_theme";
const THEMES: &[&str] = &["system", "light", "dark"];
/// A year, in seconds.
const THEME_MAX_AGE_S: i64 = 365 * 86_400;
/// What the console's requests are told apart by in the audit log.
const USER_AGENT: &str = concat!("tidelock-console/", env!("CARGO_PKG_VERSION"));
/// The same where sensitive values are shown: a reveal is told apart from other reads.
const REVEALING: &str = concat!("tidelock-console/", env!("CARGO_PKG_VERSION"), " (reveal)");
/// Pages that hold whole states in memory: no more than [`STATE_PAGES_MAX`] are made at once.
const STATE_PAGES: &[&str] = &["/state", "/diff", "/rollback"];
/// The others wait: each of these may hold a few states of [`SERVED_BYTES_MAX`], and reads them on a
/// thread that everybody's requests share.
pub(crate) const STATE_PAGES_MAX: usize = 4;
/// What was done, told by the page that comes after it.
const DONE: &str = "done";

/// What all pages show around their own.
pub(crate) struct Shell {
    pub(crate) title: String,
    /// Which entry of the navigation it belongs to.
    pub(crate) section: &'static str,
    /// Who is signed in; empty on the page that signs in.
    pub(crate) who: String,
    pub(crate) csrf: String,
    pub(crate) theme: String,
    /// Where it is, for a way back.
    pub(crate) place: String,
    /// The command that does the same; empty where there is none.
    pub(crate) command: String,
    /// What was done just now.
    pub(crate) done: String,
    pub(crate) version: &'static str,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
}

/// One request of somebody who is signed in.
pub(crate) struct Visit<'a> {
    pub(crate) console: &'a Console,
    pub(crate) asked: &'a Asked,
    pub(crate) client: Client,
    pub(crate) session: Session,
}

/// What a page function gives.
pub(crate) type Page = Result<Response<Body>, Failure>;

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    shell: Shell,
    head: String,
    text: String,
}

/// Answers `asked`, whoever asks.
pub(crate) async fn answer(
    console: &Console,
    asked: &Asked,
    transport: Arc<dyn Transport>,
) -> Response<Body> {
    let (name, result) = match (asked.path.as_str(), &asked.method) {
        (path, &Method::GET | &Method::HEAD) if path.starts_with(assets::DIRECTORY) => {
            ("ConsoleAsset", assets::answer(path).ok_or(Failure::NoPage))
        }
        ("/sign-in", &Method::GET | &Method::HEAD) => {
            ("ConsoleSignIn", Ok(sign_in::form(console, asked, StatusCode::OK, "")))
        }
        ("/sign-in", &Method::POST) => {
            ("ConsoleSignIn", Ok(sign_in::sign_in(console, asked, transport).await))
        }
        ("/theme", &Method::POST) => ("ConsoleTheme", Ok(theme(asked))),
        (oidc::START, &Method::GET) => ("ConsoleOidc", oidc::start(console, asked).await),
        (oidc::CALLBACK, &Method::GET) => {
            ("ConsoleOidc", oidc::callback(console, asked, transport).await)
        }
        _ => visited(console, asked, transport).await,
    };
    let mut response = result.unwrap_or_else(|failure| failed(console, asked, &failure));
    response.extensions_mut().insert(PageName(name));
    response
}

/// The pages that need somebody.
async fn visited(
    console: &Console,
    asked: &Asked,
    transport: Arc<dyn Transport>,
) -> (&'static str, Page) {
    let Some(session) = session_of(console, asked) else {
        return ("ConsoleSignIn", Err(Failure::SignedOut));
    };
    let is_post = match asked.method {
        Method::GET | Method::HEAD => false,
        Method::POST if !asked.is_foreign && session.is_own(asked.form.text("csrf")) => true,
        Method::POST => return ("ConsoleForm", Err(Failure::Forged)),
        _ => return ("ConsolePage", Err(Failure::NoPage)),
    };
    let mut settings = console.config.settings.clone();
    settings.credentials = session.credentials();
    let client = Client::over(transport, settings, console.now.clone())
        .with_user_agent(USER_AGENT)
        .with_states_up_to(SERVED_BYTES_MAX);
    // Kept until the page is written; never closed, so never an error.
    let _place = match STATE_PAGES.contains(&asked.path.as_str()) {
        true => console.state_pages.acquire().await.ok(),
        false => None,
    };
    let visit = Visit { console, asked, client, session };
    match (asked.path.as_str(), is_post) {
        ("/", false) => ("ConsoleStates", home::show(&visit).await),
        ("/state", false) => ("ConsoleState", state::show(&visit).await),
        ("/state", true) => ("ConsoleReveal", state::reveal(&visit).await),
        ("/diff", _) => ("ConsoleDiff", diff::show(&visit, is_post).await),
        ("/rollback", false) => ("ConsoleRollback", rollback::preview(&visit).await),
        ("/rollback", true) => ("ConsoleRollback", rollback::roll_back(&visit).await),
        ("/locks", false) => ("ConsoleLocks", locks::show(&visit).await),
        ("/locks/events", false) => ("ConsoleEvents", locks::follow(&visit).await),
        ("/locks/board", false) => ("ConsoleLocks", locks::board(&visit).await),
        ("/release", false) => ("ConsoleRelease", locks::form(&visit).await),
        ("/release", true) => ("ConsoleRelease", locks::release(&visit).await),
        ("/search", false) => ("ConsoleSearch", search::show(&visit).await),
        ("/buckets", false) => ("ConsoleBuckets", buckets::show(&visit).await),
        ("/buckets", true) => ("ConsoleBuckets", buckets::create(&visit).await),
        ("/bucket", false) => ("ConsoleBucket", bucket::show(&visit).await),
        ("/bucket", true) => ("ConsoleBucket", bucket::change(&visit).await),
        ("/objects", false) => ("ConsoleObjects", objects::show(&visit).await),
        ("/object", false) => ("ConsoleObject", object::show(&visit).await),
        ("/object", true) => ("ConsoleObject", object::change(&visit).await),
        ("/download", false) => ("ConsoleDownload", object::download(&visit)),
        ("/sign-out", true) => ("ConsoleSignOut", Ok(sign_in::sign_out(asked))),
        _ => operators(&visit, is_post).await,
    }
}

/// The pages about people and the server.
async fn operators(visit: &Visit<'_>, is_post: bool) -> (&'static str, Page) {
    match (visit.asked.path.as_str(), is_post) {
        ("/audit", false) => ("ConsoleAudit", audit::show(visit).await),
        ("/server", false) => ("ConsoleServer", server::show(visit).await),
        ("/users", false) => ("ConsoleUsers", users::show(visit).await),
        ("/users", true) => ("ConsoleUsers", users::create(visit).await),
        ("/user", false) => ("ConsoleUser", user::show(visit).await),
        ("/user/key", true) => ("ConsoleUser", user::create_key(visit).await),
        ("/user/key/delete", true) => ("ConsoleUser", user::delete_key(visit).await),
        ("/user/policy", true) => ("ConsoleUser", user::put_policy(visit).await),
        ("/user/policy/delete", true) => ("ConsoleUser", user::delete_policy(visit).await),
        ("/user/delete", true) => ("ConsoleUser", user::delete(visit).await),
        ("/roles", false) => ("ConsoleRoles", roles::show(visit).await),
        ("/roles", true) => ("ConsoleRoles", roles::create(visit).await),
        ("/role", false) => ("ConsoleRole", roles::show_one(visit).await),
        ("/role/delete", true) => ("ConsoleRole", roles::delete(visit).await),
        ("/policy-test", false) => ("ConsolePolicyTest", policy_test::form(visit).await),
        ("/policy-test", true) => ("ConsolePolicyTest", policy_test::test(visit).await),
        _ => ("ConsolePage", Err(Failure::NoPage)),
    }
}

fn session_of(console: &Console, asked: &Asked) -> Option<Session> {
    let value = asked.cookies.get(session::COOKIE)?;
    Session::open(value, console.now.tell().as_second(), &*console.seal)
}

/// Nobody is told anything but how to sign in; others are told what is wrong.
fn failed(console: &Console, asked: &Asked, failure: &Failure) -> Response<Body> {
    if matches!(failure, Failure::SignedOut) {
        let back = match asked.method {
            Method::GET if asked.path != "/" || asked.place.contains('?') => {
                format!("?next={}", view::escaped(&asked.place))
            }
            _ => String::new(),
        };
        return answer::see_other(&format!("{PREFIX}/sign-in{back}"));
    }
    let (head, text) = failure.words();
    let mut shell = Shell::of(console, asked, head.clone());
    if let Some(session) = session_of(console, asked) {
        shell.who = view::short_arn(&session.arn).to_owned();
        shell.csrf = session.csrf;
    }
    answer::html(failure.status(), &FailurePage { shell, head, text })
}

/// Keeps the choice of colours, for whoever is signed in or not.
fn theme(asked: &Asked) -> Response<Body> {
    let chosen = asked.form.text("theme");
    let chosen = THEMES.iter().find(|known| **known == chosen).unwrap_or(&"system");
    let back = asked.form.get("back").filter(|place| is_own_place(place));
    let cookie = session::cookie(THEME_COOKIE, chosen, THEME_MAX_AGE_S, asked.is_secure);
    answer::with_cookie(answer::see_other(back.unwrap_or(PREFIX)), &cookie)
}

/// Scheme and authority by which the browser reaches the console; none where it does not say.
fn origin(asked: &Asked) -> Option<String> {
    let scheme = if asked.is_secure { "https" } else { "http" };
    let authority: Authority = asked.host.parse().ok()?;
    Some(format!("{scheme}://{authority}"))
}

/// Whether a redirect to `place` stays in the console: it comes from a form or a link. Browsers take a
/// segment of dots for the way up, also where it is percent-encoded.
pub(crate) fn is_own_place(place: &str) -> bool {
    let rest = place.strip_prefix(PREFIX);
    let path = place.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && place.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !path.contains('\\')
        && !path.split('/').any(is_dots)
}

impl Shell {
    pub(crate) fn of(console: &Console, asked: &Asked, title: String) -> Self {
        let theme = asked.cookies.get(THEME_COOKIE).filter(|theme| THEMES.contains(theme));
        Self {
            title,
            section: "",
            who: String::new(),
            csrf: String::new(),
            theme: theme.unwrap_or("system").to_owned(),
            place: asked.place.clone(),
            command: String::new(),
            done: asked.query(DONE).to_owned(),
            version: console.config.version,
            style: assets::style_path(),
            script: assets::script_path(),
        }
    }
}

impl Visit<'_> {
    /// What stands around a page called `title`.
    pub(crate) fn shell(&self, section: &'static str, title: &str, command: String) -> Shell {
        let mut shell = Shell::of(self.console, self.asked, title.to_owned());
        shell.who = view::short_arn(&self.session.arn).to_owned();
        shell.csrf.clone_from(&self.session.csrf);
        (shell.section, shell.command) = (section, command);
        shell
    }

    /// A field that the page cannot do without.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        let given = self.asked.query.get(name).or_else(|| self.asked.form.get(name));
        given.ok_or_else(|| Failure::Entered(format!("'{name}' is missing")))
    }

    /// Times of this page are told from here.
    pub(crate) fn now(&self) -> Moment {
        Moment(self.console.now.tell())
    }

    /// The buckets that this user sees; none where a list of them is not theirs to see.
    pub(crate) async fn buckets(&self) -> Result<Option<Vec<String>>, Failure> {
        match self.client.list_buckets().await {
            Ok(buckets) => Ok(Some(buckets.into_iter().map(|bucket| bucket.name).collect())),
            Err(error) => unless_denied(error),
        }
    }

    /// The client as the browser reaches its endpoint: for what the browser is given to send by itself.
    pub(crate) fn outside(&self) -> Result<Client, Failure> {
        let endpoint = origin(self.asked).and_then(|origin| origin.parse().ok());
        let unnamed = || Failure::Entered("Your browser does not say which host it asks.".into());
        Ok(self.client.with_endpoint(endpoint.ok_or_else(unnamed)?))
    }

    /// Sends the browser to `place`, where it is told what was `done`.
    pub(crate) fn done(&self, place: &str, done: &str) -> Response<Body> {
        let joint = if place.contains('?') { '&' } else { '?' };
        answer::see_other(&format!("{place}{joint}{DONE}={}", view::escaped(done)))
    }
}

/// Nothing, where this user may not see it; pages then show the rest.
pub(crate) fn unless_denied<T>(error: ClientError) -> Result<Option<T>, Failure> {
    match error.kind() {
        tidelock_client::ErrorKind::Denied => match Failure::from(error) {
            Failure::SignedOut => Err(Failure::SignedOut),
            _ => Ok(None),
        },
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
