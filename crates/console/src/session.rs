//! Who is signed in: temporary credentials of theirs, sealed in a cookie. The server keeps nothing.
//!
//! A session ends with its credentials. Each form carries the session's own token, so that no other
//! site's page can have a browser send one.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidelock_client::settings::Credentials;
use zeroize::Zeroizing;

use crate::{PREFIX, Seal};

/// The cookie's name.
pub(crate) const COOKIE: &str = "tidelock_session";
/// Browsers drop a cookie that is longer, in bytes, with its name (RFC 6265, section 6.1).
const COOKIE_BYTES_MAX: usize = 4_000;
const CSRF_BYTES: usize = 16;

/// Somebody's session.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// Who it is.
    pub(crate) arn: String,
    /// When it ends, in seconds since 1970.
    pub(crate) expires_s: i64,
    /// What each of its forms carries.
    pub(crate) csrf: String,
}

impl Session {
    pub(crate) fn new(
        credentials: Credentials,
        arn: String,
        expires_s: i64,
        seal: &dyn Seal,
    ) -> Self {
        let mut csrf = [0; CSRF_BYTES];
        seal.random(&mut csrf);
        Self {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            arn,
            expires_s,
            csrf: hex::encode(csrf),
        }
    }

    /// What its requests are signed with.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
        }
    }

    /// The session in a cookie's value, unless it is over by `now_s`.
    pub(crate) fn open(value: &str, now_s: i64, seal: &dyn Seal) -> Option<Self> {
        let session: Self = unsealed(value, seal)?;
        (now_s < session.expires_s).then_some(session)
    }

    /// The value of `Set-Cookie` that begins it; none where it does not fit into a cookie.
    pub(crate) fn cookie(&self, now_s: i64, is_secure: bool, seal: &dyn Seal) -> Option<String> {
        sealed_cookie(COOKIE, self, self.expires_s - now_s, is_secure, seal)
    }

    /// Whether `given`, which came with a form, is this session's token.
    pub(crate) fn is_own(&self, given: &str) -> bool {
        is_same(&self.csrf, given)
    }
}

/// Whether `given` is our `own` secret; takes the same time wherever the first difference is.
pub(crate) fn is_same(own: &str, given: &str) -> bool {
    let (own, given) = (own.as_bytes(), given.as_bytes());
    let difference = own.iter().zip(given).fold(0, |sum, (own, given)| sum | (own ^ given));
    own.len() == given.len() && std::hint::black_box(difference) == 0
}

/// The value of `Set-Cookie` that ends a session.
pub(crate) fn ended(is_secure: bool) -> String {
    cookie(COOKIE, "", 0, is_secure)
}

/// The value of a `Set-Cookie` that keeps `content` for the console; none where it does not fit.
pub(crate) fn sealed_cookie(
    name: &str,
    content: &impl Serialize,
    max_age_s: i64,
    is_secure: bool,
    seal: &dyn Seal,
) -> Option<String> {
    let plain = Zeroizing::new(serde_json::to_vec(content).ok()?);
    let value = BASE64_URL_SAFE_NO_PAD.encode(seal.seal(&plain));
    let cookie = cookie(name, &value, max_age_s, is_secure);
    (cookie.len() <= COOKIE_BYTES_MAX).then_some(cookie)
}

/// What [`sealed_cookie`] has kept as `value`; nothing where it is something else.
pub(crate) fn unsealed<T: DeserializeOwned>(value: &str, seal: &dyn Seal) -> Option<T> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
    serde_json::from_slice(&seal.open(&sealed)?).ok()
}

/// A cookie of the console: scripts do not see it, and no other site's form sends it.
pub(crate) fn cookie(name: &str, value: &str, max_age_s: i64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={PREFIX}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Seals nothing; for tests.
    pub(crate) struct Reversed;

    impl Seal for Reversed {
        fn seal(&self, plain: &[u8]) -> Vec<u8> {
            plain.iter().rev().copied().collect()
        }

        fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
            Some(Zeroizing::new(self.seal(sealed)))
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn session(token: &str) -> Session {
        let credentials = Credentials {
            access_key_id: "ASIA1".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some(token.to_owned()),
        };
        Session::new(credentials, "arn:ann".to_owned(), 1_000, &Reversed)
    }

    #[test]
    fn a_session_lives_in_its_cookie_until_it_ends() {
        let cookie = session("token").cookie(900, true, &Reversed).unwrap();
        assert!(cookie.ends_with("Max-Age=100; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let value = cookie.split([';', '=']).nth(1).unwrap();
        let rows = [(value, 999, true), (value, 1_000, false), ("x", 0, false), ("", 0, false)];
        for (value, now_s, expected) in rows {
            let opened = Session::open(value, now_s, &Reversed);
            assert_eq!(opened.is_some(), expected, "{value} at {now_s}");
        }
        let opened = Session::open(value, 0, &Reversed).unwrap();
        assert_eq!(opened.credentials().session_token.as_deref(), Some("token"));
        assert_eq!(opened.arn, "arn:ann");
    }

    #[test]
    fn a_session_that_does_not_fit_has_no_cookie() {
        assert!(session(&"t".repeat(4_000)).cookie(0, false, &Reversed).is_none());
    }

    #[test]
    fn a_form_must_carry_the_token_of_its_session() {
        let session = session("token");
        let own = session.csrf.clone();
        for (given, expected) in [(own.as_str(), true), ("", false), (&own[1..], false)] {
            assert_eq!(session.is_own(given), expected, "{given}");
        }
    }
}
