//! The keyring: the keys that wrap every other key. Parsing and sealing only; where the file is and
//! who may read it is the server's business.
//!
//! The text is one key a line, `name:base64 of 32 bytes`, `#` for comments; the first one wraps, all
//! unwrap. A wrapped secret is `01 | name length:u8 | name | nonce:12 | ciphertext and tag`, sealed
//! with AES-256-GCM under a random nonce and bound to its place by the associated data.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use tidelock_meta::record::store::Fingerprint;
use zeroize::Zeroizing;

use crate::entropy::{self, Entropy};

const LAYOUT: u8 = 1;
const KEY_BYTES: usize = 32;
/// Longest name of a key.
const NAME_BYTES_MAX: usize = 64;
/// What a key signs to show its fingerprint; the key wraps under AES-256-GCM and signs nothing else.
const FINGERPRINT_LABEL: &[u8] = b"tidelock keyring fingerprint 1";

/// What is wrong with a keyring or with what it should unwrap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The text has no key.
    #[error("the keyring holds no key")]
    Empty,
    /// A line is not `name:base64`.
    #[error("line {0} of the keyring is not `name:base64 of 32 bytes`")]
    BadLine(usize),
    /// Two keys have one name.
    #[error("line {0} of the keyring names a key a second time")]
    Duplicate(usize),
    /// A secret was wrapped by a key that is not here.
    #[error("the keyring lacks the key {0}")]
    NoSuchKey(String),
    /// A wrapped secret is damaged, or is not the one that belongs here.
    #[error("a wrapped key does not open: it is damaged or belongs elsewhere")]
    DoesNotOpen,
}

/// Keys that wrap keys.
pub struct Keyring {
    keys: Vec<RingKey>,
}

struct RingKey {
    name: String,
    key: LessSafeKey,
    fingerprint: Fingerprint,
}

impl Keyring {
    /// A keyring from its text.
    ///
    /// # Errors
    ///
    /// When a line is not a key, or there is none.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<RingKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse_line(line).ok_or(KeyringError::BadLine(index + 1))?;
            if keys.iter().any(|other| other.name == key.name) {
                return Err(KeyringError::Duplicate(index + 1));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyringError::Empty) } else { Ok(Self { keys }) }
    }

    /// The text of a new keyring with one key.
    pub fn generate(name: &str, entropy: &dyn Entropy) -> Zeroizing<String> {
        let key = Zeroizing::new(entropy::array::<KEY_BYTES>(entropy));
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(*key));
        Zeroizing::new(format!(
            "# Tidelock keyring: without it no object can be read. Keep a copy somewhere else.\n{name}:{}\n",
            *encoded
        ))
    }

    /// The name of the key that wraps: the first one.
    pub fn active(&self) -> &str {
        &self.keys[0].name
    }

    /// Whether there is a key `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The names of all keys, that of the one that wraps first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// What tells the key `name` apart from others of that name; none if there is no such key.
    pub fn fingerprint(&self, name: &str) -> Option<Fingerprint> {
        self.keys.iter().find(|key| key.name == name).map(|key| key.fingerprint)
    }

    /// Seals `secret`; only the same `place` opens it.
    pub(crate) fn wrap(&self, secret: &[u8], place: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        Self::wrap_with(&self.keys[0], secret, place, entropy)
    }

    /// The same under the key `name`.
    pub(crate) fn wrap_under(
        &self,
        name: &str,
        secret: &[u8],
        place: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyringError> {
        let known = self.keys.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| KeyringError::NoSuchKey(name.to_owned()))?;
        Ok(Self::wrap_with(known, secret, place, entropy))
    }

    fn wrap_with(known: &RingKey, secret: &[u8], place: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let RingKey { name, key, .. } = known;
        let nonce = entropy::array::<NONCE_LEN>(entropy);
        let sealed_bytes = secret.len() + MAX_TAG_LEN;
        let mut wrapped = Vec::with_capacity(2 + name.len() + NONCE_LEN + sealed_bytes);
        wrapped.extend_from_slice(&[LAYOUT, name.len() as u8]);
        wrapped.extend_from_slice(name.as_bytes());
        wrapped.extend_from_slice(&nonce);
        let mut sealed = Vec::with_capacity(sealed_bytes);
        sealed.extend_from_slice(secret);
        seal(key, nonce, place, &mut sealed);
        wrapped.extend_from_slice(&sealed);
        wrapped
    }

    /// Opens what [`Self::wrap`] sealed for the same `place`.
    pub(crate) fn unwrap(
        &self,
        wrapped: &[u8],
        place: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let (name, nonce, sealed) = split(wrapped).ok_or(KeyringError::DoesNotOpen)?;
        let known = self.keys.iter().find(|known| known.name.as_bytes() == name);
        let known = known
            .ok_or_else(|| KeyringError::NoSuchKey(String::from_utf8_lossy(name).into_owned()))?;
        open(&known.key, nonce, place, sealed).ok_or(KeyringError::DoesNotOpen)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.keys.iter().map(|key| &key.name).collect();
        f.debug_struct("Keyring").field("names", &names).finish_non_exhaustive()
    }
}

