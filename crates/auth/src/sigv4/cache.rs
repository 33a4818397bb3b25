//! Signing keys kept, so that a request costs one HMAC instead of five.
//!
//! A plain bounded map: it knows no key store and trusts no entry without its secret.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::key::SigningKey;
use super::verify::SignedRequest;
use crate::identity::SecretAccessKey;

/// Signing keys by access key, day, region and service, at most as many as it was made for.
///
/// Two generations: a key that is used moves to the young one; when that is full it becomes the old
/// one, and what the old one held is dropped. So a key in use stays and one of yesterday goes.
pub struct SigningKeyCache {
    generations: Mutex<Generations>,
    generation_keys_max: usize,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Entry>,
    old: HashMap<Box<str>, Entry>,
}

struct Entry {
    key: SigningKey,
    /// What the key was derived from: an access key made anew must not use the old one's.
    secret: SecretAccessKey,
}

impl SigningKeyCache {
    /// A cache of at most `keys_max` keys (but never fewer than two).
    pub fn new(keys_max: NonZeroUsize) -> Self {
        let generation_keys_max = (keys_max.get() / 2).max(1);
        Self { generations: Mutex::default(), generation_keys_max }
    }

    /// The key that `request` should have been signed with, if `secret` is the secret of its
    /// access key: kept, or derived now and kept.
    pub fn key_for(&self, request: &SignedRequest<'_>, secret: &SecretAccessKey) -> SigningKey {
        let name = request.credential().as_str();
        if let Some(key) = self.lock().find(name, secret, self.generation_keys_max) {
            return key;
        }
        // Derived outside the lock: others need not wait for it, and twice does no harm.
        let key = SigningKey::derive(secret, &request.scope());
        let entry = Entry { key: key.clone(), secret: secret.clone() };
        self.lock().keep(name.into(), entry, self.generation_keys_max);
        key
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // No step between two changes can panic, so a poisoned map is still whole.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SigningKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyCache").finish_non_exhaustive()
    }
}

impl Generations {
    fn find(&mut self, name: &str, secret: &SecretAccessKey, max: usize) -> Option<SigningKey> {
        if let Some(entry) = self.young.get(name) {
            return entry.key_of(secret);
        }
        let (name, entry) = self.old.remove_entry(name)?;
        let key = entry.key_of(secret);
        self.keep(name, entry, max);
        key
    }

    fn keep(&mut self, name: Box<str>, entry: Entry, max: usize) {
        if self.young.len() >= max && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, entry);
    }
}

impl Entry {
    fn key_of(&self, secret: &SecretAccessKey) -> Option<SigningKey> {
        (self.secret.expose() == secret.expose()).then(|| self.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::{Claim, RequestHead, parse};

    fn with_request<T>(access_key_id: &str, act: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/20130524/r/sts/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0"
        );
        let headers: &[(&str, &[u8])] =
            &[("x-amz-date", b"20130524T000000Z"), ("authorization", authorization.as_bytes())];
        let head = RequestHead { method: "GET", path: "/", query: "", authority: None, headers };
        let Ok(Claim::Signed(request)) = parse(head) else { panic!("not signed") };
        act(&request)
    }

    /// Whether the cache still has the key: what it has it hands out again, and makes no second.
    fn holds(cache: &SigningKeyCache, access_key_id: &str) -> bool {
        let generations = cache.lock();
        let held = |map: &HashMap<Box<str>, Entry>| {
            map.keys().any(|name| name.split('/').next() == Some(access_key_id))
        };
        held(&generations.young) || held(&generations.old)
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = SigningKeyCache::new(NonZeroUsize::new(8).unwrap());
        let secret = SecretAccessKey::new("secret");
        for n in 0..100 {
            for name in ["used".to_owned(), format!("key{n}")] {
                with_request(&name, |request| cache.key_for(request, &secret));
            }
            let generations = cache.lock();
            assert!(generations.young.len() + generations.old.len() <= 8, "{n}");
            drop(generations);
            assert!(holds(&cache, "used"), "{n}");
        }
        assert!(!holds(&cache, "key0"));
        assert!(holds(&cache, "key99"));
    }

    #[test]
    fn another_secret_gets_another_key() {
        let cache = SigningKeyCache::new(NonZeroUsize::MIN);
        let sign = |secret: &str| {
            let secret = SecretAccessKey::new(secret);
            with_request("AKID", |request| cache.key_for(request, &secret)).sign(b"message")
        };
        let (first, again, other) = (sign("one"), sign("one"), sign("two"));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(sign("one"), first);
    }
}
