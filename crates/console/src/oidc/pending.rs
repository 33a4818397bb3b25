//! A sign-in that has begun: what has to fit when the browser comes back, sealed in a cookie.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Authorization, Oidc};
use crate::request::Cookies;
use crate::{Seal, session, view};

/// The cookie's name.
const COOKIE: &str = "tidelock_sign_in";
/// How long people may take at the provider, in seconds.
const TERM_S: i64 = 600;
/// Bytes of each secret; as Base64 they are the 43 characters that a verifier has at least (RFC 7636,
/// section 4.1).
const SECRET_BYTES: usize = 32;
/// Longest place to go back to, in bytes: the cookie has room for it.
const NEXT_BYTES_MAX: usize = 1_024;

/// One sign-in, between here and the provider.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Comes back with the browser: the answer belongs to what this browser asked.
    state: String,
    /// Comes back in the ID token: it was made for this sign-in.
    pub(crate) nonce: String,
    /// Redeems the code, with which it never travels.
    pub(crate) verifier: String,
    pub(crate) redirect_uri: String,
    /// Where to go then; empty where it does not matter.
    pub(crate) next: String,
    /// When it is over, in seconds since 1970.
    expires_s: i64,
}

impl Pending {
    pub(crate) fn new(redirect_uri: String, next: &str, now_s: i64, seal: &dyn Seal) -> Self {
        let secret = || {
            let mut bytes = [0; SECRET_BYTES];
            seal.random(&mut bytes);
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        Self {
            state: secret(),
            nonce: secret(),
            verifier: secret(),
            redirect_uri,
            next: if next.len() <= NEXT_BYTES_MAX { next.to_owned() } else { String::new() },
            expires_s: now_s + TERM_S,
        }
    }

    /// What the browser with `cookies` has begun, unless it is over by `now_s`.
    pub(crate) fn open(cookies: &Cookies, now_s: i64, seal: &dyn Seal) -> Option<Self> {
        let pending: Self = session::unsealed(cookies.get(COOKIE)?, seal)?;
        (now_s < pending.expires_s).then_some(pending)
    }

    /// The value of `Set-Cookie` that keeps it; none where it does not fit into a cookie.
    pub(crate) fn cookie(&self, now_s: i64, is_secure: bool, seal: &dyn Seal) -> Option<String> {
        session::sealed_cookie(COOKIE, self, self.expires_s - now_s, is_secure, seal)
    }

    /// Whether an answer with `state` belongs to it.
    pub(crate) fn is_answered_by(&self, state: &str) -> bool {
        session::is_same(&self.state, state)
    }

    /// Where the browser goes to sign in.
    pub(crate) fn address(&self, oidc: &Oidc, authorization: &Authorization) -> String {
        let challenge = digest(&SHA256, self.verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
        let fields = [
            ("response_type", "code"),
            ("client_id", &oidc.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &oidc.scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let fields = fields.map(|(name, value)| format!("{name}={}", view::escaped(value)));
        let endpoint = &authorization.endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{joint}{}", fields.join("&"))
    }
}

/// The value of `Set-Cookie` after which the browser has begun none.
pub(crate) fn withdrawn(is_secure: bool) -> String {
    session::cookie(COOKIE, "", 0, is_secure)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::oidc::tests::provider;
    use crate::request::Asked;
    use crate::session::Session;
    use crate::session::tests::Reversed;

    fn begun(next: &str) -> Pending {
        Pending::new("https://c.test/back".to_owned(), next, 1_000, &Reversed)
    }

    /// What a browser that was told `cookie` has begun at `now_s`.
    fn opened(cookie: &str, now_s: i64) -> Option<Pending> {
        let pair = cookie.split(';').next().unwrap_or_default();
        let (head, ()) = Request::get("/").header("cookie", pair).body(()).unwrap().into_parts();
        Pending::open(&Asked::of(&head, b"", false).cookies, now_s, &Reversed)
    }

    #[test]
    fn it_lives_in_its_cookie_for_ten_minutes() {
        let cookie = begun("/_/console/locks").cookie(1_000, true, &Reversed).unwrap();
        assert!(cookie.ends_with("Max-Age=600; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let other = cookie.replace(COOKIE, "other");
        let gone = withdrawn(true);
        let rows = [
            (&cookie, 1_000, true),
            (&cookie, 1_599, true),
            (&cookie, 1_600, false),
            (&other, 1_000, false),
            (&gone, 1_000, false),
        ];
        for (cookie, now_s, expected) in rows {
            assert_eq!(opened(cookie, now_s).is_some(), expected, "{cookie} at {now_s}");
        }
        assert_eq!(opened(&cookie, 1_000).unwrap().next, "/_/console/locks");
    }

    #[test]
    fn it_always_fits_and_is_no_session() {
        let cookie = begun(&"n".repeat(NEXT_BYTES_MAX)).cookie(1_000, false, &Reversed).unwrap();
        let value = cookie.split([';', '=']).nth(1).unwrap();
        assert!(Session::open(value, 0, &Reversed).is_none());
        assert_eq!(begun(&"n".repeat(NEXT_BYTES_MAX + 1)).next, "");
    }

    #[test]
    fn only_its_own_state_answers_it() {
        let pending = begun("");
        let own = pending.state.clone();
        for (state, expected) in [(own.as_str(), true), ("", false), (&own[1..], false)] {
            assert_eq!(pending.is_answered_by(state), expected, "{state}");
        }
    }

    #[test]
    fn the_browser_takes_along_what_the_provider_needs() {
        let oidc = Oidc { client_id: "con sole".to_owned(), ..provider() };
        // The challenge is that of 32 times the byte 7.
        let verifier = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        let query = format!(
            "response_type=code&client_id=con%20sole&redirect_uri=https%3A%2F%2Fc.test%2Fback\
             &scope=openid%20email&state={verifier}&nonce={verifier}\
             &code_challenge=3Ev4DHdHPRMPoN6GukAY_pi7IUAF5qWJHRK6kURvnoE&code_challenge_method=S256"
        );
        let rows = [("https://id.test/a", "?"), ("https://id.test/a?p=1", "&")];
        for (endpoint, joint) in rows {
            let authorization =
                Authorization { endpoint: endpoint.to_owned(), names_itself: false };
            let address = begun("").address(&oidc, &authorization);
            assert_eq!(address, format!("{endpoint}{joint}{query}"));
        }
        assert_eq!(begun("").verifier, verifier);
    }
}
