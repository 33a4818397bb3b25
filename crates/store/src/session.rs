//! Sessions: temporary credentials whose token says all there is to know of them, sealed by the keyring.
//!
//! No row is kept, so any server that has the keyring verifies a session, and nothing has to be swept. The
//! price: a session cannot be taken back before it ends, but with what it rests on (its role, its user),
//! which whoever answers a request looks up anyway. A token opens only together with the access key id it
//! was made with.
//!
//! The token is Base64 of what [`Keyring::wrap`](crate::Keyring) makes of `secret access key: 40 bytes |
//! `[`SessionFacts`], in the place `session token` and the access key id.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tidelock_meta::record::session::{SessionFacts, SessionSubject};
use zeroize::Zeroizing;

use crate::Store;
use crate::identity::{BASE32, BASE64};

/// The longest token, in bytes; it travels in a header.
pub const SESSION_TOKEN_BYTES_MAX: usize = 8 << 10;
/// What access key ids of sessions begin with, as AWS's temporary keys do.
pub const SESSION_KEY_PREFIX: &str = "ASIA";

const ID_CHARACTERS: usize = 16;
const SECRET_BYTES: usize = 40;
/// Keeps what is sealed as a token apart from all else that the keyring seals.
const PLACE: &[u8] = b"session token\0";

/// A session that is to begin now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Whose it is.
    pub subject: SessionSubject,
    /// How long it lives.
    pub term: Duration,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Keys of the tags that follow into a session made from this one.
    pub transitive_tag_keys: Vec<String>,
    /// Policies that narrow it.
    pub policies: Vec<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// Who vouched for the person: a provider's URL, or their own ARN where they had keys of their own.
    pub provider: Option<String>,
}

impl NewSession {
    /// A session with no more than its subject and its term.
    pub fn of(subject: SessionSubject, term: Duration) -> Self {
        Self {
            subject,
            term,
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
            policies: Vec::new(),
            source_identity: None,
            provider: None,
        }
    }
}

/// The credentials of a session, as they are shown once.
#[derive(Clone)]
pub struct SessionCredentials {
    /// `ASIA…`
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
    /// The token, to be sent with every request; no secret without the other two.
    pub session_token: String,
    /// What the token holds.
    pub facts: SessionFacts,
}

/// A session that a token proves, once the request's signature is verified with its secret.
#[derive(Clone)]
pub struct Session {
    /// What the request must be signed with.
    pub secret_access_key: Zeroizing<String>,
    /// Whose it is, until when, and what narrows it.
    pub facts: SessionFacts,
}

impl std::fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Tags and policies make a token longer than [`SESSION_TOKEN_BYTES_MAX`]. AWS:
    /// `PackedPolicyTooLarge`.
    #[error("the session's policies and tags are too large for its token")]
    TooLarge,
    /// The token is damaged, belongs to another access key, or was sealed with a key that is not in this
    /// keyring. AWS: `InvalidToken`.
    #[error("the session token is not valid")]
    Invalid,
    /// The session is over. AWS: `ExpiredToken`.
    #[error("the session has expired")]
    Expired,
}

impl Store {
    /// Makes the credentials of a session that begins now. Nothing is stored.
    ///
    /// # Errors
    ///
    /// [`SessionError::TooLarge`].
    pub fn issue_session(&self, new: NewSession) -> Result<SessionCredentials, SessionError> {
        let issued_ms = self.now();
        let term_ms = i64::try_from(new.term.as_millis()).unwrap_or(i64::MAX);
        let facts = SessionFacts {
            id: self.random(),
            subject: new.subject,
            issued_ms,
            expires_ms: issued_ms.saturating_add(term_ms),
            tags: new.tags,
            transitive_tag_keys: new.transitive_tag_keys,
            policies: new.policies,
            source_identity: new.source_identity,
            provider: new.provider,
        };
        let id = self.random_text(ID_CHARACTERS, BASE32);
        let access_key_id = format!("{SESSION_KEY_PREFIX}{id}");
        let secret_access_key = Zeroizing::new(self.random_text(SECRET_BYTES, BASE64));
        let content = Zeroizing::new([secret_access_key.as_bytes(), &facts.encode()].concat());
        let sealed = self.keyring.wrap(&content, &place(&access_key_id), &*self.entropy);
        let session_token = BASE64_STANDARD.encode(sealed);
        if session_token.len() > SESSION_TOKEN_BYTES_MAX {
            return Err(SessionError::TooLarge);
        }
        Ok(SessionCredentials { access_key_id, secret_access_key, session_token, facts })
    }

