//! The keyring of a Tidelock server.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::connection::Outgoing;
use crate::{Client, ClientError};

const REWRAP: &str = "/_/api/v1/keyring/rewrap";

/// A page of a re-wrapping run that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewrap {
    /// The `next` of the page before; none for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Names of keys whose SSE-KMS objects are to name the current one.
    pub kms_keys: Vec<String>,
    /// Whether it is only counted.
    pub dry_run: bool,
}

/// What a page, or a whole run, has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrapped {
    /// The key that wraps.
    pub current: String,
    /// Wrappings that were replaced.
    pub rewrapped: u64,
    /// Wrappings of the current key that were there before.
    pub already: u64,
    /// Wrappings and rows that do not open.
    pub damaged: u64,
    /// What each key wraps after this, by name.
    pub keys: Vec<KeyUse>,
    /// Where the next page begins; none after the last one.
    #[serde(skip_serializing)]
    pub next: Option<String>,
}

/// What needs a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// Its name.
    pub name: String,
    /// Wrappings.
    pub wrapped: u64,
    /// Of these, those of SSE-KMS, which name it.
    pub kms: u64,
    /// Buckets whose default encryption names it.
    pub defaults: u64,
}

impl Rewrapped {
    /// Adds the page that follows.
    pub fn add(&mut self, page: Self) {
        self.current = page.current;
        self.rewrapped += page.rewrapped;
        self.already += page.already;
        self.damaged += page.damaged;
        self.next = page.next;
        for more in page.keys {
            match self.keys.iter_mut().find(|known| known.name == more.name) {
                Some(known) => {
                    known.wrapped += more.wrapped;
                    known.kms += more.kms;
                    known.defaults += more.defaults;
                }
                None => self.keys.push(more),
            }
        }
        self.keys.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

impl Client {
    /// Has a page of what older keys have wrapped wrapped by the current one.
    ///
    /// # Errors
    /// See [`ClientError`]; only root may.
    pub async fn rewrap_keys(&self, asked: &Rewrap) -> Result<Rewrapped, ClientError> {
        self.ask(Outgoing::new(Method::POST, REWRAP.to_owned()).json(asked)?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up() {
        let used =
            |name: &str, wrapped| KeyUse { name: name.to_owned(), wrapped, kms: 1, defaults: 0 };
        let page = |rewrapped, keys: &[(&str, u64)], next: Option<&str>| Rewrapped {
            current: "new".to_owned(),
            rewrapped,
            keys: keys.iter().map(|(name, wrapped)| used(name, *wrapped)).collect(),
            next: next.map(str::to_owned),
            ..Rewrapped::default()
        };
        let mut all = Rewrapped::default();
        all.add(page(3, &[("old", 2)], Some("01")));
        all.add(page(4, &[("new", 5), ("old", 1)], None));
        let kms = |name: &str, wrapped, kms| KeyUse { kms, ..used(name, wrapped) };
        let expected = vec![kms("new", 5, 1), kms("old", 3, 2)];
        assert_eq!((all.rewrapped, all.keys, all.next), (7, expected, None));
    }
}