/// The name of the key that has wrapped something; none if it is no wrapping.
pub(crate) fn name_of(wrapped: &[u8]) -> Option<String> {
    let (name, _, _) = split(wrapped)?;
    std::str::from_utf8(name).ok().map(str::to_owned)
}

/// An AES-256-GCM key from its 32 bytes.
pub(crate) fn aead_key(bytes: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

/// Seals in place and appends the tag.
#[allow(clippy::expect_used, reason = "fails only above 64 GiB in one call; chunks are 31 KiB")]
pub(crate) fn seal(key: &LessSafeKey, nonce: [u8; NONCE_LEN], place: &[u8], bytes: &mut Vec<u8>) {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(place), bytes).expect("short enough to seal");
}

/// Opens what [`seal`] sealed; none if key or place are others, or it is damaged.
pub(crate) fn open(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    place: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(place), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

fn parse_line(line: &str) -> Option<RingKey> {
    let (name, encoded) = line.split_once(':')?;
    let name_is_legal = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !name_is_legal {
        return None;
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let key = aead_key(&bytes)?;
    Some(RingKey { name: name.to_owned(), key, fingerprint: fingerprint(&bytes) })
}

fn fingerprint(key: &[u8]) -> Fingerprint {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), FINGERPRINT_LABEL);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(&tag.as_ref()[..size_of::<Fingerprint>()]);
    fingerprint
}

fn split(wrapped: &[u8]) -> Option<(&[u8], [u8; NONCE_LEN], &[u8])> {
    let (layout, rest) = wrapped.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    (*layout == LAYOUT).then_some((name, *nonce, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn keyring(name: &str) -> Keyring {
        Keyring::parse(&Keyring::generate(name, &SystemEntropy::new())).unwrap()
    }

    #[test]
    fn a_secret_opens_only_in_its_place() {
        let keyring = keyring("one");
        let wrapped = keyring.wrap(b"secret", b"here", &SystemEntropy::new());
        assert_eq!(*keyring.unwrap(&wrapped, b"here").unwrap(), b"secret");
        assert_eq!(keyring.unwrap(&wrapped, b"there"), Err(KeyringError::DoesNotOpen));
        for index in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[index] ^= 1;
            assert!(keyring.unwrap(&damaged, b"here").is_err(), "byte {index}");
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_missing_one_is_named() {
        let entropy = SystemEntropy::new();
        let old = Keyring::generate("old", &entropy);
        let wrapped = Keyring::parse(&old).unwrap().wrap(b"s", b"", &entropy);
        let both = format!("{}{}", *Keyring::generate("new", &entropy), *old);
        assert!(Keyring::parse(&both).unwrap().unwrap(&wrapped, b"").is_ok());
        assert_eq!(
            keyring("new").unwrap(&wrapped, b""),
            Err(KeyringError::NoSuchKey("old".to_owned()))
        );
    }

    #[test]
    fn a_fingerprint_names_a_key_and_not_its_name() {
        let entropy = SystemEntropy::new();
        let one = Keyring::generate("a", &entropy);
        let two = Keyring::generate("a", &entropy);
        let fingerprint = |text: &str| Keyring::parse(text).unwrap().fingerprint("a");
        assert_eq!(fingerprint(&one), fingerprint(&one.replace("\na:", "\n  a: ")));
        assert_ne!(fingerprint(&one), fingerprint(&two));
        assert_eq!(Keyring::parse(&one).unwrap().fingerprint("b"), None);
        assert_eq!(Keyring::parse(&one).unwrap().active(), "a");
    }

    #[test]
    fn bad_texts() {
        let entropy = SystemEntropy::new();
        let twice =
            format!("{}{}", *Keyring::generate("a", &entropy), *Keyring::generate("a", &entropy));
        let rows = [
            ("", KeyringError::Empty),
            ("# nothing\n\n", KeyringError::Empty),
            ("nonsense", KeyringError::BadLine(1)),
            ("\na:c2hvcnQ=", KeyringError::BadLine(2)),
            (twice.as_str(), KeyringError::Duplicate(4)),
        ];
        for (text, expected) in rows {
            assert_eq!(Keyring::parse(text).err(), Some(expected), "{text:?}");
        }
    }
}