    /// The session of a token that came with `access_key_id`. It proves nothing before the request's
    /// signature is verified with its secret.
    ///
    /// # Errors
    ///
    /// [`SessionError::Invalid`] and [`SessionError::Expired`].
    pub fn open_session(&self, access_key_id: &str, token: &str) -> Result<Session, SessionError> {
        if token.len() > SESSION_TOKEN_BYTES_MAX || !access_key_id.starts_with(SESSION_KEY_PREFIX) {
            return Err(SessionError::Invalid);
        }
        let sealed = BASE64_STANDARD.decode(token).map_err(|_| SessionError::Invalid)?;
        let content = self.keyring.unwrap(&sealed, &place(access_key_id));
        let content = content.map_err(|_| SessionError::Invalid)?;
        let (secret, facts) =
            content.split_at_checked(SECRET_BYTES).ok_or(SessionError::Invalid)?;
        let secret = std::str::from_utf8(secret).map_err(|_| SessionError::Invalid)?;
        let facts = SessionFacts::decode(facts).map_err(|_| SessionError::Invalid)?;
        if self.now() >= facts.expires_ms {
            return Err(SessionError::Expired);
        }
        Ok(Session { secret_access_key: Zeroizing::new(secret.to_owned()), facts })
    }
}

impl Store {
    /// Seals `plain` for `purpose`; any server with the keyring opens it, for the same purpose only.
    pub fn seal_text(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        self.keyring.wrap(plain, &purpose_place(purpose), &*self.entropy)
    }

    /// What [`Store::seal_text`] sealed for `purpose`; nothing where it did not, or the key is gone.
    pub fn open_text(&self, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.keyring.unwrap(sealed, &purpose_place(purpose)).ok()
    }
}

fn purpose_place(purpose: &str) -> Vec<u8> {
    [b"text\0", purpose.as_bytes()].concat()
}

fn place(access_key_id: &str) -> Vec<u8> {
    [PLACE, access_key_id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidelock_blob::memory::MemoryBlobStore;
    use tidelock_meta::clock::ManualClock;
    use tidelock_meta::memory::MemoryStore;

    use super::*;
    use crate::{Keyring, StoreConfig, SystemEntropy};

    const START_MS: i64 = 1_800_000_000_000;
    const TERM: Duration = Duration::from_secs(900);

    fn keyring_text(name: &str) -> Zeroizing<String> {
        Keyring::generate(name, &SystemEntropy::new())
    }

    fn server(keyring: &str, now_ms: i64) -> Store {
        Store::new(
            Arc::new(MemoryStore::new()),
            Arc::new(MemoryBlobStore::new()),
            Keyring::parse(keyring).unwrap(),
            Arc::new(ManualClock::new(now_ms)),
            Arc::new(SystemEntropy::new()),
            StoreConfig::default(),
        )
    }

    fn of_role() -> NewSession {
        let subject = SessionSubject::Role {
            arn: "arn:aws:iam::000000000000:role/ci".to_owned(),
            id: "AROA".to_owned(),
            session_name: "run-7".to_owned(),
        };
        NewSession {
            tags: vec![("team".to_owned(), "core".to_owned())],
            transitive_tag_keys: vec!["team".to_owned()],
            policies: vec!["{}".to_owned()],
            source_identity: Some("me".to_owned()),
            provider: Some("https://id.test".to_owned()),
            ..NewSession::of(subject, TERM)
        }
    }

    #[test]
    fn a_text_opens_for_its_purpose_only() {
        let store = server(&keyring_text("a"), START_MS);
        let sealed = store.seal_text("cookies", b"secret");
        let plain = |purpose: &str, sealed: &[u8]| {
            store.open_text(purpose, sealed).map(|plain| plain.to_vec())
        };
        assert_eq!(plain("cookies", &sealed).as_deref(), Some(&b"secret"[..]));
        assert_eq!(plain("tokens", &sealed), None);
        assert_eq!(plain("cookies", &sealed[1..]), None);
        let other = server(&keyring_text("a"), START_MS);
        assert!(other.open_text("cookies", &sealed).is_none());
    }

    #[test]
    fn any_server_with_the_keyring_opens_a_session() {
        let keys = keyring_text("a");
        let made = server(&keys, START_MS).issue_session(of_role()).unwrap();
        assert!(made.access_key_id.starts_with("ASIA") && made.access_key_id.len() == 20);
        assert_eq!(made.secret_access_key.len(), 40);
        assert_eq!(made.facts.expires_ms, START_MS + 900_000);
        let rotated = format!("{}{}", *keyring_text("b"), *keys);
        for keys in [keys.as_str(), &rotated] {
            let other = server(keys, START_MS + 899_999);
            let opened = other.open_session(&made.access_key_id, &made.session_token).unwrap();
            assert_eq!(opened.facts, made.facts);
            assert_eq!(opened.secret_access_key, made.secret_access_key);
        }
        let shown = format!("{made:?}");
        assert!(
            !shown.contains(made.secret_access_key.as_str())
                && !shown.contains(&made.session_token)
        );
    }

    #[test]
    fn what_proves_no_session() {
        let keys = keyring_text("a");
        let store = server(&keys, START_MS);
        let made = store.issue_session(of_role()).unwrap();
        let other = store.issue_session(of_role()).unwrap();
        let open = |store: &Store, id: &str, token: &str| store.open_session(id, token).err();
        let (id, token) = (made.access_key_id.as_str(), made.session_token.as_str());
        let invalid = Some(SessionError::Invalid);
        assert_eq!(open(&store, id, token), None);
        assert_eq!(open(&store, &other.access_key_id, token), invalid, "another key's");
        assert_eq!(open(&store, &id.replacen("ASIA", "AKIA", 1), token), invalid);
        assert_eq!(open(&store, id, ""), invalid);
        assert_eq!(open(&store, id, "not base64"), invalid);
        assert_eq!(open(&store, id, &"A".repeat(SESSION_TOKEN_BYTES_MAX + 1)), invalid);
        assert_eq!(
            open(&server(&keyring_text("a"), START_MS), id, token),
            invalid,
            "other keyring"
        );
        let expired = server(&keys, START_MS + 900_000);
        assert_eq!(open(&expired, id, token), Some(SessionError::Expired));
        let sealed = BASE64_STANDARD.decode(token).unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            let damaged = BASE64_STANDARD.encode(damaged);
            assert_eq!(open(&store, id, &damaged), invalid, "byte {at}");
        }
        // A secret that the keyring sealed for something else is no token.
        let secret = store.keyring.wrap(&[b'a'; 200], id.as_bytes(), &*store.entropy);
        assert_eq!(open(&store, id, &BASE64_STANDARD.encode(secret)), invalid);
    }

    #[test]
    fn a_token_that_would_not_fit_a_header_is_not_made() {
        let store = server(&keyring_text("a"), START_MS);
        let with = |bytes: usize| NewSession { policies: vec!["p".repeat(bytes)], ..of_role() };
        assert!(store.issue_session(with(5_000)).is_ok());
        assert_eq!(store.issue_session(with(7_000)).err(), Some(SessionError::TooLarge));
    }
}
